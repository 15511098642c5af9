from __future__ import annotations

import json
import multiprocessing
import os
import resource
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from storage_app.contract.errors import Corrupt, Unavailable
from storage_app.stores.file import documents
from storage_app.stores.file.documents import (
    DocumentSet,
    atomic_write_bytes,
    locked,
    read_document,
    updating,
)
from tests.contract.racing import PROCESSES, THREADS, race

NOBODY = 65534
SETTLED = 0.06
FORK = multiprocessing.get_context("fork")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "accounts.json"


@pytest.fixture
def pair(tmp_path):
    return DocumentSet(tmp_path / "book", ("a.json", "b.json"))


def set_both(pair, number):
    with pair.updating() as both:
        both["a.json"]["n"] = both["b.json"]["n"] = number


def numbers(pair):
    return [document.get("n") for document in pair.read().values()]


def test_a_missing_file_is_an_empty_document_and_reading_creates_nothing(path):
    assert read_document(path) == {}
    assert list(path.parent.iterdir()) == []


def test_what_is_written_comes_back_and_a_person_can_read_it(path):
    with updating(path) as document:
        document["55009728"] = {"name": "主账户", "capital": "100000.00"}
    assert read_document(path) == {"55009728": {"name": "主账户", "capital": "100000.00"}}
    assert '    "55009728": {\n        "name": "主账户",' in path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b"\0" * 512, "empty"),
        (b'{"000001.SZ": {"day_co', "not JSON"),
        (b'{"name": "\xd6\xf7"}', "not JSON"),
        (b"[1, 2]", "object was expected, not list"),
    ],
)
def test_a_damaged_file_is_refused_with_its_path_and_left_alone(path, content, reason):
    path.write_bytes(content)
    with pytest.raises(Corrupt, match=reason) as refused:
        read_document(path)
    assert refused.value.path == path
    with pytest.raises(Corrupt), updating(path) as document:
        document["a"] = 1
    assert path.read_bytes() == content


def test_a_byte_order_mark_is_no_damage(path):
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert read_document(path) == {"a": 1}


def test_nothing_is_written_when_the_change_fails(path):
    with pytest.raises(ZeroDivisionError), updating(path) as document:
        document["a"] = 1 / len(document)
    assert not path.exists()


def test_an_unchanged_document_is_not_written_again(path):
    with updating(path) as document:
        document["a"] = 1
    before = path.stat()
    with updating(path):
        pass
    assert path.stat().st_mtime_ns == before.st_mtime_ns


def test_processes_and_threads_lose_no_change(path):
    def work(number):
        for _ in range(3):
            with updating(path) as document:
                document["count"] = document.get("count", 0) + 1
                document[str(number)] = True

    race(work)
    workers = PROCESSES * THREADS
    assert read_document(path) == {"count": workers * 3, **{str(n): True for n in range(workers)}}


def test_a_lock_that_is_never_given_back_is_unavailable(path, monkeypatch):
    monkeypatch.setattr(documents, "LOCK_TIMEOUT", 0.2)
    with locked(path):
        refusals = race(lambda _: refusal(lambda: hold(path)), processes=1, threads=1)
    assert "locked by another process" in refusals[0]


def hold(path):
    with locked(path):
        pass


def refusal(action):
    try:
        action()
    except Unavailable as exc:
        return str(exc)
    return ""


def test_a_lock_goes_with_the_process_that_held_it(path):
    child = FORK.Process(target=hold_and_wait, args=(path,))
    child.start()
    while not read_document(path):
        time.sleep(0.01)
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    with updating(path) as document:
        document["after"] = True
    assert read_document(path) == {"held": True, "after": True}


def hold_and_wait(path):
    with locked(path):
        atomic_write_bytes(path, b'{"held": true}')
        time.sleep(60)


def test_a_disk_that_refuses_is_unavailable_and_names_the_file(path):
    path.parent.joinpath("file").write_text("not a directory")
    blocked = path.parent / "file" / "accounts.json"
    assert str(blocked.parent) in refusal(lambda: hold(blocked))
    assert str(blocked) in refusal(lambda: read_document(blocked))


def test_a_full_disk_leaves_the_old_document(path):
    with updating(path) as document:
        document["a"] = "old"
    child = FORK.Process(target=write_beyond_the_limit, args=(path,))
    child.start()
    child.join()
    assert child.exitcode == 0
    assert read_document(path) == {"a": "old"}


def write_beyond_the_limit(path):
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
    try:
        with updating(path) as document:
            document["a"] = "new" * 10_000
    except Unavailable:
        os._exit(0)
    os._exit(1)


