from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage_app.contract.errors import Unavailable
from storage_app.stores import journal as journals
from storage_app.stores import journal_segments as segments
from storage_app.stores.journal import MIRROR, PRIMARY, Journal

ROOT = Path(__file__).resolve().parent.parent.parent
WRITER = """
import sys
from pathlib import Path
from storage_app.stores.journal import Journal
journal = Journal(Path(sys.argv[1]))
for number in range(100_000):
    journal.append("count", [sys.argv[2], number])
    print(number, flush=True)
"""


@pytest.fixture
def journal(tmp_path):
    opened = Journal(tmp_path / "journal")
    yield opened
    opened.close()


def bodies(directory):
    return [entry.body for entry in journals.inspect(directory)[0]]


def only_segment(journal):
    (path,) = journal.directory.glob("*.journal")
    return path


def test_entries_come_back_in_the_order_they_were_written(journal):
    for number in range(100):
        journal.append("trade", {"n": number, "name": "浦发银行"})
    entries, damage = journals.inspect(journal.directory)
    assert [entry.body for entry in entries] == [
        {"n": number, "name": "浦发银行"} for number in range(100)
    ]
    assert {entry.kind for entry in entries} == {"trade"}
    assert not damage


def test_an_entry_is_written_then_synced_then_acknowledged(journal, monkeypatch):
    events = []

    def recording_sync(descriptor):
        events.append(("written", b'["trade",1]' in os.pread(descriptor, 1 << 20, 0)))
        os.fdatasync(descriptor)
        events.append("synced")

    monkeypatch.setattr(segments, "sync_data", recording_sync)
    journal.append("trade", 1)
    events.append("returned")
    assert events == [("written", True), "synced", "returned"]


def test_writing_in_place_does_not_change_the_size_of_a_segment(journal):
    journal.append("trade", 1)
    before = only_segment(journal).stat()
    for number in range(500):
        journal.append("trade", number)
    assert only_segment(journal).stat().st_size == before.st_size == segments.SEGMENT_BYTES


def test_a_full_segment_is_followed_by_another(journal):
    for number in range(30):
        journal.append("trade", [number, "x" * 100_000])
    assert len(list(journal.directory.glob("*.journal"))) == 3
    assert [number for number, _ in bodies(journal.directory)] == list(range(30))


def test_an_entry_larger_than_a_segment_gets_one_of_its_size(journal):
    journal.append("trades", "x" * (3 << 20))
    journal.append("trade", 1)
    assert bodies(journal.directory) == ["x" * (3 << 20), 1]


def test_a_spare_segment_is_used_next_and_removed_if_it_is_not(journal):
    journal.append("trade", "x" * 900_000)
    journal.prepare()
    journal.prepare()
    both = set(journal.directory.glob("*.journal"))
    assert len(both) == 2
    journal.append("trade", "x" * 900_000)
    assert set(journal.directory.glob("*.journal")) == both
    journal.prepare()
    journal.close()
    assert set(journal.directory.glob("*.journal")) == both


def test_a_tail_meets_each_entry_once(journal):
    tail = journal.tail()
    journal.append("trade", 1)
    assert [entry.body for entry in tail.read()[0]] == [1]
    assert tail.read() == ([], [])
    other = Journal(journal.directory)
    other.append("trade", 2)
    journal.append("trade", 3)
    assert [entry.body for entry in tail.read()[0]] == [2, 3]
    other.close()


def test_an_entry_that_was_written_when_the_reader_had_passed_by_is_met_all_the_same(
    journal, monkeypatch
):
    journal.append("trade", 1)
    end = journal.append("trade", 2).place.offset
    read, reads = segments._read_used, []

    def read_late(stream, start):
        data = bytearray(read(stream, start))
        if not reads:
            # It passed the place of the first entry before that was written.
            data[:end] = bytes(end)
        reads.append(start)
        return bytes(data)

    monkeypatch.setattr(segments, "_read_used", read_late)
    entries, damage = journal.tail().read()
    assert [entry.body for entry in entries] == [1, 2]
    assert not damage


