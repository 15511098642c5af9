from __future__ import annotations

import pytest

from storage_app.legacy.text import LegacyFileError, read_table, read_text, split_lines

ROWS = "名称,价\n浦发银行,10.5\n平安银行,11\n"


def table_of(path, data):
    path.write_bytes(data)
    return read_table(path, ("名称", "价"))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gbk", "gb18030", "utf-16"])
def test_every_encoding_of_a_chinese_desktop_reads_the_same(tmp_path, encoding):
    table = table_of(tmp_path / "a.csv", ROWS.encode(encoding))
    assert [row.fields["名称"] for row in table.rows] == ["浦发银行", "平安银行"]


def test_mixed_line_ends_keep_their_line_numbers(tmp_path):
    data = "名称,价\n浦发银行,10.5\r\n平安银行,11\r万科A,12\r\n".encode("gbk")
    table = table_of(tmp_path / "a.csv", data)
    assert [(row.line, row.fields["价"]) for row in table.rows] == [
        (2, "10.5"), (3, "11"), (4, "12"),
    ]  # fmt: skip


def test_blank_lines_and_repeated_headers_are_no_rows(tmp_path):
    data = "名称,价\n\n浦发银行,10.5\n名称,价\n,\n平安银行,11\n".encode()
    table = table_of(tmp_path / "a.csv", data)
    assert [row.line for row in table.rows] == [3, 6]
    assert table.skipped == 3
    assert "3 blank" in table.note


def test_stray_quote_spoils_its_own_row_only(tmp_path):
    data = '名称,价\n"浦发银行,10.5\n平安银行,11\n'.encode()
    table = table_of(tmp_path / "a.csv", data)
    assert [row.fields["名称"] for row in table.rows] == ["平安银行"]
    assert [row.line for row in table.rejected] == [2]


def test_row_with_missing_or_surplus_fields_is_rejected_with_its_raw_line(tmp_path):
    table = table_of(tmp_path / "a.csv", "名称,价\n浦发银行\n万科A,1,2\n平安,3,\n".encode())
    assert [(row.line, row.raw) for row in table.rejected] == [(2, "浦发银行"), (3, "万科A,1,2")]
    assert [row.fields["名称"] for row in table.rows] == ["平安"]


@pytest.mark.parametrize("encoding", ["utf-8", "gbk"])
def test_character_cut_off_at_the_end_costs_the_last_row_only(tmp_path, encoding):
    data = "名称,价\n浦发银行,10.5\n平安".encode(encoding)[:-1]
    table = table_of(tmp_path / "a.csv", data)
    assert [row.fields["名称"] for row in table.rows] == ["浦发银行"]
    assert [row.line for row in table.rejected] == [3]


def test_last_row_without_its_line_end_is_rejected_when_all_others_have_crlf(tmp_path):
    table = table_of(tmp_path / "a.csv", "名称,价\r\n浦发银行,10.5\r\n平安银行,1".encode("gbk"))
    assert [row.line for row in table.rows] == [2]
    assert "cut off" in table.rejected[0].reason


def test_last_row_without_a_line_end_counts_in_a_file_saved_by_hand(tmp_path):
    table = table_of(tmp_path / "a.csv", "名称,价\n浦发银行,10.5\n平安银行,11".encode())
    assert len(table.rows) == 2


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "empty"),
        (b" \r\n ", "empty"),
        (b"\xef\xbb\xbf\n\x00\x00\x00", "line 2.*NUL"),
        (b"name\n\x81\x20\xff\xff\n", "line 2.*neither UTF-8 nor GBK"),
        ("代码,价\n1,2\n".encode(), "line 1 column 名称"),
    ],
)
def test_file_beyond_reading_is_refused_in_one_line(tmp_path, data, complaint):
    with pytest.raises(LegacyFileError, match=complaint) as caught:
        table_of(tmp_path / "a.csv", data)
    assert "\n" not in str(caught.value)
    assert str(tmp_path / "a.csv") in str(caught.value)


def test_missing_file_is_refused_by_its_path(tmp_path):
    with pytest.raises(LegacyFileError, match=r"a\.csv.*No such file"):
        read_text(tmp_path / "a.csv")


def test_split_lines_counts_the_end_of_the_last_line_as_nothing():
    assert split_lines("a\r\nb\rc\n") == ["a", "b", "c"]
    assert split_lines("a\n\nb") == ["a", "", "b"]
