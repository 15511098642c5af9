from __future__ import annotations

import logging
from collections import Counter
from datetime import timedelta
from decimal import Decimal

import pytest

from storage_app.contract.errors import Conflict, InvalidInput, NotFound
from tests.contract.books import opened
from trades_app.market import clock

pytestmark = pytest.mark.django_db(databases=["default", "clickhouse"])

ACCOUNT = "55009728"


def open_account(books, account_id=ACCOUNT, capital=1_000_000, **fields):
    return books.create_account(account_id, "Main", "QMT", capital, **fields)


def add_strategy(books, name="Alpha", code="alpha"):
    return books.create_strategy(name, code, "technical", "1.0.0")


def test_new_account_has_its_capital_and_nothing_else_yet(books):
    ident = open_account(books)
    assert books.get_account(ACCOUNT) == {
        "id": ident,
        "account_id": ACCOUNT,
        "account_name": "Main",
        "broker": "QMT",
        "environment": "live",
        "status": "active",
        "initial_capital": 1_000_000.0,
        "current_capital": None,
        "total_assets": None,
        "position_value": None,
    }


def test_unknown_account_is_none_and_no_accounts_is_an_empty_list(books):
    assert books.get_account(ACCOUNT) is None
    assert books.list_accounts() == []


def test_taken_number_is_a_conflict_and_changes_nothing(books):
    open_account(books)
    with pytest.raises(Conflict, match=ACCOUNT):
        books.create_account(ACCOUNT, "Other", "GM", 5)
    assert [row["account_name"] for row in books.list_accounts()] == ["Main"]


def test_conflict_proposes_the_paper_twin_only_when_that_is_what_was_meant(books):
    open_account(books)
    with pytest.raises(Conflict, match=f"{ACCOUNT}-paper"):
        open_account(books, environment="paper")
    with pytest.raises(Conflict) as live:
        open_account(books, environment="live")
    assert "paper" not in str(live.value)
    open_account(books, f"{ACCOUNT}-paper", environment="paper")
    assert books.get_account(f"{ACCOUNT}-paper")["environment"] == "paper"


def test_numbers_that_differ_in_case_only_are_one_number_but_lookups_are_exact(books):
    open_account(books, "abc-00A")
    with pytest.raises(Conflict, match="abc-00A"):
        open_account(books, "ABC-00a")
    assert books.get_account("ABC-00a") is None
    with pytest.raises(NotFound):
        books.set_account_status("ABC-00a", "suspended", "wrong case")
    with pytest.raises(NotFound):
        books.update_account_capital("ABC-00A", 1, 1, 0)


@pytest.mark.parametrize(
    "arguments",
    [
        ("12345", "Main", "QMT", 1),
        ("5500 9728", "Main", "QMT", 1),
        ("55009728\n", "Main", "QMT", 1),
        ("5" * 51, "Main", "QMT", 1),
        ("账户55009728", "Main", "QMT", 1),
        (ACCOUNT, "", "QMT", 1),
        (ACCOUNT, "   ", "QMT", 1),
        (ACCOUNT, "two\nlines", "QMT", 1),
        (ACCOUNT, "x" * 101, "QMT", 1),
        (ACCOUNT, None, "QMT", 1),
        (ACCOUNT, "Main", "XXX", 1),
        (ACCOUNT, "Main", "qmt", 1),
        (ACCOUNT, "Main", "QMT", 0),
        (ACCOUNT, "Main", "QMT", -5),
        (ACCOUNT, "Main", "QMT", "0.001"),
        (ACCOUNT, "Main", "QMT", float("nan")),
        (ACCOUNT, "Main", "QMT", float("inf")),
        (ACCOUNT, "Main", "QMT", Decimal(10) ** 13),
        (ACCOUNT, "Main", "QMT", True),
        (ACCOUNT, "Main", "QMT", None),
        (ACCOUNT, "Main", "QMT", "a lot"),
    ],
)
def test_account_that_breaks_a_rule_is_refused_and_not_there(books, arguments):
    with pytest.raises(InvalidInput):
        books.create_account(*arguments)
    assert books.list_accounts() == []


def test_capital_is_exact_to_the_cent(books):
    open_account(books, capital="9999999999999.99")
    open_account(books, "account-2", capital=0.1 + 0.2)
    assert books.get_account(ACCOUNT)["initial_capital"] == float("9999999999999.99")
    assert books.get_account("account-2")["initial_capital"] == 0.3


def test_name_keeps_its_chinese_and_loses_the_space_around_it(books):
    books.create_account(ACCOUNT, "  张三 的模拟盘 🚀 ", "GM", 1)
    assert books.get_account(ACCOUNT)["account_name"] == "张三 的模拟盘 🚀"


