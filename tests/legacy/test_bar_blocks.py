"""Bars read as blocks are those that each file holds when it is read by itself."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from storage_app.contract.types import Adjust
from storage_app.legacy import bar_blocks
from storage_app.legacy.bar_blocks import read_bar_block
from storage_app.legacy.bars import code_of
from storage_app.legacy.text import LegacyFileError

HEADER = "datetime,open,high,low,close,volume,amount"
GOOD = "20250922,10,10.5,9.9,10.2,1000000,10200000"
NEXT = "20250923,10.2,10.4,10.1,10.3,2000000,20500000"
LOTS = "20250922,10,10.5,9.9,10.2,10000,10200000"
DEMO = Path(__file__).resolve().parents[2] / "demo" / "silverquant" / "_daily_akshare"


def write(folder, code, *rows, header=HEADER, end="\n", encoding="utf-8"):
    path = folder / f"{code}.csv"
    path.write_bytes("".join(f"{row}{end}" for row in (header, *rows)).encode(encoding))
    return path


ODD = {
    "crlf": ([GOOD, NEXT], {"end": "\r\n"}),
    "lone cr": ([GOOD, NEXT], {"end": "\r"}),
    "byte order mark": ([GOOD, NEXT], {"encoding": "utf-8-sig"}),
    "other order of columns": (
        ["1000000,20250922,10,10.5,9.9,10.2,10200000"],
        {"header": "volume,datetime,open,high,low,close,amount"},
    ),
    "more columns": ([f"{GOOD},x"], {"header": f"{HEADER},factor"}),
    "repeated header": ([GOOD, HEADER, NEXT], {}),
    "blank line": ([GOOD, "", NEXT], {}),
    "thousands": (['20250922,10,10.5,9.9,10.2,"1,000,000","10,200,000"'], {}),
    "not a number": ([GOOD, NEXT.replace("10.4", "nan")], {}),
    "infinite": ([GOOD, NEXT.replace("10.4", "inf")], {}),
    "too many fields": ([GOOD, NEXT + ",1"], {}),
    "too few fields": ([GOOD, "20250923,10"], {}),
    "newest first": ([NEXT, GOOD], {}),
    "repeated day": ([GOOD, GOOD, NEXT], {}),
    "contradicting day": ([GOOD, GOOD.replace("10.2,", "10.3,")], {}),
    "high below low": ([GOOD, "20250923,10,9,9.9,10,100,1000"], {}),
    "day of rest": (["20250920,10,10,10,10,0,0", GOOD], {}),
    "suspended": ([GOOD, "20250923,10.2,10.2,10.2,10.2,0,0"], {}),
    "empty sizes of a suspended day": ([GOOD, "20250923,10.2,10.2,10.2,10.2,,"], {}),
    "lots": ([LOTS], {}),
    "neither lots nor shares": (["20250922,10,10.5,9.9,10.2,500,10200000"], {}),
    "no such day": ([GOOD, "20250931,10,10,10,10,100,1000"], {}),
    "day to come": ([GOOD, "20990105,10,10,10,10,100,1000"], {}),
    "no rows": ([], {}),
    "no bars": (["1"], {"header": "name"}),
    "text of dates": (["2025-09-22,10,10.5,9.9,10.2,1000000,10200000"], {}),
    "dates as floats": (["20250922.0,10,10.5,9.9,10.2,1000000.0,10200000.0"], {}),
}  # fmt: skip


def assert_as_alone(block, paths, adjust=Adjust.NONE):
    places = {file.path: place for place, file in enumerate(block.files)}
    refused = {error.path: str(error) for error in block.refused}
    for path in paths:
        alone = bar_blocks._read_alone(path, adjust)
        if isinstance(alone, LegacyFileError):
            assert refused.pop(path) == str(alone)
            continue
        place = places.pop(path)
        file, rows = block.files[place], block.place == place
        frame = block.frame[rows].reset_index(drop=True)
        if len(alone.frame):
            pd.testing.assert_frame_equal(frame, alone.frame)
        assert block.lines[rows].tolist() == alone.lines.tolist()
        assert (file.code, file.read, file.repeated) == (alone.code, alone.read, alone.repeated)
        assert (list(file.rejected), file.note) == (alone.rejected, alone.note)
    assert (places, refused) == ({}, {})


@pytest.mark.parametrize("name", ODD)
def test_odd_file_is_read_as_by_itself(tmp_path, name):
    rows, options = ODD[name]
    paths = [
        write(tmp_path, "600000.SH", GOOD, NEXT),
        write(tmp_path, "600001.SH", *rows, **options),
        write(tmp_path, "600002.SH", GOOD, NEXT),
    ]
    assert_as_alone(read_bar_block(paths), paths)


@pytest.mark.parametrize("adjust", list(Adjust))
def test_all_odd_files_together(tmp_path, adjust):
    paths = []
    for number, (rows, options) in enumerate(ODD.values()):
        paths.append(write(tmp_path, f"600{number:03}.SH", *rows, **options))
        paths.append(write(tmp_path, f"300{number:03}.SZ", GOOD, NEXT))
    paths.append(write(tmp_path, "readme", GOOD))
    assert_as_alone(read_bar_block(paths, adjust), paths, adjust)


def test_adjusted_series_may_fall_below_zero(tmp_path):
    rows = ["20140106,-0.55,-0.5,-0.6,-0.52,1000000,10200000", GOOD]
    paths = [write(tmp_path, code, *rows) for code in ("600000.SH", "600001.SH")]
    block = read_bar_block(paths, Adjust.QFQ)
    assert block.frame["low"].tolist() == [-0.6, 9.9] * 2
    assert_as_alone(block, paths, Adjust.QFQ)


def test_random_files_read_as_by_themselves(tmp_path):
    chance = random.Random(7)
    paths = []
    for number in range(120):
        unit = chance.choice((1, 100))
        rows = []
        for day in range(1, chance.randint(2, 29)):
            low, high = sorted(chance.randint(100, 9000) / 100 for _ in range(2))
            volume = chance.randint(0, 10**6) * 100
            amount = round(volume * (low + high) / 2, 2)
            sizes = f"{volume // unit},{amount}"
            rows.append(f"202507{day:02},{low},{high},{low},{high},{sizes}")
        if chance.random() < 0.3:
            spoiled = chance.randrange(len(rows))
            rows[spoiled] = rows[spoiled].replace(",", chance.choice((",-", ",x", ",,")), 1)
        paths.append(write(tmp_path, f"600{number:03}.SH", *rows))
    block = read_bar_block(paths)
    assert len({file.note for file in block.files}) > 1
    assert any(file.rejected for file in block.files)
    assert_as_alone(block, paths)


def test_demo_bars_are_those_of_the_files(tmp_path):
    paths = sorted(DEMO.glob("*.csv"))
    assert_as_alone(read_bar_block(paths), paths)


def test_clean_files_are_not_read_twice(tmp_path, monkeypatch):
    paths = [write(tmp_path, f"600{n:03}.SH", GOOD, NEXT) for n in range(50)]
    paths.append(write(tmp_path, "600500.SH", GOOD, "x"))
    alone = []
    read = bar_blocks._read_alone
    monkeypatch.setattr(
        bar_blocks, "_read_alone", lambda path, adjust: alone.append(path) or read(path, adjust)
    )
    block = read_bar_block(paths)
    assert [code_of(path) for path in alone] == ["600500.SH"]
    assert np.bincount(block.place).tolist() == [2] * 50 + [1]
