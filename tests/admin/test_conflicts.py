"""A trade that contradicts the ledger, from the badge on the dashboard to the decision."""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal

import pytest
from django.urls import reverse

from storage_app.models import AuditEntry, TradeConflict
from tests import servers
from tests.admin.conftest import signed_in
from tests.factories import make_conflict, make_trade, make_user

pytestmark = pytest.mark.django_db(databases=["default", "clickhouse"])

LIST = "admin:storage_app_tradeconflict_changelist"


def page_of(client, conflict, action="change"):
    return client.get(reverse(f"admin:storage_app_tradeconflict_{action}", args=[conflict.pk]))


def decide(client, conflict, action, reason="contract note 17"):
    address = reverse(f"admin:storage_app_tradeconflict_{action}", args=[conflict.pk])
    return client.post(address, {"reason": reason}, follow=True)


def differing(page):
    return [label for label, *_texts, differs in page.context["comparison"].rows if differs]


def listed(client, query=""):
    return list(client.get(reverse(LIST) + query).context["cl"].result_list)


def badge(client):
    text = client.get(reverse("admin:positions")).content.decode()
    return re.search(r'<span class="sq-badge sq-count"[^>]*>([^<]*)<', text).group(1)


def test_the_list_shows_open_conflicts_first(boss, desk):
    decided, still_open = desk.conflict, make_conflict(account_id="20000002")
    newest = make_conflict(account_id="20000002")
    decide(boss, newest, "take")
    decide(boss, decided, "keep")

    assert listed(boss) == [still_open, newest, decided]
    assert listed(boss, "?state=open") == [still_open]
    assert listed(boss, "?state=resolved") == [newest, decided]
    assert listed(boss, f"?account={desk.mine.pk}") == [decided]
    assert listed(boss, "?q=600000") == [still_open, newest, decided]


def test_both_rows_stand_side_by_side_with_what_differs_marked(boss, desk):
    page = page_of(boss, desk.conflict)
    text = page.content.decode()

    assert differing(page) == ["Price", "Volume (shares)", "Amount"]
    rows = {label: texts for label, *texts, _differs in page.context["comparison"].rows}
    assert rows["Price"] == ["10.00", "10.50"]
    assert rows["Amount"] == ["10,000.00", "9,450.00"]
    assert text.count('<tr data-kind="changed">') == 3
    for verb in ("Keep the ledger", "Take the refused row", "Record both"):
        assert verb in text


def test_a_viewer_sees_the_rows_and_no_buttons(desk):
    client = signed_in(make_user("viewer"))
    client.cookies["django_language"] = "en"
    text = page_of(client, desk.conflict).content.decode()

    assert "10.50" in text
    assert "Take the refused row" not in text
    assert decide(client, desk.conflict, "take").status_code == 403
    desk.conflict.refresh_from_db()
    assert not desk.conflict.is_resolved


def test_nothing_happens_before_the_reason_is_given(boss, desk):
    asked = page_of(boss, desk.conflict, "take")
    refused = decide(boss, desk.conflict, "take", reason=" ")

    assert differing(asked) == differing(refused) == ["Price", "Volume (shares)", "Amount"]
    assert refused.context["form"].errors["reason"]
    desk.conflict.refresh_from_db()
    assert not desk.conflict.is_resolved


@pytest.mark.parametrize(
    ("action", "prices"), [("keep", [10.0]), ("take", [10.5]), ("record_both", [10.0, 10.5])]
)
def test_the_ledger_shows_what_was_decided(desk, store, limited, action, prices):
    page = decide(limited, desk.conflict, action)

    assert page.redirect_chain[-1][0] == reverse(
        "admin:storage_app_tradeconflict_change", args=[desk.conflict.pk]
    )
    assert sorted(row["price"] for row in store.query_trades("10000001")) == prices
    conflict = TradeConflict.objects.get()
    assert (conflict.resolved_by, conflict.why) == ("limited", "contract note 17")
    for uid in page.context["ledger_uids"]:
        assert limited.get(reverse("admin:trades_app_trade_change", args=[uid])).status_code == 200


def test_a_decided_conflict_is_read_only_and_keeps_both_rows(boss, desk):
    decide(boss, desk.conflict, "take")
    page = page_of(boss, desk.conflict)
    text = page.content.decode()

    # Of the rows as they were, though the ledger has the refused one now.
    assert differing(page) == ["Price", "Volume (shares)", "Amount"]
    assert "contract note 17" in text
    assert "Take the refused row" not in text
    assert page_of(boss, desk.conflict, "keep").status_code == 302


def test_the_second_of_two_people_is_told_who_was_first(boss, desk, limited):
    page_of(boss, desk.conflict, "take")
    decide(limited, desk.conflict, "keep")
    late = decide(boss, desk.conflict, "take")

    assert "limited has decided this conflict already" in late.content.decode()
    assert AuditEntry.objects.filter(entity="tradeconflict").count() == 1


def test_the_audit_trail_tells_in_words_what_a_decision_changed(boss, desk):
    decide(boss, desk.conflict, "take")
    page = page_of(boss, desk.conflict)
    trail = re.search(r'href="([^"]*auditentry/\?entity[^"]*)"', page.content.decode()).group(1)

    (entry,) = boss.get(trail.replace("&amp;", "&")).context["cl"].result_list
    shown = boss.get(reverse("admin:storage_app_auditentry_change", args=[entry.pk]))

    rows = {label: (before, after) for label, before, after, _kind in shown.context["rows"]}
    assert rows["Price"] == ("10.000", "10.500")
    assert rows["Volume (shares)"] == ("1000", "900")
    assert rows["Resolution"] == ("", "taken")
    assert entry.reason == "contract note 17"


def test_open_conflicts_are_counted_on_the_dashboard_and_in_the_sidebar(boss, desk, limited):
    make_conflict(account_id="20000002")

    assert badge(boss) == "2"
    assert badge(limited) == "1"
    assert "2 trade conflicts wait" in boss.get(reverse("admin:index")).content.decode()
    assert "1 trade conflict waits" in limited.get(reverse("admin:index")).content.decode()

    decide(boss, desk.conflict, "keep")
    assert badge(limited) == ""
    assert "waits for a decision" not in limited.get(reverse("admin:index")).content.decode()


def test_without_clickhouse_the_refused_row_is_shown_and_nothing_is_decided(boss, desk):
    servers.CLICKHOUSE.stop()
    try:
        page = page_of(boss, desk.conflict)
        late = decide(boss, desk.conflict, "take")
    finally:
        servers.CLICKHOUSE.start()

    assert "clickhouse does not answer" in page.content.decode()
    assert "10.50" in page.content.decode()
    assert "clickhouse is unavailable" in late.content.decode()
    desk.conflict.refresh_from_db()
    assert not desk.conflict.is_resolved


def test_a_row_that_the_ledger_lost_is_called_that(boss, store):
    lost = make_conflict()
    page = page_of(boss, lost)

    assert "no row of this trade any more" in page.content.decode()
    assert page.context["ledger_uids"] == ()
    assert "take the refused one" in decide(boss, lost, "keep").content.decode()


def test_rows_that_agree_by_now_are_called_that(boss, store):
    trade = make_trade()
    store.write_trades([trade])
    agreed = make_conflict(replace(trade, source="elsewhere"))
    assert agreed.offered["price"] == str(Decimal("10.000"))

    # The background needs a moment to bring the trade to the server.
    assert store.query_trades(trade.account_id)
    page = page_of(boss, agreed)

    assert differing(page) == []
    assert "do not differ any more" in page.content.decode()
