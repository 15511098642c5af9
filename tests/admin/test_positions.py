from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.urls import reverse

from storage_app.admin import figures
from storage_app.admin.health import Outage
from storage_app.admin.positions import FLAGS
from storage_app.contract.types import PositionFlag, PositionState
from tests.factories import make_account
from trades_app.market import clock

pytestmark = pytest.mark.django_db(databases=["default", "clickhouse"])


def test_every_flag_has_a_word_and_an_advice():
    assert FLAGS.keys() == set(PositionFlag) - {PositionFlag.CLEAR}


@pytest.mark.parametrize("flag", FLAGS)
def test_a_flagged_position_says_what_to_do(boss, store, flag):
    make_account("10000001")
    state = PositionState("600000.SH", 3, volume=100, flag=flag)
    calm = PositionState("600036.SH", 3, volume=100)
    store.replace_positions("10000001", {state.code: state, calm.code: calm})

    page = boss.get(reverse("admin:positions"))
    text = page.content.decode().replace("&#x27;", "'")

    word, advice = FLAGS[flag]
    assert text.count(f'title="{advice}"') == 1
    # Once as a hint of the mouse and once below the table, for who has none.
    assert text.count(str(advice)) == 2
    assert f">{word}</span>" in text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0 s"),
        (0.4, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (3599, "59 min"),
        (3600, "1 h 0 min"),
        (11_100, "3 h 5 min"),
        (86_400, "1 d 0 h"),
        (183_600, "2 d 3 h"),
    ],
)
def test_lengths_of_time_are_told_in_two_units(english, seconds, text):
    assert figures.duration(seconds) == text


def test_an_outage_of_today_names_the_hour_and_an_older_one_the_date(english, trading_morning):
    assert Outage(datetime(2026, 3, 2, 9, 5, tzinfo=clock.SHANGHAI)).since == "09:05"
    older = Outage(trading_morning - timedelta(days=3), "Error 111\n  connecting " + "x" * 200)
    assert (older.since, older.lasts) == ("2026-02-27 09:31", "3 d 0 h")
    assert older.short_reason.startswith("Error 111 connecting x")
    assert len(older.short_reason) == 160
