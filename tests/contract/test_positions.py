from __future__ import annotations

import logging
from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest

from storage_app.contract.types import BookState, PositionFlag, PositionState
from trades_app.market import calendar, clock

BOOK = "55009728"
NAMESPACE = "55009728/test"
OTHER = "66001234"
BANK = "000001.SZ"
STEEL = "600000.SH"
FUND = "510300.SH"
FRIDAY = date(2026, 2, 27)
SUNDAY = date(2026, 3, 1)
MONDAY = date(2026, 3, 2)
TUESDAY = date(2026, 3, 3)
EVERY_FIELD = {
    BANK: PositionState(BANK, 3, 10.501, 9.8, 1200, FRIDAY),
    STEEL: PositionState(STEEL, 0, None, None, None, None),
    FUND: PositionState(FUND, None, 4.123, None, None, None, PositionFlag.LEFTOVER),
    "430047.BJ": PositionState("430047.BJ", None),
    "300059.SZ": PositionState("300059.SZ", 7, 20.0, 19.0, 0, FRIDAY, PositionFlag.OVERSOLD),
    "688001.SH": PositionState("688001.SH", 1, 50.0, 50.0, None, None, PositionFlag.UNCONFIRMED),
}


def at(day, hour=10):
    return datetime(day.year, day.month, day.day, hour, 31, tzinfo=clock.SHANGHAI)


def fill(store, side, volume, trade_id, *, code=BANK, book=BOOK, day=MONDAY, remaining=None):
    return store.apply_fill(
        book,
        code,
        side,
        volume,
        Decimal("10.50"),
        trade_id=trade_id,
        timestamp=at(day),
        remaining=remaining,
    )


def hold(store, *states, book=BOOK):
    store.replace_positions(book, {state.code: state for state in states})


class TestHeldDays:
    def test_a_code_without_a_position_has_no_age(self, positions):
        assert positions.get_held_days(BANK, BOOK) is None

    def test_day_zero_is_an_age_and_not_nothing(self, positions):
        positions.update_held_days(BANK, 0, BOOK)
        assert positions.get_held_days(BANK, BOOK) == 0

    def test_the_last_age_stands(self, positions):
        positions.update_held_days(BANK, 5, BOOK)
        positions.update_held_days(BANK, 2, BOOK)
        assert positions.get_held_days(BANK, BOOK) == 2

    def test_books_and_namespaces_never_bleed_into_each_other(self, positions):
        for days, book in enumerate((BOOK, NAMESPACE, OTHER)):
            positions.update_held_days(BANK, days, book)
        positions.delete_held_days(BANK, NAMESPACE)
        ages = [positions.get_held_days(BANK, book) for book in (BOOK, NAMESPACE, OTHER)]
        assert ages == [0, None, 2]

    def test_an_age_leaves_volume_date_extremes_and_flag_alone(self, positions):
        hold(positions, *EVERY_FIELD.values())
        positions.update_held_days("300059.SZ", 9, BOOK)
        assert positions.get_positions(BOOK)["300059.SZ"] == PositionState(
            "300059.SZ", 9, 20.0, 19.0, 0, FRIDAY, PositionFlag.OVERSOLD
        )

    def test_an_age_opens_a_closed_entry_and_keeps_its_extremes(self, positions):
        hold(positions, *EVERY_FIELD.values())
        positions.update_held_days(FUND, 4, BOOK)
        assert positions.get_positions(BOOK)[FUND] == PositionState(FUND, 4, 4.123)

    def test_forgetting_a_position_clears_its_extremes_as_well(self, positions):
        hold(positions, *EVERY_FIELD.values())
        positions.delete_held_days(BANK, BOOK)
        assert BANK not in positions.get_positions(BOOK)
        assert positions.get_max_price(BANK, BOOK) is None
        assert positions.get_min_price(BANK, BOOK) is None

    def test_forgetting_what_is_not_there_is_no_error_and_makes_no_book(self, positions):
        positions.delete_held_days(BANK, BOOK)
        assert positions.list_books() == []


