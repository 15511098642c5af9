from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import random
import signal
import time
from datetime import date, datetime
from decimal import Decimal

import pytest

from storage_app.contract.errors import Conflict, Corrupt, Unavailable
from storage_app.contract.types import BookState, PositionFlag, PositionState
from storage_app.stores.file.positions import FilePositions
from tests.stores.test_documents import crash_points
from trades_app.market import clock

BOOK = "55009728"
BANK = "000001.SZ"
STEEL = "600000.SH"
MONDAY = date(2026, 3, 2)
MORNING = datetime(2026, 3, 2, 9, 31, tzinfo=clock.SHANGHAI)
FORK = multiprocessing.get_context("fork")


@pytest.fixture
def store(tmp_path):
    return FilePositions(tmp_path)


@pytest.fixture
def directory(tmp_path):
    path = tmp_path / "books" / BOOK
    path.mkdir(parents=True)
    return path


def write(path, document):
    path.write_text(json.dumps(document), encoding="utf-8")


def fill(store, trade_id, side="BUY", volume=100):
    return store.apply_fill(
        BOOK, BANK, side, volume, Decimal("10.5"), trade_id=trade_id, timestamp=MORNING
    )


def numbered_book(number):
    """A book in which every file tells the same number."""
    price = float(number + 1)
    return {code: PositionState(code, number, price, price, number) for code in (BANK, STEEL)}


def number_of(book):
    numbers = {
        number
        for state in book.positions.values()
        for number in (state.held_days, state.max_price - 1, state.min_price - 1, state.volume)
    }
    assert len(numbers) == 1, book
    return int(numbers.pop())


def test_files_are_in_the_form_of_silverquant(store, tmp_path):
    states = {
        BANK: PositionState(BANK, 3, 10.5, 9.812, 100, MONDAY),
        STEEL: PositionState(STEEL, None),
        "510300.SH": PositionState("510300.SH", 1, flag=PositionFlag.UNCONFIRMED),
    }
    store.replace_positions("55009728/test", states, MONDAY)
    directory = tmp_path / "books" / "55009728" / "test"
    assert json.loads((directory / "positions.json").read_text()) == {
        "_inc_date": "2026-03-02",
        BANK: {"day_count": 3, "volume": 100, "opened_on": "2026-03-02"},
        STEEL: {"day_count": None},
        "510300.SH": {"day_count": 1, "flag": "unconfirmed"},
    }
    assert json.loads((directory / "max_price.json").read_text()) == {BANK: 10.5}
    assert json.loads((directory / "min_price.json").read_text()) == {BANK: 9.812}


def test_files_that_silverquant_wrote_are_read(store, directory):
    write(
        directory / "positions.json",
        {"_inc_date": "2017-07-26", BANK: {"day_count": 5}, STEEL: {"day_count": None}},
    )
    write(directory / "max_price.json", {BANK: 25.64, "510300.SH": 4.1})
    assert store.read_book(BOOK) == BookState(
        date(2017, 7, 26),
        {
            BANK: PositionState(BANK, 5, 25.64),
            STEEL: PositionState(STEEL, None),
            "510300.SH": PositionState(
                "510300.SH", None, max_price=4.1, flag=PositionFlag.LEFTOVER
            ),
        },
    )
    assert store.list_books() == [BOOK]


def test_an_edit_by_hand_counts_and_is_kept_by_the_next_write(store, directory):
    store.replace_positions(BOOK, numbered_book(4))
    write(directory / "max_price.json", {BANK: 77.0})
    assert store.get_max_price(BANK, BOOK) == 77.0
    store.raise_extremes(BOOK, {BANK: (Decimal(60), Decimal(1))})
    held = store.get_positions(BOOK)
    assert (held[BANK].max_price, held[BANK].min_price) == (77.0, 1.0)
    assert held[STEEL].max_price is None


def test_what_other_programs_wrote_beside_ours_is_kept(store, directory):
    write(
        directory / "positions.json",
        {"_owner": "me", BANK: {"day_count": 5, "cost": 9.9}, STEEL: {"day_count": 1}},
    )
    store.increment_held_days(BOOK, MONDAY)
    assert json.loads((directory / "positions.json").read_text()) == {
        "_owner": "me",
        "_inc_date": "2026-03-02",
        BANK: {"day_count": 6, "cost": 9.9},
        STEEL: {"day_count": 2},
    }


