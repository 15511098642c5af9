from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from storage_app.contract.errors import Conflict, InvalidInput, NotFound, Unavailable
from storage_app.contract.types import PositionFlag, PositionState
from storage_app.silverquant import apply_corrections, reconcile, sync_positions
from storage_app.silverquant.reconciling import Proposal, shares_of
from tests import servers
from tests.silverquant.conftest import ACCOUNT
from trades_app.market import clock

pytestmark = [
    pytest.mark.django_db(transaction=True, databases=["default", "clickhouse"]),
    pytest.mark.usefixtures("clickhouse", "trading_morning"),
]

EQUAL, MORE, GONE, NEW = "600000.SH", "000001.SZ", "000002.SZ", "300059.SZ"


@pytest.fixture
def held(store):
    """Fills of three codes, all recorded; what the broker says differs in the tests."""
    for number, code in enumerate((EQUAL, MORE, GONE)):
        store.record_fill(ACCOUNT, clock.now(), code, "", "BUY", 10, 1000, trade_id=f"T{number}")
    return store


def by_code(report):
    return {line.code: line for line in report.lines}


def reports(data_dir):
    from storage_app.models import Report

    rows = [(row.summary, row.findings, row.is_clean) for row in Report.objects.all()]
    for path in (data_dir / "reports").glob("reconcile-*.json"):
        document = json.loads(path.read_text())
        findings = document["findings"]
        rows.append((document["summary"], findings, not findings))
    return rows


def corrections(data_dir):
    from storage_app.models import AuditEntry

    rows = AuditEntry.objects.filter(action="repair")
    found = [(row.reason, *row.after) for row in rows]
    path = data_dir / "reports" / "corrections.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return found + [(one["reason"], *one["after"]) for one in map(json.loads, lines)]


def test_what_agrees_three_times_is_clean(held, data_dir):
    report = reconcile(ACCOUNT, dict.fromkeys((EQUAL, MORE, GONE), 1000), store=held)
    assert report.is_clean
    assert report.proposals == []
    assert reports(data_dir) == [
        ({"account_id": ACCOUNT, "codes": 3, "differences": 0}, [], True)
    ]  # fmt: skip


def test_each_difference_has_its_proposal_and_nothing_is_changed(held, data_dir):
    before = held.get_positions(ACCOUNT)
    broker = {"SHSE.600000": 1000, MORE: 1500, NEW: 200}
    lines = by_code(reconcile(ACCOUNT, broker, store=held))
    assert lines[EQUAL].is_equal
    assert [(lines[code].broker, lines[code].platform, lines[code].ledger, lines[code].proposal)
            for code in (MORE, GONE, NEW)] == [
        (1500, 1000, 1000, Proposal.SET_VOLUME),
        (0, 1000, 1000, Proposal.CLOSE),
        (200, 0, 0, Proposal.OPEN),
    ]  # fmt: skip
    assert held.get_positions(ACCOUNT) == before
    ((summary, findings, is_clean),) = reports(data_dir)
    assert (summary["differences"], is_clean) == (3, False)
    assert {one["code"]: one["proposal"] for one in findings} == {
        MORE: "set_volume", GONE: "close", NEW: "open"
    }  # fmt: skip


def test_a_ledger_that_lacks_a_fill_is_told_and_left_to_a_person(store):
    store.update_held_days(EQUAL, 3, ACCOUNT)
    report = reconcile(ACCOUNT, {EQUAL: 500}, store=store)
    (line,) = apply_corrections(report, "checked with the broker", store=store)
    (line,) = reconcile(ACCOUNT, {EQUAL: 500}, store=store).lines
    assert (line.broker, line.platform, line.ledger) == (500, 500, 0)
    assert not line.is_equal
    assert line.proposal is Proposal.NONE


def test_corrections_need_a_reason_and_leave_their_trace(held, data_dir):
    report = reconcile(ACCOUNT, {EQUAL: 1000, MORE: 1500, NEW: 200}, store=held)
    held.update_held_days(MORE, 4, ACCOUNT)
    held.raise_extremes(ACCOUNT, {MORE: (11.0, 9.0)})
    with pytest.raises(InvalidInput, match="reason"):
        apply_corrections(report, " ", store=held)
    assert corrections(data_dir) == []
    done = apply_corrections(report, "bonus shares", only=[MORE], store=held)
    assert [line.code for line in done] == [MORE]
    state = held.get_positions(ACCOUNT)[MORE]
    assert (state.volume, state.held_days, state.max_price) == (1500, 4, 11.0)
    apply_corrections(report, "sold by hand", only=[GONE, NEW], store=held)
    positions = held.get_positions(ACCOUNT)
    assert GONE not in positions
    assert positions[NEW] == PositionState(NEW, 0, volume=200)
    assert sorted(corrections(data_dir)) == [
        ("bonus shares", MORE), ("sold by hand", GONE), ("sold by hand", NEW)
    ]  # fmt: skip