class TestIncrement:
    def test_every_open_position_ages_by_one_once_a_day(self, positions):
        positions.update_held_days(BANK, 0, BOOK)
        positions.update_held_days(STEEL, 7, BOOK)
        assert positions.increment_held_days(BOOK, MONDAY) is True
        assert positions.increment_held_days(BOOK, MONDAY) is False
        assert positions.get_held_days(BANK, BOOK) == 1
        assert positions.get_held_days(STEEL, BOOK) == 8

    def test_an_earlier_date_after_a_later_one_does_nothing(self, positions):
        positions.update_held_days(BANK, 0, BOOK)
        positions.increment_held_days(BOOK, TUESDAY)
        assert positions.increment_held_days(BOOK, MONDAY) is False
        assert positions.get_held_days(BANK, BOOK) == 1

    def test_missed_days_still_add_one(self, positions):
        positions.update_held_days(BANK, 3, BOOK)
        positions.increment_held_days(BOOK, FRIDAY)
        positions.increment_held_days(BOOK, FRIDAY + timedelta(days=30))
        assert positions.get_held_days(BANK, BOOK) == 5

    def test_an_empty_book_is_marked_so_that_a_restart_does_not_age_a_new_position(self, positions):
        assert positions.increment_held_days(BOOK, MONDAY) is True
        positions.open_positions(BOOK, [BANK])
        assert positions.increment_held_days(BOOK, MONDAY) is False
        assert positions.get_held_days(BANK, BOOK) == 0
        assert positions.read_book(BOOK).increment_date == MONDAY

    def test_closed_entries_are_not_aged(self, positions):
        hold(positions, *EVERY_FIELD.values())
        positions.increment_held_days(BOOK, MONDAY)
        ages = {code: state.held_days for code, state in positions.get_positions(BOOK).items()}
        assert ages == {
            BANK: 4, STEEL: 1, FUND: None, "430047.BJ": None, "300059.SZ": 8, "688001.SH": 2,
        }  # fmt: skip

    def test_the_opening_day_is_day_zero_even_if_the_increment_runs_after_the_buy(self, positions):
        fill(positions, "BUY", 100, "1", day=MONDAY)
        assert positions.increment_held_days(BOOK, MONDAY) is True
        assert positions.get_held_days(BANK, BOOK) == 0
        positions.increment_held_days(BOOK, TUESDAY)
        assert positions.get_held_days(BANK, BOOK) == 1

    def test_all_held_inc_works_once_on_a_trading_day(self, positions, trading_morning):
        positions.update_held_days(BANK, 1, BOOK)
        assert [positions.all_held_inc(BOOK), positions.all_held_inc(BOOK)] == [True, False]
        assert positions.get_held_days(BANK, BOOK) == 2

    def test_all_held_inc_does_nothing_on_a_closed_day(self, positions):
        positions.update_held_days(BANK, 1, BOOK)
        with clock.pinned(at(SUNDAY)):
            assert positions.all_held_inc(BOOK) is False
        assert positions.read_book(BOOK).increment_date is None
        assert positions.get_held_days(BANK, BOOK) == 1

    def test_the_day_is_the_one_in_shanghai(self, positions):
        positions.update_held_days(BANK, 1, BOOK)
        # 17:00 UTC on Sunday is Monday, 01:00, in Shanghai.
        with clock.pinned(datetime.fromisoformat("2026-03-01T17:00:00+00:00")):
            assert positions.all_held_inc(BOOK) is True
        assert positions.read_book(BOOK).increment_date == MONDAY