def test_marks_stay_with_an_entry_for_every_later_reader(journal):
    done, owed = journal.append("trade", 1), journal.append("trade", 2)
    journal.mark([done], PRIMARY)
    journal.mark([done, owed], MIRROR)
    assert [entry.marks for entry in journals.inspect(journal.directory)[0]] == [
        (True, True),
        (False, True),
    ]
    assert journals.with_marks([owed])[0].marks == (False, True)


def test_marks_are_synced_on_demand_once_for_each_segment(journal, monkeypatch):
    entries = [journal.append("trade", [number, "x" * 400_000]) for number in range(4)]
    synced = []

    def recording_sync(descriptor):
        synced.append(sum(all(entry.marks) for entry in journals.inspect(journal.directory)[0]))
        os.fdatasync(descriptor)

    monkeypatch.setattr(segments, "sync_data", recording_sync)
    journal.mark(entries, PRIMARY)
    assert synced == []
    journal.mark(entries, MIRROR, sync=True)
    assert synced == [2, 4]


def test_only_one_may_drain_at_a_time(journal):
    other = Journal(journal.directory)
    with journal.draining() as mine, other.draining() as theirs:
        assert (mine, theirs) == (True, False)
    with other.draining() as theirs:
        assert theirs


def test_a_retired_segment_stays_for_a_day(journal):
    entries = [journal.append("trade", number) for number in range(3)]
    journal.close()
    path = only_segment(journal)
    journal.mark(entries, PRIMARY)
    journal.mark(entries[:2], MIRROR)
    age(path, journals.KEPT_SECONDS + 1)
    assert journal.sweep() == 0
    journal.mark(entries[2:], MIRROR)
    assert journal.sweep() == 0
    age(path, journals.KEPT_SECONDS - 60)
    assert journal.sweep() == 0
    age(path, journals.KEPT_SECONDS + 1)
    assert journal.sweep() == 1
    assert not path.exists()


def test_a_segment_that_was_never_finished_goes_after_a_day(journal):
    journal.append("trade", 1)
    path = journal.directory / "half.new"
    path.write_bytes(b"")
    journal.sweep()
    assert path.exists()
    age(path, journals.KEPT_SECONDS + 1)
    journal.sweep()
    assert not path.exists()
    assert bodies(journal.directory) == [1]


def age(path, seconds):
    then = time.time() - seconds
    os.utime(path, (then, then))


def test_a_directory_that_is_removed_does_not_swallow_entries(journal):
    journal.append("trade", 1)
    only_segment(journal).unlink()
    journal.append("trade", 2)
    assert bodies(journal.directory) == [2]


def test_trouble_with_the_disk_is_an_outage_and_the_next_entry_begins_a_segment(
    journal, monkeypatch
):
    journal.append("trade", 1)

    def failing_sync(descriptor):
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(segments, "sync_data", failing_sync)
        with pytest.raises(Unavailable, match="Input/output error"):
            journal.append("trade", 2)
    journal.append("trade", 3)
    assert len(list(journal.directory.glob("*.journal"))) == 2
    assert [body for body in bodies(journal.directory) if body != 2] == [1, 3]


def test_a_flush_syncs_at_once_what_was_appended_without_a_sync(journal, monkeypatch):
    events = []

    def recording_sync(descriptor):
        content = os.pread(descriptor, 1 << 20, 0)
        events.append([number for number in range(4) if b'["tick",%d]' % number in content])
        os.fdatasync(descriptor)

    monkeypatch.setattr(segments, "sync_data", recording_sync)
    journal.append("tick", 0, sync=False)
    journal.append("tick", 1, sync=False)
    assert events == []
    journal.flush()
    journal.flush()
    assert events == [[0, 1]]
    journal.append("tick", 2, sync=False)
    journal.append("tick", 3)
    journal.flush()
    assert events == [[0, 1], [0, 1, 2, 3]]