def test_accounts_are_listed_by_number_and_filtered_by_status(books):
    for number in ("zebra-1", "Alpha-1", "55009728"):
        open_account(books, number)
    books.set_account_status("zebra-1", "inactive", "closed at the broker")
    books.set_account_status("Alpha-1", "suspended", "broker maintenance")
    assert [row["account_id"] for row in books.list_accounts()] == [
        "55009728",
        "Alpha-1",
        "zebra-1",
    ]
    assert [row["account_id"] for row in books.list_accounts("inactive")] == ["zebra-1"]
    assert [row["account_id"] for row in books.list_accounts(status="suspended")] == ["Alpha-1"]
    with pytest.raises(InvalidInput):
        books.list_accounts("gone")


def test_capital_is_kept_and_zero_is_not_unknown(books):
    open_account(books)
    books.update_account_capital(ACCOUNT, 0, 0, 0)
    row = books.get_account(ACCOUNT)
    assert (row["current_capital"], row["total_assets"], row["position_value"]) == (0.0, 0.0, 0.0)
    assert row["initial_capital"] == 1_000_000.0
    books.update_account_capital(ACCOUNT, "100.005", 300.5, Decimal("200.5"))
    row = books.get_account(ACCOUNT)
    assert (row["current_capital"], row["total_assets"], row["position_value"]) == (
        100.01,
        300.5,
        200.5,
    )


def test_parts_that_do_not_add_up_are_kept_with_a_warning(books, caplog):
    open_account(books)
    with caplog.at_level(logging.WARNING):
        books.update_account_capital(ACCOUNT, 100, "300.01", 200)
        assert not caplog.records
        books.update_account_capital(ACCOUNT, 100, "300.02", 200)
    assert ACCOUNT in caplog.text
    assert "0.02" in caplog.text
    assert books.get_account(ACCOUNT)["total_assets"] == 300.02


@pytest.mark.parametrize("figures", [(-1, 0, 0), (0, -1, 0), (0, 0, -0.01), (None, 1, 1)])
def test_capital_that_cannot_be_is_refused(books, figures):
    open_account(books)
    with pytest.raises(InvalidInput):
        books.update_account_capital(ACCOUNT, *figures)
    assert books.get_account(ACCOUNT)["total_assets"] is None


def test_capital_of_an_unknown_account_is_not_found(books):
    with pytest.raises(NotFound):
        books.update_account_capital(ACCOUNT, 1, 1, 0)


def test_late_replay_of_capital_does_not_undo_what_is_newer(books, trading_morning):
    from storage_app.contract.roles import AccountBook

    backend = books._backends[AccountBook]
    # In hybrid mode, what the journal brings to the database.
    backend = getattr(backend, "primary", backend)
    open_account(books)
    books.update_account_capital(ACCOUNT, 10, 30, 20)
    earlier = trading_morning - timedelta(minutes=1)
    backend.record_capital(ACCOUNT, 1, 3, 2, earlier)
    assert books.get_account(ACCOUNT)["total_assets"] == 30.0
    backend.record_capital(ACCOUNT, 4, 9, 5, clock.now())
    assert books.get_account(ACCOUNT)["total_assets"] == 9.0


@pytest.mark.parametrize(
    ("path", "refused"),
    [
        (["inactive"], "suspended"),
        (["suspended", "inactive"], "suspended"),
        (["suspended", "active"], "active"),
        ([], "active"),
        (["inactive", "active", "suspended"], "suspended"),
    ],
)
def test_status_moves_along_the_permitted_ways_only(books, path, refused):
    open_account(books)
    for status in path:
        books.set_account_status(ACCOUNT, status, "as decided")
    reached = books.get_account(ACCOUNT)["status"]
    with pytest.raises(InvalidInput, match="cannot go"):
        books.set_account_status(ACCOUNT, refused, "as decided")
    assert books.get_account(ACCOUNT)["status"] == reached


@pytest.mark.parametrize("reason", ["", "  ", "x" * 201, None])
def test_status_needs_a_reason(books, reason):
    open_account(books)
    with pytest.raises(InvalidInput, match="reason"):
        books.set_account_status(ACCOUNT, "inactive", reason)
    assert books.get_account(ACCOUNT)["status"] == "active"


def test_bindings_are_listed_from_both_ends(books):
    for number in (ACCOUNT, "account-2"):
        open_account(books, number)
    add_strategy(books)
    add_strategy(books, "Beta", "beta")
    books.bind_strategy(ACCOUNT, "Beta", 300_000, risk_limit="12.5")
    books.bind_strategy(ACCOUNT, "Alpha", 200_000)
    books.bind_strategy("account-2", "Alpha", "1.50", 0)
    alpha = {
        "strategy_name": "Alpha",
        "allocated_capital": 200_000.0,
        "risk_limit": 100.0,
        "status": "active",
    }
    beta = {
        "strategy_name": "Beta",
        "allocated_capital": 300_000.0,
        "risk_limit": 12.5,
        "status": "active",
    }
    assert books.list_account_strategies(ACCOUNT) == [alpha, beta]
    assert books.list_strategy_accounts("Alpha") == [
        {
            "account_id": ACCOUNT,
            "allocated_capital": 200_000.0,
            "risk_limit": 100.0,
            "status": "active",
        },
        {
            "account_id": "account-2",
            "allocated_capital": 1.5,
            "risk_limit": 0.0,
            "status": "active",
        },
    ]
    assert books.list_account_strategies("account-2")[0]["strategy_name"] == "Alpha"