class TestExtremes:
    def test_prices_come_back_to_the_thousandth(self, positions):
        positions.update_held_days(BANK, 1, BOOK)
        positions.update_max_price(BANK, Decimal("10.501"), BOOK)
        positions.update_min_price(BANK, Decimal("9.999"), BOOK)
        assert positions.get_max_price(BANK, BOOK) == 10.501
        assert positions.get_min_price(BANK, BOOK) == 9.999

    def test_setting_may_lower_a_high_and_raise_a_low(self, positions):
        hold(positions, EVERY_FIELD[BANK])
        positions.update_max_price(BANK, Decimal("10.1"), BOOK)
        positions.update_min_price(BANK, Decimal("10.0"), BOOK)
        held = positions.get_positions(BOOK)[BANK]
        assert (held.max_price, held.min_price, held.held_days) == (10.1, 10.0, 3)

    def test_a_price_without_a_position_is_kept_as_a_leftover(self, positions):
        positions.update_max_price(BANK, Decimal("10.5"), BOOK)
        positions.update_min_price(STEEL, Decimal("8.5"), BOOK)
        assert positions.get_max_price(BANK, BOOK) == 10.5
        assert positions.get_held_days(BANK, BOOK) is None
        assert positions.get_positions(BOOK) == {
            BANK: PositionState(BANK, max_price=10.5, flag=PositionFlag.LEFTOVER),
            STEEL: PositionState(STEEL, min_price=8.5, flag=PositionFlag.LEFTOVER),
        }

    def test_a_tick_only_widens(self, positions):
        positions.update_held_days(BANK, 1, BOOK)
        for high, low in (("10.2", "10.1"), ("10.3", "10.2"), ("10.0", "9.9"), ("10.1", "10.1")):
            positions.raise_extremes(BOOK, {BANK: (Decimal(high), Decimal(low))})
        held = positions.get_positions(BOOK)[BANK]
        assert (held.max_price, held.min_price) == (10.3, 9.9)

    def test_extremes_are_compared_as_numbers(self, positions):
        positions.update_held_days(BANK, 1, BOOK)
        for price in ("9.5", "10.5", "100.5"):
            positions.raise_extremes(BOOK, {BANK: (Decimal(price), Decimal(price))})
        held = positions.get_positions(BOOK)[BANK]
        assert (held.max_price, held.min_price) == (100.5, 9.5)

    def test_a_tick_passes_over_what_is_not_open(self, positions):
        hold(positions, EVERY_FIELD[BANK], EVERY_FIELD[FUND], EVERY_FIELD["430047.BJ"])
        tick = (Decimal("99"), Decimal("1"))
        positions.raise_extremes(BOOK, dict.fromkeys((BANK, FUND, "430047.BJ", STEEL), tick))
        assert positions.get_positions(BOOK) == {
            BANK: PositionState(BANK, 3, 99.0, 1.0, 1200, FRIDAY),
            FUND: EVERY_FIELD[FUND],
            "430047.BJ": EVERY_FIELD["430047.BJ"],
        }

    def test_a_tick_makes_no_book(self, positions):
        positions.raise_extremes(BOOK, {BANK: (Decimal(2), Decimal(1))})
        positions.raise_extremes(BOOK, {})
        assert positions.list_books() == []

    def test_one_tick_may_cover_the_whole_market(self, positions):
        codes = [f"{number:06d}.SH" for number in range(600000, 605500)]
        hold(positions, *(PositionState(code, 1) for code in codes[:50]))
        positions.raise_extremes(BOOK, dict.fromkeys(codes, (Decimal(9), Decimal(8))))
        held = positions.get_positions(BOOK)
        assert len(held) == 50
        assert {(state.max_price, state.min_price) for state in held.values()} == {(9.0, 8.0)}


class TestBook:
    def test_a_book_comes_back_as_it_was_put(self, positions):
        positions.replace_positions(BOOK, EVERY_FIELD, MONDAY)
        assert positions.read_book(BOOK) == BookState(MONDAY, EVERY_FIELD)
        assert positions.get_positions(BOOK) == EVERY_FIELD

    def test_replacing_leaves_nothing_of_the_old_book(self, positions):
        positions.replace_positions(BOOK, EVERY_FIELD, MONDAY)
        positions.replace_positions(BOOK, {BANK: PositionState(BANK, 1)})
        assert positions.read_book(BOOK) == BookState(None, {BANK: PositionState(BANK, 1)})
        assert positions.get_max_price(FUND, BOOK) is None

    def test_an_unknown_book_is_empty(self, positions):
        assert positions.read_book(BOOK) == BookState()

    def test_what_is_returned_belongs_to_the_caller(self, positions):
        positions.update_held_days(BANK, 1, BOOK)
        positions.get_positions(BOOK).clear()
        assert positions.get_held_days(BANK, BOOK) == 1

    def test_opening_returns_what_is_new_and_leaves_the_rest(self, positions):
        hold(positions, *EVERY_FIELD.values())
        codes = ["430047.BJ", BANK, FUND, "600519.SH", "600519.SH"]
        assert positions.open_positions(BOOK, codes) == ["430047.BJ", FUND, "600519.SH"]
        held = positions.get_positions(BOOK)
        assert held[BANK] == EVERY_FIELD[BANK]
        assert held[FUND] == PositionState(FUND, 0)
        assert positions.open_positions(BOOK, codes) == []

    def test_opening_nothing_makes_no_book(self, positions):
        assert positions.open_positions(BOOK, []) == []
        assert positions.list_books() == []

    def test_books_are_listed_by_name_namespaces_included(self, positions):
        positions.update_held_days(BANK, 1, OTHER)
        positions.increment_held_days(NAMESPACE, MONDAY)
        positions.replace_positions(BOOK, {})
        fill(positions, "SELL", 100, "1", book="77001234", remaining=0)
        assert positions.list_books() == [BOOK, NAMESPACE, OTHER, "77001234"]

    def test_more_than_a_hundred_positions_are_a_warning_and_not_a_wall(self, positions, caplog):
        codes = [f"{number:06d}.SH" for number in range(600000, 600103)]
        with caplog.at_level(logging.WARNING):
            positions.open_positions(BOOK, codes[:100])
            assert not caplog.records
            for code in codes[100:]:
                positions.update_held_days(code, 0, BOOK)
        assert len(positions.get_positions(BOOK)) == 103
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        assert "101 open positions" in caplog.text

    def test_closing_is_idempotent_and_a_later_call_works_again(self, positions):
        positions.update_held_days(BANK, 1, BOOK)
        positions.close()
        positions.close()
        assert positions.get_held_days(BANK, BOOK) == 1


