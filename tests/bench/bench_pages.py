"""Pages of the admin over 100,000 trades, 6.25 million bars, 10 accounts and 200 versions."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal

from django.conf import settings
from django.core.management import call_command
from django.db import connection, connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from storage_app.admin import keyset
from storage_app.admin.sources import platform_store
from storage_app.contract.types import PositionState
from storage_app.models import Account, AccountSnapshot, ParamVersion, Report
from storage_app.stores.compose import create_data_store
from tests import factories, servers
from tests.bench import market_data
from tests.bench.bench_strategies import connect, parameters
from tests.bench.harness import Case, Timing, measure
from trades_app.market import clock
from trades_app.models import Trade

NOTES = (
    "Each page is asked for in one process, from the address to the last byte: sessions, "
    "permissions, queries and templates included, the network not. The second row of each case is "
    "the smallest page behind the sign-in, so the ratio tells what the page itself costs; the "
    "third is the processor time of the web process alone, which neighbours on the machine do "
    "not inflate as they do the rest. In brackets: how many queries of MariaDB and, through "
    "Django, of ClickHouse a page asks. MariaDB, Redis and ClickHouse run on the same two cores. "
    "Goal: 150 ms at the 95th percentile, on a machine of its own; where the load average is far "
    "above the number of cores, only ratios and processor times hold."
)
ACCOUNTS = [f"{55009720 + number}" for number in range(10)]
SNAPSHOT_DAYS = 1250
STRATEGIES, VERSIONS = 4, 50
POSITIONS = 30
ROUNDS = 30
SMALLEST = "the smallest page"
GOAL = "p95 ≤ 150 ms"


def run() -> list[Case]:
    servers.MARIADB.start()
    servers.REDIS.start()
    connect().close()
    call_command("migrate", database="default", verbosity=0)
    market_data.load_pages(ACCOUNTS)
    client = fill()
    cases = [timed(client, name, url) for name, url in pages().items()]
    cases.append(depth(client))
    platform_store().close()
    platform_store.cache_clear()
    connection.close()
    return cases


def fill() -> Client:
    """Make everything that is not in ClickHouse; return a client that is signed in."""
    shutil.rmtree(settings.DATA_DIR / "positions", ignore_errors=True)
    settings.STATIC_ROOT = settings.DATA_DIR / "static"
    settings.STATIC_ROOT.mkdir(parents=True, exist_ok=True)
    accounts = [factories.make_account(number) for number in ACCOUNTS]
    days = [market_data.last_day() - timedelta(days=n) for n in range(SNAPSHOT_DAYS)]
    for place, account in enumerate(accounts):
        AccountSnapshot.objects.bulk_create(
            AccountSnapshot(
                account=account,
                trade_date=day,
                total_assets=Decimal(1_000_000 + 1000 * place + number),
                current_capital=Decimal(400_000),
                position_value=Decimal(600_000 + number),
                recorded_at=clock.now(),
            )
            for number, day in enumerate(days)
        )
    for number in range(STRATEGIES):
        make_strategy(number, accounts)
    fill_books()
    user = factories.make_superuser(username="bench")
    client = Client(SERVER_NAME="localhost")
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def make_strategy(number: int, accounts: list[Account]) -> None:
    strategy = factories.make_strategy(f"Strategy {number}", parameters(1))
    for version in range(2, VERSIONS + 1):
        ParamVersion.objects.create(
            strategy=strategy, version=version, params=parameters(version), actor="bench"
        )
    for account in accounts:
        factories.make_binding(account, strategy)
    for kind in ("import", "verify", "klines", "backup"):
        Report.objects.create(
            kind=kind, started_at=clock.now(), finished_at=clock.now(), actor="bench"
        )


def fill_books() -> None:
    store = create_data_store("hybrid")
    for place, account in enumerate(ACCOUNTS):
        codes = market_data.CODES[place * POSITIONS : (place + 1) * POSITIONS]
        book = {code: PositionState(code, 3, 60.0, 4.0, 1000, date(2025, 1, 2)) for code in codes}
        store.replace_positions(account, book)
    store.close()


def pages() -> dict[str, str]:
    code = market_data.CODES[7]
    trade = Trade.objects.filter(order_type="sell_trade", code=code).first()
    trades = reverse("admin:trades_app_trade_changelist")
    bars = reverse("admin:trades_app_dailykline_changelist")
    statistics = reverse("admin:statistics")
    return {
        "Dashboard": reverse("admin:index"),
        "Equity of all accounts (chart data)": reverse("admin:chart_equity_of_all"),
        "Positions": reverse("admin:positions"),
        "Accounts": reverse("admin:storage_app_account_changelist"),
        "An account": reverse("admin:storage_app_account_change", args=[1]),
        "Trades of the last day": trades,
        "All trades": f"{trades}?period=all",
        "Trades of one account and code": f"{trades}?account=1&code={code}&period=all",
        "Trades by name": f"{trades}?code=浦发&period=all",
        "A trade with its lots": reverse("admin:trades_app_trade_change", args=[trade.pk]),
        "Statistics by month": statistics,
        "Statistics by day": f"{statistics}?by=day",
        "Bars of the last day": bars,
        "Bars of one code": f"{bars}?code={code}",
        "Candlesticks": reverse("admin:trades_app_dailykline_chart", args=[code]),
        "Candlesticks (chart data)": reverse("admin:chart_kline", args=[code]),
        "Events": reverse("admin:events"),
        "Strategies": reverse("admin:storage_app_strategy_changelist"),
        "A strategy of 50 versions": reverse("admin:storage_app_strategy_change", args=[1]),
        "Trade conflicts": reverse("admin:storage_app_tradeconflict_changelist"),
        "Audit trail": reverse("admin:storage_app_auditentry_changelist"),
        "Users": reverse("admin:storage_app_user_changelist"),
    }


def asker(client: Client, url: str) -> Callable[[], object]:
    def ask() -> object:
        answer = client.get(url)
        if answer.status_code != 200:
            raise RuntimeError(f"{url}: {answer.status_code}")
        return answer.content

    return ask


def timed(client: Client, name: str, url: str) -> Case:
    ask = asker(client, url)
    ask()
    with (
        CaptureQueriesContext(connections["default"]) as relational,
        CaptureQueriesContext(connections["clickhouse"]) as clickhouse,
    ):
        ask()
    named = f"{name} ({len(relational)} + {len(clickhouse)})"
    smallest = asker(client, reverse("admin:password_change"))
    walls, processors, frames = [], [], []
    for _round in range(ROUNDS):
        started, worked = time.perf_counter(), time.process_time()
        ask()
        walls.append(time.perf_counter() - started)
        processors.append(time.process_time() - worked)
        started = time.perf_counter()
        smallest()
        frames.append(time.perf_counter() - started)
    rows = {"page": walls, SMALLEST: frames, "processor time of the web process": processors}
    return Case(named, [Timing(label, sorted(rows[label])) for label in rows], GOAL)


def depth(client: Client) -> Case:
    """Compare the page behind 90,000 rows with the first one: keys make them cost the same."""
    key = ("-trade_date", "-traded_at", "trade_uid")
    row = Trade.objects.order_by(*key)[90_000]
    url = f"{reverse('admin:trades_app_trade_changelist')}?period=all"
    deep = f"{url}&after={keyset.key_text(row, key)}"
    candidates = {"page behind 90,000 rows": asker(client, deep), "first page": asker(client, url)}
    return measure("Trades, at any depth", candidates, ROUNDS, goal="1.0")
