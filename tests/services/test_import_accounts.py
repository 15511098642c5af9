from __future__ import annotations

import pytest

from storage_app.models import Account, AuditEntry
from tests.services.importing import run

CREDENTIALS = """\
CACHE_PROD_PATH = './_cache/prod_pwc'
CACHE_TEST_PATH = './_cache/test_pwc'
QMT_ACCOUNT_ID = '55009728'
GM_ACCOUNT_ID = '189ca421-49db-11ef-9fa8-00163e022aa6'
DING_SECRET = 'SECRET-OF-SOMEBODY'
"""
GM = "189ca421-49db-11ef-9fa8-00163e022aa6"

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("english")]


@pytest.fixture
def project(tmp_path):
    (tmp_path / "credentials.py").write_text(CREDENTIALS, encoding="utf-8")
    return tmp_path


def write_assets(project, folder, *rows):
    path = project / "_cache" / folder / "assets.csv"
    path.parent.mkdir(parents=True)
    path.write_text("date,asset\n" + "".join(f"{row}\n" for row in rows))


def test_accounts_are_opened_once_with_broker_environment_and_capital(project):
    first = run("import_accounts", project, "--capital", "200000")
    assert (first["status"], first["total"]["new"]) == (0, 2)
    live, paper = Account.objects.order_by("broker").reverse()
    assert (live.account_id, live.broker, live.environment) == ("55009728", "QMT", "live")
    assert (paper.account_id, paper.broker, paper.environment) == (GM, "GM", "paper")
    assert {live.initial_capital, paper.initial_capital} == {200_000}
    assert AuditEntry.objects.filter(reason="import of QMT_ACCOUNT_ID").count() == 1
    again = run("import_accounts", project / "credentials.py")
    assert (again["status"], again["total"]["same"]) == (0, 2)


def test_capital_is_the_first_net_value_of_the_cache_directory(project):
    write_assets(project, "prod_pwc", "2025-09-22,123456.78", "2025-09-23,130000")
    write_assets(project, "test_pwc", "2025-09-22,1000000")
    result = run("import_accounts", project)
    assert result["status"] == 0, result["errors"]
    capital = dict(Account.objects.values_list("account_id", "initial_capital"))
    assert {number: str(value) for number, value in capital.items()} == {
        "55009728": "123456.78",
        GM: "1000000.00",
    }
    assert "from the first value of assets.csv (2025-09-22)" in result["files"][0]["note"]


def test_account_without_a_known_capital_is_rejected_and_the_other_opened(project):
    result = run("import_accounts", project, "--capital", f"{GM}=1000000")
    assert (result["status"], result["total"]["new"], result["total"]["rejected"]) == (1, 1, 1)
    assert "credentials.py line 3 column QMT_ACCOUNT_ID value '55009728'" in result["errors"]
    assert "give --capital" in result["errors"]
    assert "SECRET" not in result["errors"]


def test_one_account_is_chosen_and_named(project):
    result = run(
        "import_accounts", project, "--account", "55009728", "--capital", "55009728=5e5",
        "--name", "55009728=实盘一号",
    )  # fmt: skip
    assert (result["status"], result["total"]["read"]) == (0, 1)
    account = Account.objects.get()
    assert (account.account_name, account.initial_capital) == ("实盘一号", 500_000)
    result = run("import_accounts", project, "--account", "55009729")
    assert result["status"] == 1
    assert "account 55009729 is not in this file" in result["errors"]


def test_account_that_stands_otherwise_is_rejected(project):
    run("import_accounts", project, "--capital", "1000", "--environment", "paper")
    result = run("import_accounts", project)
    assert (result["status"], result["total"]["same"], result["total"]["rejected"]) == (1, 1, 1)
    assert "it exists as paper at QMT, not live at QMT" in result["errors"]


@pytest.mark.parametrize("value", ["-5", "0", "1e30"])
def test_capital_beyond_reason_is_rejected(project, value):
    result = run("import_accounts", project, "--capital", value)
    assert (result["status"], result["total"]["rejected"]) == (1, 2)
    assert not Account.objects.exists()


def test_dry_run_opens_nothing(project):
    result = run("import_accounts", project, "--capital", "1000", "--dry-run")
    assert (result["status"], result["total"]["new"]) == (0, 2)
    assert not Account.objects.exists()


def test_accounts_of_an_earlier_store_come_in(tmp_path):
    path = tmp_path / "accounts.json"
    path.write_text(
        '{"55009728": {"account_name": "旧", "broker": "QMT", "initial_capital": 1000.5},\n'
        '"55009729": {"account_name": "旧", "broker": "XXX", "initial_capital": 1}}',
        encoding="utf-8",
    )
    result = run("import_accounts", path)
    assert (result["total"]["new"], result["total"]["rejected"]) == (1, 1)
    assert "accounts.json line 2" in result["errors"]
    assert str(Account.objects.get().initial_capital) == "1000.50"


@pytest.mark.parametrize("arguments", [("--capital", "much"), ("--name", "x")])
def test_arguments_that_are_none_are_wrong_use(project, arguments):
    assert run("import_accounts", project, *arguments)["status"]
    assert not Account.objects.exists()
