from __future__ import annotations

import logging
import os
from datetime import date, timedelta

import exchange_calendars
import pytest

from trades_app.market import calendar


@pytest.fixture
def calendar_file(tmp_path):
    """Path of an imported calendar; the configured one comes back afterwards."""
    before = calendar._path
    path = tmp_path / "calendar.csv"
    calendar.configure(path)
    yield path
    calendar.configure(before)


def write(path, *days):
    path.write_text("trade_date\n" + "".join(f"{day}\n" for day in days))


def test_bundled_calendar_knows_weekends_and_holidays(calendar_file):
    assert calendar.is_trading_day(date(2026, 9, 30))
    assert not calendar.is_trading_day(date(2026, 10, 1))
    assert not calendar.is_trading_day(date(2026, 9, 26))


@pytest.mark.filterwarnings(
    "ignore::DeprecationWarning:exchange_calendars.*", "ignore:Series.values"
)
def test_range_is_inclusive_and_agrees_with_exchange_calendars(calendar_file):
    sessions = exchange_calendars.get_calendar("XSHG").sessions_in_range("2024-01-01", "2024-12-31")
    days = calendar.trading_days(date(2024, 1, 1), date(2024, 12, 31))
    assert days == [session.date() for session in sessions]
    assert calendar.count_trading_days(date(2024, 1, 2), date(2024, 1, 2)) == 1
    assert calendar.count_trading_days(date(2024, 1, 3), date(2024, 1, 2)) == 0


def test_neighbours_skip_a_long_holiday(calendar_file):
    assert calendar.next_trading_day(date(2026, 9, 30)) == date(2026, 10, 8)
    assert calendar.previous_trading_day(date(2026, 10, 8)) == date(2026, 9, 30)


def test_nothing_was_traded_before_the_exchange_opened(calendar_file, caplog):
    assert not calendar.is_trading_day(date(1989, 6, 1))
    assert not caplog.records
    with pytest.raises(ValueError, match="1990-12-19"):
        calendar.previous_trading_day(calendar.FIRST_TRADING_DAY)


def test_imported_days_win_inside_their_span_only(calendar_file):
    write(calendar_file, "2024-01-02", "2024-01-04")
    assert not calendar.is_trading_day(date(2024, 1, 3))
    assert calendar.is_trading_day(date(2024, 1, 5))
    assert calendar.is_trading_day(date(2023, 12, 29))


def test_changed_file_is_read_again(calendar_file):
    write(calendar_file, "2024-01-02", "2024-01-04")
    assert not calendar.is_trading_day(date(2024, 1, 3))
    write(calendar_file, "2024-01-02", "2024-01-03", "2024-01-04")
    status = calendar_file.stat()
    os.utime(calendar_file, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert calendar.is_trading_day(date(2024, 1, 3))


def test_weekdays_count_past_all_sources_and_each_call_says_so(calendar_file, caplog):
    last = calendar.known_until()
    monday = last + timedelta(days=7 - last.weekday())
    with caplog.at_level(logging.ERROR):
        assert calendar.is_trading_day(monday)
        assert not calendar.is_trading_day(monday + timedelta(days=5))
        assert calendar.count_trading_days(monday, monday + timedelta(days=13)) == 10
    assert [record.levelname for record in caplog.records] == ["ERROR"] * 3


def test_imported_days_reach_beyond_the_bundled_ones(calendar_file, caplog):
    last = calendar.known_until()
    write(calendar_file, "2026-12-31", "2027-01-04", "2027-01-05")
    assert calendar.known_until() == max(last, date(2027, 1, 5))
    assert not calendar.is_trading_day(date(2027, 1, 1))
    assert calendar.is_trading_day(date(2027, 1, 4))
    assert not caplog.records


def test_days_left_turns_negative_when_the_calendar_has_run_out(calendar_file):
    last = calendar.known_until()
    assert calendar.days_left(last - timedelta(days=39)) == 39
    assert calendar.days_left(last + timedelta(days=1)) == -1


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("trade_date\n2024-01-02\n2024-01-32\n", "line 3.*2024-01-32"),
        ("trade_date\n2024-01-06\n", "line 2.*Saturday"),
        ("trade_date\n\n2024-01-0", "line 3.*2024-01-0"),
        ("day\n2024-01-02\n", "line 1.*trade_date"),
        ("trade_date\n", "no trading day"),
        ("", "line 1"),
    ],
)
def test_damaged_file_is_refused_with_file_and_line(calendar_file, content, complaint):
    calendar_file.write_text(content)
    with pytest.raises(calendar.InvalidCalendar, match=f"{calendar_file}.*{complaint}"):
        calendar.is_trading_day(date(2024, 1, 2))


def test_file_that_is_not_text_is_refused(calendar_file):
    calendar_file.write_bytes(b"\xd6\xd0\x00trade_date")
    with pytest.raises(calendar.InvalidCalendar, match="UTF-8"):
        calendar.is_trading_day(date(2024, 1, 2))
