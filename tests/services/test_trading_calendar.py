from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest

from storage_app import alerts, tasks
from storage_app.services.trading_calendar import LEAST_DAYS, check_calendar
from tests.receivers import receiver as receiver
from trades_app.market import calendar, clock


@pytest.fixture
def last_day(tmp_path):
    """Trading days are known until this day and no further than the bundled ones."""
    day = calendar.known_until() + timedelta(days=200)
    day -= timedelta(days=max(day.weekday() - 4, 0))
    path = tmp_path / "calendar.csv"
    path.write_text(f"trade_date\n2026-03-02\n{day}\n")
    before = calendar._path
    calendar.configure(path)
    yield day
    calendar.configure(before)


def check_on(day: date):
    with clock.pinned(datetime(day.year, day.month, day.day, 8, 30, tzinfo=clock.SHANGHAI)):
        left = check_calendar()
    assert alerts.flush(60)
    return left


def test_people_hear_of_a_calendar_that_runs_out_and_of_its_successor(receiver, last_day, caplog):
    assert check_on(last_day - timedelta(days=LEAST_DAYS)) == LEAST_DAYS
    assert receiver.messages == []
    for _ in range(2):
        assert check_on(last_day - timedelta(days=LEAST_DAYS - 1)) == LEAST_DAYS - 1
    assert len(receiver.messages) == 1
    assert f"{last_day}" in receiver.titles[0]
    assert f"Trading days are known until {last_day} only" in caplog.text
    check_on(last_day - timedelta(days=100))
    assert [message["type"] for message in receiver.messages] == ["warning", "success"]


def test_a_calendar_that_has_run_out_is_told_as_well(receiver, last_day):
    assert check_on(last_day + timedelta(days=3)) == -3
    assert len(receiver.messages) == 1


def test_the_daily_job_tells_for_how_long_days_are_known(last_day):
    assert tasks.check_calendar() == (last_day - clock.today()).days