def test_another_spelling_of_a_code_is_understood(store, directory):
    write(directory / "positions.json", {"SZ000001": {"day_count": 5}})
    assert store.get_held_days(BANK, BOOK) == 5


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("positions.json", "", "empty"),
        ("positions.json", '{"000001.SZ": {"day_co', "not JSON"),
        ("positions.json", '{"000001.SZ": 3}', "000001.SZ.*day_count"),
        ("positions.json", '{"000001.SZ": {"day_count": -1}}', "000001.SZ.*at least 0"),
        ("positions.json", '{"000001.SZ": {"day_count": 1, "flag": "odd"}}', "000001.SZ.*odd"),
        ("positions.json", '{"000001": {"day_count": 1}}', "ambiguous"),
        ("positions.json", '{"_inc_date": "soon"}', "_inc_date.*soon"),
        (
            "positions.json",
            '{"000001.SZ": {"day_count": 1}, "SZ000001": {"day_count": 2}}',
            "twice",
        ),
        ("max_price.json", '{"000001.SZ": 10.5, "600', "not JSON"),
        ("max_price.json", '{"000001.SZ": 0}', "000001.SZ.*above 0"),
        ("min_price.json", '{"000001.SZ": NaN}', "000001.SZ.*finite"),
    ],
)
def test_a_damaged_file_is_refused_by_name_and_left_alone(store, directory, name, content, reason):
    store.replace_positions(BOOK, numbered_book(4), MONDAY)
    store.get_positions(BOOK)
    (directory / name).write_text(content)
    for call in (
        lambda: store.get_held_days(BANK, BOOK),
        lambda: store.increment_held_days(BOOK, date(2026, 3, 3)),
        lambda: fill(store, "1"),
    ):
        with pytest.raises(Corrupt, match=reason) as refused:
            call()
        assert refused.value.path == directory / name
    assert (directory / name).read_text() == content


def test_a_change_by_another_process_is_seen_at_once(store, tmp_path):
    other = FilePositions(tmp_path)
    for number in range(40):
        other.replace_positions(BOOK, numbered_book(number))
        assert number_of(store.read_book(BOOK)) == number
        assert number_of(store.read_book(BOOK)) == number


def test_a_settled_book_is_not_parsed_again(store):
    store.replace_positions(BOOK, numbered_book(1))
    time.sleep(0.06)
    assert store.read_book(BOOK) is store.read_book(BOOK)


def test_readers_of_other_books_and_strangers_in_the_directory_are_no_books(store, tmp_path):
    store.update_held_days(BANK, 1, "55009728/test")
    for name in ("55009728/empty", "55009728/a copy", "old", "66001234"):
        (tmp_path / "books" / name).mkdir(parents=True)
    write(tmp_path / "books" / "55009728" / "a copy" / "positions.json", {})
    (tmp_path / "books" / "notes.txt").write_text("mine")
    assert store.list_books() == ["55009728/test"]


def test_two_books_in_one_directory_are_refused(store, tmp_path):
    """What `test` and `Test` are on a disk that ignores case, done with a link."""
    store.update_held_days(BANK, 1, "55009728/test")
    (tmp_path / "books" / "55009728" / "Test").symlink_to("test")
    with pytest.raises(Conflict, match="55009728/Test"):
        store.get_held_days(BANK, "55009728/Test")
    with pytest.raises(Conflict, match="55009728/Test"):
        FilePositions(tmp_path).update_held_days(BANK, 1, "55009728/Test")


def test_ping_says_when_the_directory_cannot_be_used(tmp_path):
    (tmp_path / "books").write_text("in the way")
    with pytest.raises(Unavailable, match="books"):
        FilePositions(tmp_path).ping()


def test_a_crash_at_any_instant_leaves_the_old_book_or_the_new_one(store, tmp_path, directory):
    store.replace_positions(BOOK, numbered_book(1))
    seen = set()

    def write_next():
        FilePositions(tmp_path).replace_positions(BOOK, numbered_book(2))

    for _ in crash_points(directory, write_next):
        seen.add(number_of(FilePositions(tmp_path).read_book(BOOK)))
        store.replace_positions(BOOK, numbered_book(1))
    assert seen == {1, 2}


def test_a_crash_within_a_fill_neither_loses_it_nor_counts_it_twice(store, tmp_path, directory):
    fill(store, "0")
    expected = 100
    for point in crash_points(directory, lambda: fill(FilePositions(tmp_path), "next")):
        survivor = FilePositions(tmp_path)
        assert survivor.get_positions(BOOK)[BANK].volume in (expected, expected + 100)
        assert fill(survivor, "next").volume == expected + 100
        # The next round repeats the crash with a fill of its own.
        survivor.replace_positions(BOOK, {BANK: PositionState(BANK, 0, volume=expected)})
        forget(directory, "next")
        assert point < 60


def forget(directory, trade_id):
    path = directory / "applied_trades.json"
    kept = {key: day for key, day in json.loads(path.read_text()).items() if trade_id not in key}
    write(path, kept)


def test_killing_a_writer_at_random_moments_loses_nothing_acknowledged(store, tmp_path):
    store.replace_positions(BOOK, numbered_book(0))
    chance = random.Random(11)
    number = 0
    for _ in range(15):
        reader, writer = FORK.Pipe(duplex=False)
        child = FORK.Process(target=write_on, args=(tmp_path, number, writer))
        child.start()
        assert reader.poll(30)
        time.sleep(chance.uniform(0, 0.03))
        os.kill(child.pid, signal.SIGKILL)
        child.join()
        writer.close()
        acknowledged = last_received(reader, number)
        number = number_of(FilePositions(tmp_path).read_book(BOOK))
        assert number in (acknowledged, acknowledged + 1)
    assert number >= 15


def last_received(reader, received):
    with contextlib.suppress(EOFError):
        while True:
            received = reader.recv()
    return received


def write_on(tmp_path, number, writer):
    store = FilePositions(tmp_path)
    while True:
        number += 1
        store.replace_positions(BOOK, numbered_book(number))
        writer.send(number)