def test_a_flush_that_fails_is_an_outage_and_the_next_entry_begins_a_segment(journal, monkeypatch):
    def failing_sync(descriptor):
        raise OSError(5, "Input/output error")

    journal.append("tick", 1, sync=False)
    with monkeypatch.context() as patched:
        patched.setattr(segments, "sync_data", failing_sync)
        with pytest.raises(Unavailable, match="Input/output error"):
            journal.flush()
    journal.append("tick", 2)
    assert len(list(journal.directory.glob("*.journal"))) == 2
    assert bodies(journal.directory) == [1, 2]


def test_a_full_segment_is_synced_before_the_next_one_begins(journal, monkeypatch):
    synced = []
    journal.append("tick", "x" * 900_000, sync=False)
    monkeypatch.setattr(segments, "sync_data", synced.append)
    journal.append("tick", "x" * 900_000, sync=False)
    assert len(synced) == 1


def test_a_forked_child_writes_segments_of_its_own(journal):
    journal.append("trade", "parent")
    child = os.fork()
    if child == 0:
        try:
            journal.append("trade", "child")
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    journal.append("trade", "parent again")
    assert bodies(journal.directory) == ["parent", "child", "parent again"]
    assert len(list(journal.directory.glob("*.journal"))) == 2


def test_no_acknowledged_entry_is_lost_when_writers_are_killed(tmp_path):
    chance = random.Random(20260302)
    acknowledged = []
    for turn in range(6):
        pair = [start_writer(tmp_path, f"{turn}{side}") for side in "ab"]
        first = {name: process.stdout.readline() for name, process in pair}
        time.sleep(chance.uniform(0.05, 0.4))
        for name, process in pair:
            process.send_signal(signal.SIGKILL)
            output = first[name] + process.communicate()[0]
            acknowledged += [(name, int(line)) for line in output.split("\n")[:-1]]
    entries, damage = journals.inspect(tmp_path)
    found = [tuple(entry.body) for entry in entries]
    assert len(acknowledged) > 100
    assert set(acknowledged) <= set(found)
    assert len(found) == len(set(found))
    for name in {name for name, _ in found}:
        numbers = [number for owner, number in found if owner == name]
        assert numbers == list(range(len(numbers)))
    assert all("torn" in one.reason for one in damage)


def start_writer(directory, name):
    command = [sys.executable, "-c", WRITER, str(directory), name]
    return name, subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def write_sample(directory, payloads):
    journal = Journal(directory)
    entries = [journal.append("sample", payload) for payload in payloads]
    journal.mark(entries[::2], PRIMARY)
    journal.close()
    return only_segment(journal), entries


def span(entry, payload_size):
    start = entry.place.offset
    return start, start + 32 + payload_size


PAYLOADS = st.lists(st.text(max_size=300), min_size=1, max_size=12)


@settings(max_examples=300, deadline=None)
@given(payloads=PAYLOADS, data=st.data())
def test_a_flipped_bit_loses_at_most_its_entry_and_is_reported(tmp_path_factory, payloads, data):
    path, entries = write_sample(tmp_path_factory.mktemp("flip"), payloads)
    end = entries[-1].place.offset + 2048
    place = data.draw(st.integers(0, min(end, segments.SEGMENT_BYTES) - 1), label="byte")
    content = bytearray(path.read_bytes())
    content[place] ^= 1 << data.draw(st.integers(0, 7), label="bit")
    path.write_bytes(content)

    found, damage = journals.inspect(path.parent)
    starts = {entry.place.offset for entry in found}
    lost = [entry for entry in entries if entry.place.offset not in starts]
    survivors = [entry.body for entry in entries if entry.place.offset in starts]
    assert [entry.body for entry in found] == survivors
    assert [entry for entry in lost if not is_within(place, entry, entries)] == []
    assert not lost or damage
    assert [entry for entry in found if entry.marks[MIRROR]] == []
    owed = {entry.place.offset for entry in entries[1::2]}
    assert [e for e in found if e.place.offset in owed and e.marks[PRIMARY]] == []


