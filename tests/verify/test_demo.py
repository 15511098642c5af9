"""The platform as a newcomer has it: the demo imported, nothing else done."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from storage_app.stores.compose import create_data_store
from tests.verify.conftest import Platform

pytestmark = [
    pytest.mark.django_db(transaction=True, databases=["default", "clickhouse"]),
    pytest.mark.usefixtures("known_calendar"),
]

DEMO = Path(__file__).resolve().parents[2] / "demo" / "silverquant"


@pytest.fixture
def demo(transactional_db, redis, clickhouse, data_dir, english):
    call_command(
        "import_legacy", str(DEMO), "--account", "55009728", "--environment", "paper",
        "--create-account", "--broker", "QMT", stdout=StringIO(),
    )  # fmt: skip
    one = Platform(create_data_store("hybrid"), data_dir)
    one.settle()
    yield one
    one.store.close()


def run(*arguments):
    out = StringIO()
    try:
        call_command(*arguments, "--json", stdout=out, stderr=StringIO())
    except CommandError as exc:
        return exc.returncode, json.loads(out.getvalue())
    return 0, json.loads(out.getvalue())


def test_the_stores_agree_before_and_after_the_nightly_mirror(demo, data_dir):
    status, before = run("verify_stores")
    assert (status, before["findings"]) == (0, [])
    assert before["compared"]["trades"] > 100
    call_command("mirror_klines", stdout=StringIO())
    status, after = run("verify_stores")
    assert (status, after["findings"]) == (0, [])
    assert after["compared"]["bars"] > 5000
    assert after["compared"]["positions"] == before["compared"]["positions"] == 7


def test_what_is_wrong_with_its_bars_is_found(demo):
    status, document = run("check_klines")
    assert status == 1
    found = {(one["check"], one["code"]): one for one in document["findings"]}
    # The Dragon Boat Festival of 2017, on which two of the files have a bar.
    assert {code for check, code in found if check == "closed day"} == {"000002.SZ", "002594.SZ"}
    assert found["closed day", "000002.SZ"]["first"] == "2017-05-30"
    # Vanke was suspended from 2015-12-18, after the midday break, to 2016-07-04.
    assert "2015-12-21 … 2016-07-01" in found["suspended", "000002.SZ"]["detail"]
    assert found["suspended", "000002.SZ"]["severity"] == "info"
    assert not [one for one in document["findings"] if one["check"] in ("range", "lots", "twin")]
