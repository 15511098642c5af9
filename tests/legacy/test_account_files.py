from __future__ import annotations

import json
from decimal import Decimal

import pytest

from storage_app.legacy.account_files import read_accounts
from storage_app.legacy.text import LegacyFileError

CREDENTIALS = """\
CACHE_PROD_PATH = './_cache/prod_pwc'   # 生产环境
CACHE_TEST_PATH = './_cache/test_pwc'

QMT_ACCOUNT_ID = '55009728'
QMT_CLIENT_PATH = r'C:\\国金证券QMT交易端\\userdata_mini'
DING_SECRET = 'SECRET-OF-SOMEBODY'
GM_CLIENT_TOKEN = 'token-of-somebody'
GM_ACCOUNT_ID = '189ca421-49db-11ef-9fa8-00163e022aa6'
TUSHARE_TOKEN = [
    ['(your token)', '(your custom token name)'],
]
"""


def write(path, text, encoding="utf-8"):
    path.write_bytes(text.encode(encoding))
    return path


def test_both_accounts_come_with_broker_environment_and_net_values(tmp_path):
    assets = tmp_path / "_cache" / "prod_pwc" / "assets.csv"
    assets.parent.mkdir(parents=True)
    assets.write_text("date,asset\n")
    live, paper = read_accounts(write(tmp_path / "credentials.py", CREDENTIALS)).accounts
    assert (live.account_id, live.broker, live.environment) == ("55009728", "QMT", "live")
    assert (live.line, live.assets) == (4, assets)
    assert paper.account_id == "189ca421-49db-11ef-9fa8-00163e022aa6"
    assert (paper.broker, paper.environment, paper.assets) == ("GM", "paper", None)


@pytest.mark.parametrize("encoding", ["gbk", "utf-8-sig"])
def test_file_of_a_chinese_windows_is_read(tmp_path, encoding):
    path = write(tmp_path / "credentials.py", CREDENTIALS, encoding)
    assert len(read_accounts(path).accounts) == 2


def test_number_without_quotes_is_an_account_and_an_empty_one_is_none(tmp_path):
    text = "QMT_ACCOUNT_ID = 55009728\nGM_ACCOUNT_ID = ''\n"
    (one,) = read_accounts(write(tmp_path / "credentials.py", text)).accounts
    assert one.account_id == "55009728"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("os.environ['ACCOUNT']", "has no value in this file"),
        ("'189ca421-49db-11ef-9fa8-0016********'", "must be 6 to 50"),
        ("'123'", "must be 6 to 50"),
    ],
)
def test_number_that_is_none_is_rejected_with_its_line(tmp_path, value, reason):
    text = f"# 账号\nQMT_ACCOUNT_ID = {value}\n"
    (row,) = read_accounts(write(tmp_path / "credentials.py", text)).rejected
    assert (row.line, row.column) == (2, "QMT_ACCOUNT_ID")
    assert reason in row.reason


@pytest.mark.parametrize("text", ["ACCOUNT_ID = '55009728'\n", "QMT_ACCOUNT_ID = ''\n"])
def test_file_without_an_account_is_refused(tmp_path, text):
    with pytest.raises(LegacyFileError, match="QMT_ACCOUNT_ID or GM_ACCOUNT_ID"):
        read_accounts(write(tmp_path / "credentials.py", text))


def test_broken_file_is_refused_without_repeating_its_secrets(tmp_path):
    path = write(tmp_path / "credentials.py", "DING_SECRET = 'SECRET-OF-SOMEBODY\n")
    with pytest.raises(LegacyFileError) as caught:
        read_accounts(path)
    assert "line 1" in str(caught.value)
    assert "SECRET-OF-SOMEBODY" not in str(caught.value)


def test_accounts_of_an_earlier_store_come_with_their_capital(tmp_path):
    content = {
        "55009728": {"account_name": "实盘", "broker": "QMT", "initial_capital": 200607.14},
        "12": {"broker": "QMT"},
        "55009729": 3,
        "55009730": {"broker": "GM", "initial_capital": "much"},
    }
    path = write(tmp_path / "accounts.json", json.dumps(content, indent=4))
    found = read_accounts(path)
    (one,) = found.accounts
    assert (one.account_id, one.name, one.broker) == ("55009728", "实盘", "QMT")
    assert one.capital == Decimal("200607.14")
    assert [(row.line, row.value) for row in found.rejected] == [
        (7, "12"), (10, "55009729"), (11, "55009730"),
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["", '{"55009728": {', "[]", "{}", "[" * 100_000])
def test_damaged_or_empty_json_is_refused(tmp_path, text):
    with pytest.raises(LegacyFileError):
        read_accounts(write(tmp_path / "accounts.json", text))