class TestFills:
    def test_a_buy_opens_at_day_zero_without_extremes(self, positions):
        expected = PositionState(BANK, 0, volume=100, opened_on=MONDAY)
        assert fill(positions, "BUY", 100, "1") == expected
        assert positions.get_positions(BOOK) == {BANK: expected}

    def test_the_opening_day_is_the_date_in_shanghai(self, positions):
        moment = datetime.fromisoformat("2026-03-01T17:00:00+00:00")
        held = positions.apply_fill(
            BOOK, BANK, "BUY", 100, Decimal(10), trade_id="1", timestamp=moment
        )
        assert held.opened_on == MONDAY

    def test_a_further_buy_adds_and_keeps_age_extremes_and_opening_day(self, positions):
        hold(positions, EVERY_FIELD[BANK])
        expected = PositionState(BANK, 3, 10.501, 9.8, 1500, FRIDAY)
        assert fill(positions, "BUY", 300, "1") == expected

    def test_partial_sell_keeps_age_and_extremes(self, positions):
        hold(positions, EVERY_FIELD[BANK])
        expected = PositionState(BANK, 3, 10.501, 9.8, 1100, FRIDAY)
        assert fill(positions, "SELL", 100, "1") == expected
        assert positions.get_positions(BOOK)[BANK] == expected

    def test_only_volume_zero_closes_and_takes_the_extremes_along(self, positions):
        hold(positions, EVERY_FIELD[BANK])
        assert fill(positions, "SELL", 1100, "1").volume == 100
        assert fill(positions, "SELL", 100, "2") is None
        assert positions.get_positions(BOOK) == {}
        assert positions.get_max_price(BANK, BOOK) is None

    def test_buying_again_after_closing_starts_anew(self, positions):
        hold(positions, EVERY_FIELD[BANK])
        fill(positions, "SELL", 1200, "1")
        assert fill(positions, "BUY", 200, "2") == PositionState(
            BANK, 0, volume=200, opened_on=MONDAY
        )

    @pytest.mark.parametrize("code", [FUND, "430047.BJ"])
    def test_buying_into_a_closed_entry_opens_it_anew(self, positions, code):
        hold(positions, EVERY_FIELD[code])
        assert fill(positions, "BUY", 200, "1", code=code) == PositionState(
            code, 0, volume=200, opened_on=MONDAY
        )

    def test_an_unknown_volume_stays_unknown_when_more_is_bought(self, positions):
        hold(positions, EVERY_FIELD[STEEL])
        assert fill(positions, "BUY", 200, "1", code=STEEL) == EVERY_FIELD[STEEL]

    def test_a_sell_of_an_unknown_volume_waits_for_the_broker(self, positions):
        hold(positions, EVERY_FIELD[STEEL])
        held = fill(positions, "SELL", 100, "1", code=STEEL)
        assert held == PositionState(STEEL, 0, flag=PositionFlag.UNCONFIRMED)
        assert fill(positions, "SELL", 100, "2", code=STEEL, remaining=0) is None

    def test_the_word_of_the_broker_wins_over_arithmetic(self, positions):
        hold(positions, EVERY_FIELD[BANK])
        assert fill(positions, "SELL", 1200, "1", remaining=500).volume == 500
        assert fill(positions, "BUY", 100, "2", remaining=900).volume == 900
        assert fill(positions, "SELL", 100, "3", remaining=0) is None

    def test_the_word_of_the_broker_clears_a_doubt(self, positions):
        hold(positions, EVERY_FIELD["688001.SH"])
        held = fill(positions, "SELL", 100, "1", code="688001.SH", remaining=300)
        assert (held.volume, held.flag) == (300, PositionFlag.CLEAR)

    def test_a_sell_of_more_than_is_held_is_flagged_and_not_hidden(self, positions):
        hold(positions, EVERY_FIELD[BANK])
        held = fill(positions, "SELL", 1300, "1")
        assert held == PositionState(BANK, 3, 10.501, 9.8, 0, FRIDAY, PositionFlag.OVERSOLD)

    @pytest.mark.parametrize("held", [(), (EVERY_FIELD[FUND],)])
    def test_a_sell_of_what_is_not_held_is_flagged(self, positions, held):
        hold(positions, *held)
        sold = fill(positions, "SELL", 100, "1", code=FUND)
        assert (sold.held_days, sold.volume, sold.flag) == (None, 0, PositionFlag.OVERSOLD)
        assert positions.get_positions(BOOK) == {FUND: sold}

    def test_shares_of_unknown_age_count_when_more_is_bought_or_the_code_is_opened(self, positions):
        fill(positions, "SELL", 100, "1", remaining=400)
        fill(positions, "SELL", 100, "1", code=STEEL, remaining=400)
        assert fill(positions, "BUY", 100, "2").volume == 500
        positions.open_positions(BOOK, [STEEL])
        assert positions.get_positions(BOOK)[STEEL] == PositionState(
            STEEL, 0, volume=400, flag=PositionFlag.UNCONFIRMED
        )

    def test_an_oversold_code_stays_flagged_when_it_is_bought(self, positions):
        fill(positions, "SELL", 100, "1")
        held = fill(positions, "BUY", 300, "2")
        assert held == PositionState(
            BANK, 0, volume=300, opened_on=MONDAY, flag=PositionFlag.OVERSOLD
        )

    def test_shares_of_unknown_age_are_kept_but_unconfirmed(self, positions):
        held = fill(positions, "SELL", 100, "1", remaining=400)
        assert held == PositionState(BANK, volume=400, flag=PositionFlag.UNCONFIRMED)

    def test_the_same_fill_again_changes_nothing(self, positions):
        first = fill(positions, "BUY", 100, "7")
        assert fill(positions, "BUY", 100, "7") == first
        assert fill(positions, "BUY", 999, "7", remaining=5000) == first
        fill(positions, "SELL", 100, "8")
        assert fill(positions, "BUY", 100, "7") is None
        assert positions.get_positions(BOOK) == {}

    def test_one_number_may_stand_for_fills_of_other_codes_sides_days_and_books(self, positions):
        fill(positions, "BUY", 100, "7")
        assert fill(positions, "BUY", 100, "7", day=TUESDAY).volume == 200
        assert fill(positions, "SELL", 50, "7", day=TUESDAY).volume == 150
        assert fill(positions, "BUY", 100, "7", code=STEEL).volume == 100
        assert fill(positions, "BUY", 100, "7", book=NAMESPACE).volume == 100

    def test_applied_fills_are_remembered_for_seven_trading_days(self, positions):
        days = calendar.trading_days(MONDAY, date(2026, 3, 31))
        with clock.pinned(at(days[0])):
            fill(positions, "BUY", 100, "7")
        with clock.pinned(at(days[7])):
            assert fill(positions, "BUY", 100, "7").volume == 100
        with clock.pinned(at(days[8])):
            assert fill(positions, "BUY", 100, "7").volume == 200

    def test_replacing_the_book_does_not_forget_what_was_applied(self, positions):
        fill(positions, "BUY", 100, "7")
        hold(positions, EVERY_FIELD[BANK])
        assert fill(positions, "BUY", 100, "7") == EVERY_FIELD[BANK]
