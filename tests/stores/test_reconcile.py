from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage_app.contract.positions import increment_identity
from storage_app.contract.types import BookCopy, BookState, PositionState
from storage_app.stores.file.positions import FilePositions
from storage_app.stores.reconcile import Change, merge
from trades_app.market import clock

pytestmark = pytest.mark.usefixtures("trading_morning")

BOOK = "55009728"
CODE, OTHER = "600000.SH", "000001.SZ"
FRIDAY, MONDAY, TUESDAY = date(2026, 2, 27), date(2026, 3, 2), date(2026, 3, 3)
MORNING = datetime(2026, 3, 2, 9, 31, tzinfo=clock.SHANGHAI)


def held(days=3, volume=100, high=11.0, low=10.0, opened_on=date(2026, 2, 24)):
    return PositionState(CODE, days, high, low, volume, opened_on)


def copy(state=None, done=FRIDAY, applied=None, **others):
    positions = {} if state is None else {CODE: state}
    positions |= others
    return BookCopy(BookState(done, positions), applied or {})


def fill(trade_id, side="BUY", volume=100, remaining=None, code=CODE):
    return Change(
        "apply_fill",
        {
            "code": code, "side": side, "volume": volume, "price": "10.5", "trade_id": trade_id,
            "timestamp": MORNING, "remaining": remaining,
        },
    )  # fmt: skip


def days(count):
    return Change("update_held_days", {"code": CODE, "days": count})


def increment(day):
    return Change("increment_held_days", {"trade_date": day})


class Host:
    """A host on its files: the changes that it makes, and what they lead to."""

    def __init__(self, root, base):
        self.store = FilePositions(root)
        self.store.load_copy(BOOK, base)

    def do(self, *changes):
        for change in changes:
            getattr(self.store, change.method)(account_id=BOOK, **change.arguments)
        return self.store.read_copy(BOOK)


@pytest.fixture
def outcome(tmp_path):
    """Return what becomes of changes of the host and of another one, both begun from `base`."""

    def outcome(base, ours, theirs):
        here = Host(tmp_path / "here", base).do(*ours)
        there = Host(tmp_path / "there", base).do(*theirs)
        once = merge(base, here, there, ours)
        # A process that died before it could note that all was done does it again.
        again = merge(base, here, replace(there, state=once.state, applied=once.applied), ours)
        assert (again.state, again.applied) == (once.state, once.applied)
        return once

    return outcome


def test_fills_of_both_hosts_add_up_and_the_same_one_counts_once(outcome):
    ours, theirs = [fill("1"), fill("2"), fill("both")], [fill("3"), fill("both")]
    merged = outcome(copy(held()), ours, theirs)
    assert not merged.stopped
    assert merged.state.positions[CODE].volume == 500


def test_a_position_sold_here_and_bought_there_keeps_what_was_bought(outcome):
    merged = outcome(copy(held()), [fill("1", "SELL")], [fill("2")])
    assert merged.state.positions[CODE] == held(volume=100)


def test_a_position_bought_here_after_it_was_closed_there_opens_anew(outcome):
    merged = outcome(copy(held()), [fill("1")], [fill("2", "SELL")])
    assert merged.state.positions[CODE] == PositionState(CODE, 0, volume=100, opened_on=MONDAY)


@pytest.mark.parametrize(
    ("ours", "theirs", "age", "done"),
    [
        ([MONDAY], [MONDAY], 4, MONDAY),
        ([MONDAY], [], 4, MONDAY),
        ([], [MONDAY], 4, MONDAY),
        ([MONDAY], [TUESDAY], 5, TUESDAY),
        ([TUESDAY], [MONDAY], 5, TUESDAY),
        ([MONDAY, TUESDAY], [TUESDAY], 5, TUESDAY),
        ([MONDAY, MONDAY], [MONDAY, TUESDAY], 5, TUESDAY),
    ],
)
def test_each_day_counts_once_over_both_hosts(outcome, ours, theirs, age, done):
    merged = outcome(copy(held()), [*map(increment, ours)], [*map(increment, theirs)])
    assert not merged.stopped
    assert merged.state.positions[CODE].held_days == age
    assert merged.state.increment_date == done
    assert set(merged.applied) == {increment_identity(day) for day in {*ours, *theirs}}


def test_extremes_are_the_highest_and_the_lowest_of_both(outcome):
    ours = [Change("raise_extremes", {"prices": {CODE: (12.0, 9.5)}})]
    theirs = [Change("raise_extremes", {"prices": {CODE: (11.5, 9.0)}})]
    merged = outcome(copy(held()), ours, theirs)
    assert merged.state.positions[CODE] == held(high=12.0, low=9.0)
    set_here = [Change("update_max_price", {"code": CODE, "price": "10.8"})]
    assert outcome(copy(held()), set_here, theirs).state.positions[CODE].max_price == 11.5
    assert outcome(copy(held()), set_here, []).state.positions[CODE].max_price == 10.8


def test_an_age_that_both_have_set_stops_that_code_and_no_other(outcome):
    base = copy(held(), **{OTHER: PositionState(OTHER, 1, volume=100)})
    ours = [days(5), fill("1"), fill("1", code=OTHER), increment(MONDAY)]
    merged = outcome(base, ours, [days(9)])
    assert merged.stopped == {CODE: "held_days"}
    # The day counts for it all the same.
    assert merged.state.positions[CODE] == held(days=10)
    assert merged.state.positions[OTHER] == PositionState(OTHER, 2, volume=200)