def is_within(place, entry, entries):
    later = [one.place.offset for one in entries if one.place.offset > entry.place.offset]
    return entry.place.offset <= place < min(later, default=segments.SEGMENT_BYTES)


@settings(max_examples=150, deadline=None)
@given(payloads=PAYLOADS, data=st.data())
def test_a_stretch_of_garbage_loses_only_what_it_covers(tmp_path_factory, payloads, data):
    path, entries = write_sample(tmp_path_factory.mktemp("garbage"), payloads)
    content = bytearray(path.read_bytes())
    start = data.draw(st.integers(0, entries[-1].place.offset + 100), label="start")
    garbage = data.draw(st.binary(min_size=1, max_size=600) | st.just(bytes(512)), label="bytes")
    content[start : start + len(garbage)] = garbage
    path.write_bytes(content[: segments.SEGMENT_BYTES])

    found, damage = journals.inspect(path.parent)
    written = {entry.place.offset: entry.body for entry in entries}
    assert [entry for entry in found if written.get(entry.place.offset) != entry.body] == []
    starts = {entry.place.offset for entry in found}
    lost = [entry for entry in entries if entry.place.offset not in starts]
    for entry in lost:
        touched = range(start, start + len(garbage))
        assert any(is_within(place, entry, entries) for place in touched)
    # Zeros over the last entries look like room that was never used.
    assert not lost or damage or not any(garbage)


@settings(max_examples=150, deadline=None)
@given(payloads=PAYLOADS, data=st.data())
def test_a_cut_file_keeps_what_stands_before_the_cut_and_says_so(tmp_path_factory, payloads, data):
    path, entries = write_sample(tmp_path_factory.mktemp("cut"), payloads)
    size = data.draw(st.integers(0, entries[-1].place.offset + 2048), label="size")
    os.truncate(path, size)

    found, damage = journals.inspect(path.parent)
    assert damage
    assert [entry.body for entry in found] == [entry.body for entry in entries[: len(found)]]
    whole = [entry for entry in entries[1:] if entry.place.offset <= size]
    assert len(found) >= len(whole)


@settings(max_examples=300, deadline=None)
@given(payloads=PAYLOADS, data=st.data())
def test_several_flips_and_a_cut_lose_only_what_they_touch(tmp_path_factory, payloads, data):
    path, entries = write_sample(tmp_path_factory.mktemp("flips"), payloads)
    end = entries[-1].place.offset + 600
    # Fewer than make a mark of nothing.
    flips = data.draw(st.lists(st.integers(0, end * 8 - 1), min_size=2, max_size=7), label="bits")
    size = data.draw(st.integers(0, end) | st.just(segments.SEGMENT_BYTES), label="size")
    content = bytearray(path.read_bytes())
    for bit in flips:
        content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content[:size])

    found, damage = journals.inspect(path.parent)
    written = {entry.place.offset: entry for entry in entries}
    assert [e for e in found if written[e.place.offset].body != e.body] == []
    assert [e for e in found if written[e.place.offset].stamp != e.stamp] == []
    starts = {entry.place.offset for entry in found}
    places = [bit // 8 for bit in flips]
    for lost in (entry for entry in entries if entry.place.offset not in starts):
        later = [start for start in written if start > lost.place.offset]
        is_cut = min(later, default=end) > size
        assert is_cut or any(is_within(place, lost, entries) for place in places)
        assert damage
    assert [entry for entry in found if entry.marks[MIRROR]] == []
    owed = {entry.place.offset for entry in entries[1::2]}
    assert [e for e in found if e.place.offset in owed and e.marks[PRIMARY]] == []
