from __future__ import annotations

from datetime import date

from storage_app.legacy.trading_days import read_trading_days


def test_list_of_sina_with_its_index_column(tmp_path):
    path = tmp_path / "_open_day_list_sina.csv"
    path.write_text(",trade_date\n0,1990-12-19\n1,1990-12-20\n2,1990-12-20\n3,2099-01-02\n")
    content = read_trading_days(path)
    assert content.days == [date(1990, 12, 19), date(1990, 12, 20), date(2099, 1, 2)]
    assert content.repeated == 1


def test_weekends_and_bad_dates_are_rejected(tmp_path):
    path = tmp_path / "_open_day_list_sina.csv"
    path.write_text("trade_date\n2025-09-20\n2025-09-31\n2025/09/22\n20250923\n\n")
    content = read_trading_days(path)
    assert content.days == [date(2025, 9, 22), date(2025, 9, 23)]
    assert [row.line for row in content.rejected] == [2, 3]