def test_a_replace_that_is_refused_for_a_moment_is_tried_again():
    """What a reader does to a writer on Windows, done with permissions: the file is another's."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        path = directory / "shared.json"
        path.write_text('{"a": 1}')
        path.chmod(0o644)
        # In a sticky directory only its owner replaces a file.
        directory.chmod(0o1777)
        child = FORK.Process(target=replace_as_nobody, args=(path,))
        child.start()
        wait_for(path.with_name("shared.json.tmp"))  # from here on the child tries to replace
        time.sleep(0.3)
        assert read_document(path) == {"a": 1}
        directory.chmod(0o777)
        child.join()
        assert child.exitcode == 0
        assert read_document(path) == {"a": 2}


def wait_for(path):
    deadline = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} never came"
        time.sleep(0.002)


def replace_as_nobody(path):
    if os.geteuid() != 0:
        # The owner may always replace; a test run that is not root takes the permission away.
        path.parent.chmod(0o555)
        threading.Timer(0.3, path.parent.chmod, (0o777,)).start()
    else:
        os.seteuid(NOBODY)
    # The parent of a loaded machine may come late.
    documents._SHARING_PATIENCE = 60.0
    started = time.monotonic()
    atomic_write_bytes(path, b'{"a": 2}')
    os._exit(0 if time.monotonic() - started > 0.2 else 1)


def test_documents_of_a_set_change_as_one(pair):
    set_both(pair, 1)
    assert numbers(pair) == [1, 1]
    assert sorted(entry.name for entry in pair.directory.iterdir()) == [
        "a.json",
        "b.json",
        "documents.lock",
    ]


def test_a_set_that_was_never_written_is_empty_and_stays_away(pair):
    assert numbers(pair) == [None, None]
    assert not pair.exists()
    assert not pair.directory.exists()


def test_a_part_edited_by_a_person_counts(pair):
    set_both(pair, 1)
    (pair.directory / "b.json").write_text('{"n": 7}')
    assert numbers(pair) == [1, 7]
    with pair.updating() as both:
        both["a.json"]["n"] = 2
    assert numbers(pair) == [2, 7]


def test_readers_never_see_half_of_a_change(pair):
    set_both(pair, 0)
    done = threading.Event()
    seen = []

    def read():
        while not done.is_set():
            seen.append(tuple(numbers(pair)))

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for number in range(1, 60):
        set_both(pair, number)
        time.sleep(0.005)
    done.set()
    for reader in readers:
        reader.join()
    assert {pair_seen for pair_seen in seen if pair_seen[0] != pair_seen[1]} == set()
    assert len(set(seen)) > 10


def test_a_reader_that_is_overtaken_between_two_files_reads_again(pair):
    set_both(pair, 0)
    time.sleep(SETTLED)
    overtaken = []

    def overtake(event, arguments):
        if event == "open" and str(arguments[0]).endswith("b.json") and not overtaken:
            overtaken.append(True)
            child = FORK.Process(target=set_both, args=(pair, 1))
            child.start()
            child.join()

    sys.addaudithook(overtake)
    assert numbers(pair) == [1, 1]
    assert overtaken


def test_a_set_that_changed_just_now_has_no_stamps(pair):
    """File times advance in steps, so a second change could carry the stamps of the first."""
    set_both(pair, 0)
    assert pair.stamps() is None
    time.sleep(SETTLED)
    first = pair.stamps()
    assert first == pair.stamps()
    assert first is not None
    set_both(pair, 1)
    time.sleep(SETTLED)
    assert pair.stamps() != first


def crash_points(directory, action):
    """Run `action` in a child again and again, killed at its first file operation, its second
    and so on until it survives; yield after each death."""
    for point in range(1, 100):
        child = FORK.Process(target=die_at, args=(directory, point, action))
        child.start()
        child.join()
        if child.exitcode == 0:
            return
        assert child.exitcode == -signal.SIGKILL
        yield point
    raise AssertionError("the action never survived")


def die_at(directory, point, action):
    operations = 0

    def count(event, arguments):
        nonlocal operations
        if event in ("open", "os.rename", "os.remove") and str(directory) in str(arguments[0]):
            operations += 1
            if operations == point:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)
    action()
    os._exit(0)


def test_a_crash_at_any_instant_leaves_the_old_set_or_the_new_one(pair):
    set_both(pair, 0)
    outcomes = []
    for _ in crash_points(pair.directory, lambda: set_both(pair, 1)):
        outcomes.append(tuple(numbers(pair)))
        with pair.updating() as both:
            assert both["a.json"] == both["b.json"]
        set_both(pair, 0)
    assert set(outcomes) == {(0, 0), (1, 1)}
    assert outcomes == sorted(outcomes)
    assert len(outcomes) > 8


def test_everything_is_on_the_disk_before_the_step_that_relies_on_it(pair, monkeypatch):
    """A file is synced before it takes a name, and the names before `pending.json` goes."""
    set_both(pair, 0)
    steps = []
    really_sync = os.fsync

    def sync(descriptor):
        steps.append(("sync", Path(f"/proc/self/fd/{descriptor}").readlink().name))
        really_sync(descriptor)

    def note(event, arguments):
        if recording and event in ("os.rename", "os.remove"):
            steps.append((event, Path(arguments[0]).name))

    recording = True
    sys.addaudithook(note)
    monkeypatch.setattr(os, "fsync", sync)
    set_both(pair, 1)
    recording = False
    assert steps == [
        ("sync", "pending.json.tmp"),
        ("os.rename", "pending.json.tmp"),
        ("sync", "book"),
        ("sync", "a.json.tmp"),
        ("os.rename", "a.json.tmp"),
        ("sync", "b.json.tmp"),
        ("os.rename", "b.json.tmp"),
        ("sync", "book"),
        ("os.remove", "pending.json"),
    ]


def test_a_new_directory_is_on_the_disk_too(tmp_path, monkeypatch):
    synced = []
    really_sync = os.fsync

    def sync(descriptor):
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        really_sync(descriptor)

    monkeypatch.setattr(os, "fsync", sync)
    with updating(tmp_path / "books" / "55009728" / "x.json"):
        pass
    assert synced[:2] == [tmp_path, tmp_path / "books"]
    assert json.loads((tmp_path / "books" / "55009728" / "x.json").read_text()) == {}
