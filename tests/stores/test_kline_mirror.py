from __future__ import annotations

import io
import json
from datetime import date

import pandas as pd
import pytest
from django.core.management import CommandError, call_command

from storage_app import tasks
from storage_app.contract.errors import Unavailable
from storage_app.stores import kline_mirror
from storage_app.stores.clickhouse import ClickHouseKlines
from storage_app.stores.compose import create_data_store
from storage_app.stores.file.klines import FileKlines
from storage_app.stores.kline_mirror import refresh
from tests import servers
from tests.factories import make_bars

pytestmark = [
    pytest.mark.django_db(databases=["default", "clickhouse"]),
    pytest.mark.usefixtures("clickhouse"),
]

CODES = ("000001.SZ", "600000.SH", "830799.BJ")
DAYS = 30


@pytest.fixture
def server():
    """ClickHouse with bars of three codes, an adjusted series of one and factors of one."""
    store = ClickHouseKlines()
    for number, code in enumerate(CODES):
        store.write_klines(make_bars(code, days=DAYS, first_close=10.0 + number))
    adjusted = make_bars(CODES[0], days=DAYS, first_close=-2.0).assign(amount=1000.0)
    store.write_klines(adjusted, adjust="forward")
    store.write_adjust_factors(
        pd.DataFrame({"code": [CODES[1]], "ex_date": [date(2026, 3, 9)], "factor": ["1.25"]})
    )
    yield store
    servers.CLICKHOUSE.start()
    store.close()


def files_of(data_dir):
    return {
        str(path.relative_to(data_dir / "klines")): path.stat().st_mtime_ns
        for path in (data_dir / "klines").glob("*/*.csv")
    }


def test_the_files_hold_what_the_server_has(server, data_dir):
    result = refresh(data_dir)
    assert result.written == {"none": 3, "forward": 1, "factors": 1}
    files = FileKlines(data_dir)
    for adjust in ("none", "forward", "backward"):
        for code in CODES:
            pd.testing.assert_frame_equal(
                files.get_kline(code, adjust=adjust), server.get_kline(code, adjust=adjust)
            )
    assert set(files_of(data_dir)) == {
        "forward/000001.SZ.csv",
        "factors/600000.SH.csv",
        *(f"none/{code}.csv" for code in CODES),
    }


def test_only_codes_that_changed_are_written(server, data_dir):
    refresh(data_dir)
    before = files_of(data_dir)
    assert refresh(data_dir).written == {"none": 0, "forward": 0, "factors": 0}
    assert files_of(data_dir) == before
    server.write_klines(make_bars(CODES[1], days=DAYS + 1))
    result = refresh(data_dir)
    assert (result.written["none"], result.unchanged["none"]) == (1, 2)
    changed = {name for name, stamp in files_of(data_dir).items() if before[name] != stamp}
    assert changed == {f"none/{CODES[1]}.csv"}
    assert len(FileKlines(data_dir).get_kline(CODES[1])) == DAYS + 1


def test_a_corrected_bar_is_a_change_though_its_day_is_not_new(server, data_dir):
    refresh(data_dir)
    corrected = make_bars(CODES[2], days=DAYS).head(1).assign(close=12.34, high=99.0)
    server.write_klines(corrected)
    assert refresh(data_dir).written["none"] == 1
    assert FileKlines(data_dir).get_kline(CODES[2])["close"].iloc[0] == 12.34


def test_a_file_that_was_removed_comes_back_and_bars_of_file_mode_stay(server, data_dir):
    early = make_bars(CODES[0], days=3, start=date(2025, 3, 3))
    FileKlines(data_dir).write_klines(early)
    refresh(data_dir)
    assert len(FileKlines(data_dir).get_kline(CODES[0])) == DAYS + 3
    (data_dir / "klines" / "none" / f"{CODES[1]}.csv").unlink()
    assert refresh(data_dir).written["none"] == 1
    assert len(FileKlines(data_dir).get_kline(CODES[1])) == DAYS


@pytest.mark.parametrize("limit", ["BATCH_BARS", "BATCH_CODES"])
def test_small_batches_come_to_the_same(server, data_dir, monkeypatch, limit):
    monkeypatch.setattr(kline_mirror, limit, 1)
    assert refresh(data_dir).written == {"none": 3, "forward": 1, "factors": 1}
    assert len(files_of(data_dir)) == 5


def test_a_run_that_was_interrupted_goes_on_where_it_was(server, data_dir, monkeypatch):
    monkeypatch.setattr(kline_mirror, "BATCH_CODES", 1)
    seen = []

    def interrupt(self, frame, adjust="none", source=""):
        seen.append(adjust)
        if len(seen) == 3:
            raise KeyboardInterrupt
        return write(self, frame, adjust, source)

    write = FileKlines.write_klines
    with monkeypatch.context() as patch:
        patch.setattr(FileKlines, "write_klines", interrupt)
        with pytest.raises(KeyboardInterrupt):
            refresh(data_dir)
    assert refresh(data_dir).written == {"forward": 0, "none": 2, "factors": 1}
    assert len(files_of(data_dir)) == 5


def test_hybrid_mode_answers_from_the_mirrored_files(server, data_dir):
    refresh(data_dir)
    expected = server.get_kline(CODES[1], days=5)
    store = create_data_store("hybrid")
    servers.CLICKHOUSE.kill()
    pd.testing.assert_frame_equal(store.get_kline(CODES[1], days=5), expected)
    store.close()


def test_an_outage_leaves_the_files_alone(server, data_dir):
    refresh(data_dir)
    before = files_of(data_dir)
    server.close()
    servers.CLICKHOUSE.kill()
    with pytest.raises(Unavailable):
        refresh(data_dir)
    with pytest.raises(CommandError, match="clickhouse is unavailable"):
        call_command("mirror_klines")
    assert files_of(data_dir) == before


def test_the_command_tells_people_and_programs(server, data_dir):
    out = io.StringIO()
    call_command("mirror_klines", stdout=out)
    assert out.getvalue().splitlines() == [
        "forward: 1 codes written, 0 unchanged",
        "none: 3 codes written, 0 unchanged",
        "factors: 1 codes written, 0 unchanged",
    ]
    out = io.StringIO()
    call_command("mirror_klines", "--json", stdout=out)
    assert json.loads(out.getvalue())["unchanged"] == {"forward": 1, "none": 3, "factors": 1}


def test_the_nightly_job_does_it_unless_no_mirror_is_kept(server, data_dir, settings):
    settings.ENABLE_DUAL_WRITE = False
    assert tasks.mirror_klines() == {}
    assert not (data_dir / "klines").exists()
    settings.ENABLE_DUAL_WRITE = True
    assert tasks.mirror_klines() == {"forward": 1, "none": 3, "factors": 1}
