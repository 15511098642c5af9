from __future__ import annotations

import pytest

from storage_app.legacy.directory import explore
from storage_app.legacy.text import LegacyFileError


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x")


def test_both_generations_of_a_cache_directory(tmp_path):
    for name in (
        "prod_pwc/positions.json", "prod_pwc/held_days.json", "prod_pwc/max_price.json",
        "prod_pwc/max_prices.json", "prod_pwc/deal_hist.csv", "test_pwc/held_days.json",
        "staging_pwc/assets.csv", "_open_day_list_sina.csv",
        "_api_akshare/_open_day_list_sina.csv", "_daily_akshare/600000.SH.csv",
        "_daily_tushare/kline/000001.SZ.csv", "_daily_tushare/_code_list.csv", "logs.txt",
    ):  # fmt: skip
        touch(tmp_path / name)
    found = explore(tmp_path)
    assert {book.path.name: book.namespace for book in found.books} == {
        "prod_pwc": "", "test_pwc": "test", "staging_pwc": "staging",
    }  # fmt: skip
    main = next(book for book in found.books if not book.namespace)
    assert main.holdings == tmp_path / "prod_pwc" / "positions.json"
    assert main.max_prices == tmp_path / "prod_pwc" / "max_price.json"
    assert main.min_prices is None
    assert len(found.calendars) == 2
    assert [(folder.source, len(folder.files)) for folder in found.bars] == [
        ("akshare", 1), ("tushare", 1),
    ]  # fmt: skip
    assert "logs.txt" in found.unused
    assert str(main.path.relative_to(tmp_path) / "held_days.json") in found.unused


def test_cache_directory_is_found_from_its_parent(tmp_path):
    touch(tmp_path / "_cache" / "prod_pwc" / "positions.json")
    assert explore(tmp_path).root == tmp_path / "_cache"


def test_folder_of_one_strategy_is_its_main_book(tmp_path):
    touch(tmp_path / "positions.json")
    (book,) = explore(tmp_path).books
    assert book.namespace == ""


def test_folder_of_the_paper_strategy_stays_a_namespace(tmp_path):
    touch(tmp_path / "test_pwc" / "positions.json")
    (book,) = explore(tmp_path / "test_pwc").books
    assert book.namespace == "test"


def test_own_folder_of_a_strategy_is_a_book_of_its_name(tmp_path):
    touch(tmp_path / "wencai" / "held_days.json")
    touch(tmp_path / "策略" / "held_days.json")
    found = explore(tmp_path)
    assert [book.namespace for book in found.books] == ["wencai"]
    assert [error.path.name for error in found.refused] == ["策略"]


@pytest.mark.parametrize("name", ["missing", "file.txt", "empty"])
def test_place_without_anything_to_import_is_refused_in_one_line(tmp_path, name):
    touch(tmp_path / "file.txt")
    (tmp_path / "empty").mkdir()
    with pytest.raises(LegacyFileError, match=name) as caught:
        explore(tmp_path / name)
    assert "\n" not in str(caught.value)
