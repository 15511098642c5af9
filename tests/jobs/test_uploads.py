"""What a person may send, and what never leaves its folder."""

from __future__ import annotations

import io
import stat
import zipfile

import pytest

from storage_app.contract.errors import InvalidInput
from storage_app.imports import uploads


def zipped(**entries):
    return packed(entries)


def packed(entries):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return content.getvalue()


def receive(tmp_path, name, data):
    return uploads.receive(tmp_path, "token", name, len(data), [data])


def test_archive_becomes_a_directory_and_its_one_folder_is_entered(tmp_path):
    data = packed({"_cache/prod_pwc/positions.json": "{}", "_cache/_daily_x/a.csv": "x"})
    path, is_folder = receive(tmp_path, "我的.zip", data)
    assert is_folder
    assert path.name == "_cache"
    assert (path / "prod_pwc" / "positions.json").read_text() == "{}"
    assert not list((tmp_path / "uploads").rglob("*.zip"))


@pytest.mark.parametrize("folder", ["prod_pwc", "_daily_akshare"])
def test_folder_whose_name_says_what_it_is_is_kept(tmp_path, folder):
    path, _ = receive(tmp_path, "a.zip", packed({f"{folder}/a.csv": "x"}))
    assert (path / folder / "a.csv").exists()


@pytest.mark.parametrize(
    "name",
    [
        "../out.csv",
        "/etc/cron.d/out",
        "a/../../out.csv",
        "..\\out.csv",
        "C:\\out.csv",
        "a/../b.csv",
    ],
)
def test_archive_that_leads_out_of_its_folder_is_refused_whole(tmp_path, name):
    with pytest.raises(InvalidInput, match="leads out of it"):
        receive(tmp_path, "a.zip", packed({"good.csv": "x", name: "evil"}))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_link_in_an_archive_is_refused(tmp_path):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        link = zipfile.ZipInfo("link.csv")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(InvalidInput, match="no plain file"):
        receive(tmp_path, "a.zip", content.getvalue())


def test_bombs_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(uploads, "MOST_UNPACKED", 1000)
    with pytest.raises(InvalidInput, match="unpacks to 2,000 bytes"):
        receive(tmp_path, "a.zip", packed({"a.csv": "0" * 2000}))
    monkeypatch.setattr(uploads, "MOST_FILES", 2)
    with pytest.raises(InvalidInput, match="holds 3 files"):
        receive(tmp_path, "a.zip", packed(dict.fromkeys(("a.csv", "b.csv", "c.csv"), "")))
    monkeypatch.setattr(uploads, "MOST_BYTES", 10)
    with pytest.raises(InvalidInput, match="at most 10"):
        receive(tmp_path, "a.csv", b"0" * 11)
    with pytest.raises(InvalidInput, match="larger than 10"):
        uploads.receive(tmp_path, "token", "a.csv", 1, [b"0" * 6, b"0" * 6])


def test_size_that_the_list_of_an_archive_lies_about_is_counted(tmp_path, monkeypatch):
    data = bytearray(packed({"a.csv": "0" * 5000}))
    # The size unpacked, in the entry of the list at the end of the file.
    place = data.rfind(b"PK\x01\x02") + 24
    data[place : place + 4] = (10).to_bytes(4, "little")
    monkeypatch.setattr(uploads, "MOST_UNPACKED", 1000)
    with pytest.raises(InvalidInput, match=r"unpacks to more|cannot be unpacked"):
        receive(tmp_path, "a.zip", bytes(data))


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 no archive", b"{}"])
def test_what_is_no_archive_is_refused(tmp_path, data):
    with pytest.raises(InvalidInput, match="cannot be unpacked"):
        receive(tmp_path, "a.zip", data)


@pytest.mark.parametrize("name", ["a.pkl", "a.py", "a", ".csv/..", "..", "a\0.csv"])
def test_file_of_no_known_kind_is_refused(tmp_path, name):
    with pytest.raises(InvalidInput):
        receive(tmp_path, name, b"x")


def test_name_of_a_file_is_never_a_path(tmp_path):
    path, _ = receive(tmp_path, "C:\\Users\\me\\..\\deal_hist.csv", b"x")
    assert path == tmp_path / "uploads" / "token" / "upload" / "deal_hist.csv"


@pytest.mark.parametrize("name", ["..", "../x", "a/../../x", "link"])
def test_directory_of_the_server_lies_below_the_root(tmp_path, name):
    root = tmp_path / "import"
    (root / "mine").mkdir(parents=True)
    (root / "link").symlink_to("/etc")
    with pytest.raises(InvalidInput, match="outside"):
        uploads.below(root, name)
    assert uploads.below(root, "mine") == root / "mine"
    assert uploads.below(root, "/mine") == root / "mine"
    with pytest.raises(InvalidInput, match="there is no"):
        uploads.below(root, "etc/passwd")
