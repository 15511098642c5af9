from __future__ import annotations

import random

import pytest

from storage_app.legacy import lines as module
from storage_app.legacy.lines import Lines
from storage_app.legacy.text import CUT, LegacyFileError, read_text, split_lines


def write(path, data):
    path.write_bytes(data)
    return path


def all_lines(path):
    found = Lines(path)
    return [line for batch in found.batches() for line in batch], found


@pytest.fixture
def small_blocks(monkeypatch):
    """Let blocks end everywhere: within characters and between CR and LF."""
    monkeypatch.setattr(module, "_BLOCK", 7)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gbk", "gb18030", "utf-16"])
@pytest.mark.parametrize("ends", [("\n",), ("\r\n",), ("\r",), ("\n", "\r\n", "\r")])
def test_batches_are_the_lines_of_the_whole_text(tmp_path, small_blocks, encoding, ends):
    chance = random.Random(1)
    rows = ["名称,价", *(f"浦发银行{n},{n}.5" for n in range(40)), "", "*ST大唐,3"]
    text = "".join(row + chance.choice(ends) for row in rows)
    path = write(tmp_path / "a.csv", text.encode(encoding))
    assert all_lines(path)[0] == split_lines(read_text(path)) == rows


def test_second_pass_reads_from_the_start(tmp_path):
    found = Lines(write(tmp_path / "a.csv", b"a\nb\n"))
    assert [*found.batches()] == [*found.batches()]


@pytest.mark.parametrize(
    ("data", "is_cut"),
    [
        (b"a\r\nb\r\nc", True),
        (b"a\r\nb\r\nc\r\n", False),
        (b"a\nb\nc", False),
        (b"a\r\nb\nc\n", False),
    ],
)
def test_last_line_without_its_end_is_told_by_the_others(tmp_path, small_blocks, data, is_cut):
    found, read = all_lines(write(tmp_path / "a.csv", data))
    assert found == ["a", "b", "c"]
    assert read.is_cut is is_cut


@pytest.mark.parametrize("encoding", ["utf-8", "gbk"])
def test_character_cut_off_at_the_end_is_marked(tmp_path, small_blocks, encoding):
    data = "名称\n浦发".encode(encoding)[:-1]
    assert all_lines(write(tmp_path / "a.csv", data))[0][-1].endswith(CUT)


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "empty"),
        (b" \r\n \n" * 9, "empty"),
        (b"header\nrow one\nrow\x00two\n", "line 3.*NUL"),
        (b"header\nrow one row one\n\x81\x20\xff\xff\n", "line 3.*neither UTF-8 nor GBK"),
    ],
)
def test_file_beyond_reading_is_refused_before_its_first_line(
    tmp_path, small_blocks, data, complaint
):
    with pytest.raises(LegacyFileError, match=complaint):
        Lines(write(tmp_path / "a.csv", data))


def test_endless_line_is_refused(tmp_path):
    found = Lines(write(tmp_path / "a.csv", b"header\n" + b"x" * 3_000_000))
    with pytest.raises(LegacyFileError, match="characters"):
        list(found.batches())


def test_missing_file_is_refused_by_its_path(tmp_path):
    with pytest.raises(LegacyFileError, match=r"a\.csv.*No such file"):
        Lines(tmp_path / "a.csv")


def test_file_that_is_read_whole_has_a_largest_size(tmp_path):
    path = write(tmp_path / "600000.SH.csv", b"x" * (8 * 1024 * 1024 + 1))
    with pytest.raises(LegacyFileError, match="larger than 8 MB"):
        read_text(path)