def test_a_report_that_is_out_of_date_corrects_nothing(held, data_dir):
    report = reconcile(ACCOUNT, {EQUAL: 1000, MORE: 1500, GONE: 1000}, store=held)
    held.record_fill(ACCOUNT, clock.now(), MORE, "", "BUY", 10, 500, trade_id="T9")
    with pytest.raises(Conflict, match="reconcile again"):
        apply_corrections(report, "bonus shares", store=held)
    assert corrections(data_dir) == []
    assert held.get_positions(ACCOUNT)[MORE].volume == 1500


def test_shares_of_several_books_are_compared_together(store):
    store.record_fill(ACCOUNT, clock.now(), EQUAL, "", "BUY", 10, 600, trade_id="T1")
    store.record_fill(f"{ACCOUNT}/b", clock.now(), EQUAL, "", "BUY", 10, 400, trade_id="T2")
    assert reconcile(ACCOUNT, {EQUAL: 1000}, store=store).is_clean
    report = reconcile(ACCOUNT, {EQUAL: 900}, store=store)
    assert [line.proposal for line in report.lines] == [Proposal.DECIDE]
    assert apply_corrections(report, "whose?", store=store) == []


def test_the_word_of_the_broker_settles_a_sell_of_unknown_volume(store):
    store.update_held_days(EQUAL, 3, ACCOUNT)
    store.apply_fill(ACCOUNT, EQUAL, "SELL", 100, 10, trade_id="T", timestamp=clock.now())
    report = reconcile(ACCOUNT, {EQUAL: 300}, store=store)
    assert report.lines[0].flag == PositionFlag.UNCONFIRMED
    apply_corrections(report, "broker's list", store=store)
    assert store.get_positions(ACCOUNT) == {EQUAL: PositionState(EQUAL, 3, volume=300)}


def test_the_morning_sync_opens_what_is_missing_and_touches_nothing_else(held):
    held.record_fill(f"{ACCOUNT}/b", clock.now(), "600036.SH", "", "BUY", 10, 700, trade_id="T7")
    broker = [
        SimpleNamespace(stock_code=code, volume=volume)
        for code, volume in {EQUAL: 900, NEW: 200, "600036.SH": 700, "204001.SH": 10}.items()
    ]
    assert sync_positions(ACCOUNT, broker, store=held) == [NEW]
    assert sync_positions(ACCOUNT, broker, store=held) == []
    positions = held.get_positions(ACCOUNT)
    assert set(positions) == {EQUAL, MORE, GONE, NEW}
    assert positions[EQUAL].volume == 1000
    assert positions[NEW] == PositionState(NEW, 0, volume=200)
    assert held.all_held_inc(ACCOUNT) is True
    ages = {code: state.held_days for code, state in held.get_positions(ACCOUNT).items()}
    assert ages == {EQUAL: 0, MORE: 0, GONE: 0, NEW: 1}, "bought today, or on an earlier day"


def test_what_the_broker_holds_may_come_in_its_own_objects():
    qmt = SimpleNamespace(stock_code="600000.SH", volume=100)
    gm = SimpleNamespace(symbol="SZSE.000001", volume=200)
    gone = SimpleNamespace(symbol="SZSE.000002", volume=0)
    assert shares_of([qmt, gm, gone]) == {EQUAL: 100, MORE: 200}
    with pytest.raises(InvalidInput, match="neither"):
        shares_of([SimpleNamespace(volume=1)])
    with pytest.raises(InvalidInput):
        shares_of([SimpleNamespace(symbol="SZSE.000001")])


def test_without_the_database_reports_go_to_files_and_corrections_wait(redis, clickhouse, data_dir):
    from storage_app.stores.compose import create_data_store

    store = create_data_store("hybrid")
    store.create_account(ACCOUNT, "Main", "QMT", 1_000_000)
    servers.MARIADB.stop()
    try:
        report = reconcile(ACCOUNT, {NEW: 200}, store=store)
        assert list((data_dir / "reports").glob("reconcile-*.json"))
        with pytest.raises(Unavailable):
            apply_corrections(report, "found", store=store)
        assert store.get_positions(ACCOUNT) == {}
    finally:
        servers.MARIADB.start()
    assert [line.code for line in apply_corrections(report, "found", store=store)] == [NEW]
    store.close()


def test_an_account_that_nobody_opened_cannot_be_corrected(redis, clickhouse, data_dir):
    from storage_app.stores.compose import create_data_store

    store = create_data_store("hybrid")
    report = reconcile("99999999", {NEW: 200}, store=store)
    with pytest.raises(NotFound):
        apply_corrections(report, "found", store=store)
    assert store.get_positions("99999999") == {}
    store.close()
