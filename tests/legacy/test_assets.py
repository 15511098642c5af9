from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from storage_app.legacy.assets import read_assets
from storage_app.legacy.text import LegacyFileError


def write(path, *rows):
    path.write_text("date,asset\n" + "".join(f"{row}\n" for row in rows))
    return path


def test_last_row_of_a_repeated_date_counts(tmp_path):
    rows = ("2025-09-22,100000.5", "2025-09-23,100100", "2025-09-22,100050.25")
    content = read_assets(write(tmp_path / "assets.csv", *rows))
    assert content.values == {
        date(2025, 9, 22): Decimal("100050.25"),
        date(2025, 9, 23): Decimal(100100),
    }
    assert content.superseded == 1
    assert "1 superseded" in content.note


@pytest.mark.parametrize("row", ["2025-09-22,nan", "2025-09-22,-5", "yesterday,100", "2025-09-22"])
def test_bad_row_is_rejected_and_the_rest_comes_in(tmp_path, row):
    content = read_assets(write(tmp_path / "assets.csv", row, "2025-09-23,100"))
    assert list(content.values) == [date(2025, 9, 23)]
    assert [bad.line for bad in content.rejected] == [2]


def test_bad_row_of_a_repeated_date_does_not_take_the_good_one_away(tmp_path):
    content = read_assets(write(tmp_path / "assets.csv", "2025-09-22,100", "2025-09-22,nan"))
    assert content.values == {date(2025, 9, 22): Decimal(100)}
    assert content.superseded == 0
    assert len(content.rejected) == 1


def test_zero_is_a_value(tmp_path):
    content = read_assets(write(tmp_path / "assets.csv", "2025-09-22,0"))
    assert content.values == {date(2025, 9, 22): Decimal(0)}


def test_wrong_header_is_refused(tmp_path):
    path = tmp_path / "assets.csv"
    path.write_text("day,money\n2025-09-22,100\n")
    with pytest.raises(LegacyFileError, match="line 1 column date"):
        read_assets(path)