def test_an_age_that_only_the_host_has_set_is_taken_with_the_days_counted_elsewhere(outcome):
    merged = outcome(copy(held()), [days(7)], [increment(MONDAY)])
    assert not merged.stopped
    assert merged.state.positions[CODE].held_days == 8
    merged = outcome(copy(held()), [days(7), increment(MONDAY)], [increment(MONDAY)])
    assert merged.state.positions[CODE].held_days == 8
    merged = outcome(copy(held()), [increment(MONDAY), days(7)], [increment(MONDAY)])
    assert merged.state.positions[CODE].held_days == 7


def test_the_same_age_set_by_both_is_no_conflict(outcome):
    merged = outcome(copy(held()), [days(7)], [days(7)])
    assert not merged.stopped
    assert merged.state.positions[CODE].held_days == 7


def test_an_age_set_twice_of_which_redis_got_the_first_is_no_conflict(outcome):
    merged = outcome(copy(held()), [days(7), days(9)], [days(7)])
    assert not merged.stopped
    assert merged.state.positions[CODE].held_days == 9


def test_volumes_that_the_broker_told_both_hosts_differently_stop_the_code(outcome):
    merged = outcome(copy(held()), [fill("1", remaining=300)], [fill("2", remaining=500)])
    assert merged.stopped == {CODE: "volume"}
    assert merged.state.positions[CODE].volume == 500


def test_a_fill_on_a_volume_that_was_set_elsewhere_stops_the_code(outcome):
    """What was set there may contain the fill already."""
    there = [Change("replace_positions", {"positions": {CODE: held(volume=250)}})]
    assert outcome(copy(held()), [fill("1")], there).stopped == {CODE: "volume"}


def test_a_position_forgotten_here_and_changed_there_stops(outcome):
    forget = Change("delete_held_days", {"code": CODE})
    assert outcome(copy(held()), [forget], [fill("1")]).stopped == {CODE: "volume"}
    assert outcome(copy(held()), [forget], [increment(MONDAY)]).state.positions == {}


def test_a_replaced_book_takes_the_place_of_what_nobody_else_changed(outcome):
    base = copy(held(), **{OTHER: PositionState(OTHER, 1, volume=100)})
    new = {CODE: held(days=8), "600036.SH": PositionState("600036.SH", 0, volume=100)}
    replaced = [Change("replace_positions", {"positions": new, "increment_date": MONDAY})]
    merged = outcome(base, replaced, [increment(MONDAY)])
    assert (merged.state.positions, merged.stopped) == (new, {})
    merged = outcome(base, replaced, [fill("1", code=OTHER)])
    assert merged.stopped == {OTHER: "volume"}
    assert merged.state.positions[OTHER].volume == 200


def test_what_redis_had_and_lost_is_done_again_where_it_is_missing():
    was = [replace(fill(one), was_there=True) for one in ("1", "2")]
    was.append(replace(increment(MONDAY), was_there=True))
    base = copy(held(volume=300, days=4), MONDAY, {increment_identity(MONDAY): MONDAY})
    rebuilt = copy(held(volume=200), FRIDAY, {"2026-03-02|600000.SH|BUY|1": MONDAY})
    merged = merge(base, base, rebuilt, was)
    assert not merged.stopped
    assert merged.state.positions[CODE] == held(volume=300, days=4)
    complete = BookCopy(merged.state, merged.applied)
    assert merge(base, base, complete, was).state == merged.state


def test_a_lost_fill_too_old_to_be_told_from_an_applied_one_is_named_in_the_log(caplog):
    old = replace(fill("1"), was_there=True)
    old.arguments["timestamp"] = datetime(2026, 1, 5, 9, 31, tzinfo=clock.SHANGHAI)
    book = copy(held())
    assert merge(book, book, book, [old]).state == book.state
    (record,) = caplog.records
    assert record.levelname == "ERROR"
    assert "fill 1 of 600000.SH" in record.message


HOST_CHANGES = st.lists(
    st.one_of(
        st.builds(
            lambda number, code: fill(f"{number}", volume=100 * number, code=code),
            st.integers(1, 4),
            st.sampled_from([CODE, OTHER]),
        ),
        st.builds(increment, st.sampled_from([MONDAY, TUESDAY])),
        st.builds(
            lambda high: Change("raise_extremes", {"prices": {CODE: (high, 9.0)}}),
            st.sampled_from([10.5, 11.5, 12.0]),
        ),
    ),
    max_size=6,
)


@settings(max_examples=25, deadline=None)
@given(ours=HOST_CHANGES, theirs=HOST_CHANGES)
def test_whatever_both_do_nothing_is_lost_and_nothing_doubled(tmp_path_factory, ours, theirs):
    """The order of the days on a host is that of the calendar, as it is in life."""
    root = tmp_path_factory.mktemp("hosts")
    base = copy(held(), **{OTHER: PositionState(OTHER, 1, volume=100)})
    with clock.pinned(MORNING):
        here = Host(root / "here", base).do(*ours)
        there = Host(root / "there", base).do(*theirs)
        merged = merge(base, here, there, ours)
    volumes = {CODE: 100, OTHER: 100}
    seen = set()
    for change in [*theirs, *ours]:
        if change.method == "apply_fill":
            code, identity = change.arguments["code"], change.arguments["trade_id"]
            if (code, identity) not in seen:
                seen.add((code, identity))
                volumes[code] += change.arguments["volume"]
    counted = {
        day
        for host in (here, there)
        for day in (MONDAY, TUESDAY)
        if increment_identity(day) in host.applied
    }
    highs = [high for host in (here, there) if (high := host.state.positions[CODE].max_price)]
    assert not merged.stopped
    assert {code: one.volume for code, one in merged.state.positions.items()} == volumes
    assert merged.state.positions[CODE].held_days == 3 + len(counted)
    assert merged.state.positions[CODE].max_price == max(highs)
    assert timedelta(0) <= (merged.state.increment_date or FRIDAY) - FRIDAY