def test_shares_never_exceed_the_initial_capital_while_assets_are_unknown(books):
    open_account(books, capital=100)
    add_strategy(books)
    add_strategy(books, "Beta", "beta")
    books.bind_strategy(ACCOUNT, "Alpha", "60.01")
    with pytest.raises(InvalidInput, match="allocated"):
        books.bind_strategy(ACCOUNT, "Beta", 40)
    books.bind_strategy(ACCOUNT, "Beta", "39.99")


def test_shares_follow_the_total_assets_once_they_are_known(books):
    open_account(books, capital=100)
    add_strategy(books)
    books.update_account_capital(ACCOUNT, 0, 50, 50)
    with pytest.raises(InvalidInput):
        books.bind_strategy(ACCOUNT, "Alpha", 51)
    books.update_account_capital(ACCOUNT, 0, 0, 0)
    with pytest.raises(InvalidInput):
        books.bind_strategy(ACCOUNT, "Alpha", 1)
    books.update_account_capital(ACCOUNT, 0, 500, 500)
    books.bind_strategy(ACCOUNT, "Alpha", 500)


@pytest.mark.parametrize(
    ("share", "limit"), [(0, 10), (-1, 10), ("x", 10), (1, -1), (1, 100.01), (1, "nan")]
)
def test_binding_that_breaks_a_rule_is_refused(books, share, limit):
    open_account(books)
    add_strategy(books)
    with pytest.raises(InvalidInput):
        books.bind_strategy(ACCOUNT, "Alpha", share, limit)
    assert books.list_account_strategies(ACCOUNT) == []


def test_binding_twice_is_a_conflict(books):
    open_account(books)
    add_strategy(books)
    books.bind_strategy(ACCOUNT, "Alpha", 10)
    with pytest.raises(Conflict, match="Alpha"):
        books.bind_strategy(ACCOUNT, "Alpha", 20)
    assert [row["allocated_capital"] for row in books.list_account_strategies(ACCOUNT)] == [10.0]


def test_binding_needs_an_account_and_a_strategy_that_exist_and_an_account_in_use(books):
    add_strategy(books)
    with pytest.raises(NotFound, match=ACCOUNT):
        books.bind_strategy(ACCOUNT, "Alpha", 1)
    open_account(books)
    with pytest.raises(NotFound, match="Gamma"):
        books.bind_strategy(ACCOUNT, "Gamma", 1)
    books.set_account_status(ACCOUNT, "inactive", "closed")
    with pytest.raises(InvalidInput, match="retired"):
        books.bind_strategy(ACCOUNT, "Alpha", 1)


def test_bindings_of_what_does_not_exist_are_not_found(books):
    with pytest.raises(NotFound):
        books.list_account_strategies(ACCOUNT)
    with pytest.raises(NotFound):
        books.list_strategy_accounts("Alpha")


def test_store_answers_after_it_was_closed_twice(books):
    open_account(books)
    books.close()
    books.close()
    assert books.get_account(ACCOUNT)["account_name"] == "Main"
    assert set(books.health_check().values()) == {"ok"}


def race_to_open(mode, directory, serial):
    with opened(mode, directory) as books:
        return books.create_account(ACCOUNT, f"Thread {serial}", "QMT", 1 + serial)


def race_to_open_twins(mode, directory, serial):
    number = "abcdef" if serial % 2 else "ABCDEF"
    with opened(mode, directory) as books:
        return books.create_account(number, number, "QMT", 1)


def race_to_bind(mode, directory, serial):
    with opened(mode, directory) as books:
        return books.bind_strategy(ACCOUNT, f"Strategy {serial}", 30)


@pytest.mark.django_db(transaction=True, databases=["default", "clickhouse"])
@pytest.mark.parametrize("call", [race_to_open, race_to_open_twins])
def test_one_of_many_who_open_an_account_at_once_gets_it(shared_books, children, call):
    outcomes = children.race(call, *shared_books)
    assert Counter(outcome.error for outcome in outcomes) == {"": 1, "Conflict": 15}
    with opened(*shared_books) as books:
        assert len(books.list_accounts()) == 1


@pytest.mark.django_db(transaction=True, databases=["default", "clickhouse"])
def test_shares_taken_at_once_never_exceed_the_account(shared_books, children):
    with opened(*shared_books) as books:
        open_account(books, capital=100)
        for serial in range(16):
            add_strategy(books, f"Strategy {serial}", f"strategy_{serial}")
        outcomes = children.race(race_to_bind, *shared_books)
        assert Counter(outcome.error for outcome in outcomes) == {"": 3, "InvalidInput": 13}
        shares = [row["allocated_capital"] for row in books.list_account_strategies(ACCOUNT)]
    assert shares == [30.0] * 3
