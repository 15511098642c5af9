"""The way back: import, export, import again, through each of the forms."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

import pytest
from django.core.management import call_command

from storage_app import create_data_store
from storage_app.backup.exporting import export
from storage_app.backup.importing import Source, import_data
from storage_app.backup.scope import Scope
from storage_app.contract.errors import Corrupt, InvalidInput
from storage_app.models import Account, AccountSnapshot, ParamVersion
from storage_app.stores.clickhouse import ClickHouseTrades
from storage_app.stores.redis import RedisPositions
from tests.backup import platforms
from tests.backup.conftest import ACTOR
from tests.test_architecture import ROOT
from trades_app.queries import bars

pytestmark = [
    pytest.mark.django_db(transaction=True, databases=["default", "clickhouse"]),
    pytest.mark.usefixtures("english"),
]
DEMO = ROOT / "demo" / "silverquant"
DEMO_ACCOUNT = "demo-account"
# Marks of time and authorship that the services set anew.
RENEWED = {"id", "created_at", "updated_at", "recorded_at", "capital_at"}


def contents():
    """Return what an export carries, in values that do not tell when they came in."""
    store = RedisPositions()
    trades = ClickHouseTrades()
    accounts = Account.objects.order_by("account_id").values()
    return {
        "accounts": [_plain(row) for row in accounts],
        "capital": sorted(
            AccountSnapshot.objects.values_list(
                "account__account_id", "trade_date", "total_assets", "current_capital",
                "position_value",
            )
        ),
        "versions": list(
            ParamVersion.objects.order_by("strategy__strategy_name", "version").values_list(
                "strategy__strategy_name", "strategy__active_version__version", "version", "params"
            )
        ),
        "books": {book: store.read_book(book) for book in store.list_books()},
        "trades": {
            account.account_id: sorted(map(repr, trades.iter_trades(account.account_id)))
            for account in Account.objects.all()
        },
        **{
            f"bars {adjust}": bars.read_bars(adjust).astype({"code": str}).to_dict("list")
            for adjust in ("none", "qfq")
        },
        "factors": bars.read_factors(None).to_dict("list"),
    }  # fmt: skip


def _plain(row):
    return {name: value for name, value in row.items() if name not in RENEWED | {"is_demo"}}


@pytest.fixture
def demo(transactional_db, clickhouse, redis, data_dir):
    import_demo(DEMO)
    return data_dir


def import_demo(directory, *more):
    call_command(
        "import_legacy", str(directory), "--account", DEMO_ACCOUNT, "--create-account",
        "--broker", "QMT", "--demo", *more, stdout=io.StringIO(), stderr=io.StringIO(),
    )  # fmt: skip


def source(root, data_dir, **more):
    return Source(root, data_dir, Scope(), ACTOR, **more)


def test_demo_imported_exported_and_imported_again_is_equal(demo, tmp_path):
    before = contents()
    calendar = (demo / "calendar.csv").read_bytes()
    done = export(tmp_path / "out", demo, "files", Scope())
    assert done.counts["books"] == 2
    platforms.empty()
    (demo / "calendar.csv").unlink()

    tallies = {one.kind: one for one in import_data(source(tmp_path / "out", demo))}

    assert contents() == before
    assert (demo / "calendar.csv").read_bytes() == calendar
    assert tallies["trades"].new == done.counts["trades"] > 100
    assert tallies["klines"].new == done.counts["klines"] > 5000
    again = import_data(source(tmp_path / "out", demo))
    assert [(one.kind, one.new, one.rejected) for one in again if one.new or one.rejected] == []


def test_silverquants_own_directory_goes_out_and_comes_in_equal(demo, tmp_path):
    before = contents()
    export(tmp_path / "out", demo, "files", Scope())
    shutil.rmtree(tmp_path / "out" / "klines")
    platforms.empty()
    (demo / "calendar.csv").unlink()

    import_demo(tmp_path / "out" / "silverquant" / DEMO_ACCOUNT)

    after = contents()
    for kind in before:
        assert after[kind] == before[kind], kind


def test_silverquant_reads_what_it_wrote(demo, tmp_path):
    """The files in the very form of SilverQuant 4.7: keys, header, encoding, columns."""
    export(tmp_path / "out", demo, "files", Scope())
    book = tmp_path / "out" / "silverquant" / DEMO_ACCOUNT / "prod_pwc"
    ours = json.loads((book / "positions.json").read_bytes())
    theirs = json.loads((DEMO / "prod_pwc" / "positions.json").read_bytes())
    assert ours == theirs
    for name in ("max_price.json", "min_price.json"):
        assert json.loads((book / name).read_bytes()) == json.loads(
            (DEMO / "prod_pwc" / name).read_bytes()
        )
    assert _orders(book / "deal_hist.csv") == _orders(DEMO / "prod_pwc" / "deal_hist.csv")
    bars_dir = book.parent / "_daily_akshare" / "kline"
    header = (bars_dir / "000002.SZ.csv").read_text().splitlines()[0]
    assert header == "datetime,open,high,low,close,volume,amount"
    days = (book.parent / "_api_akshare" / "_open_day_list_sina.csv").read_text().splitlines()
    assert days[:2] == [",trade_date", "0,1990-12-19"]


def _orders(path: Path):
    rows = list(csv.DictReader(io.StringIO(path.read_bytes().decode("gbk"))))
    plain = [{**row, "成交价": float(row["成交价"]), "成交量": int(row["成交量"])} for row in rows]
    return sorted(plain, key=lambda row: (row["日期"], row["时间"], row["代码"]))


def test_file_mode_trades_on_from_an_export(platform, tmp_path):
    export(tmp_path / "out", platform, "files", Scope())
    store = create_data_store("file", {"data_dir": tmp_path / "out"})
    servers = create_data_store("clickhouse")
    positions = create_data_store("redis")
    assert store.get_positions("55009728") == positions.get_positions("55009728")
    assert store.get_positions("55009728/test") == positions.get_positions("55009728/test")
    assert store.query_trades("55009728") == servers.query_trades("55009728")
    bars_of = store.get_kline("600000.SH", adjust="qfq"), servers.get_kline("600000.SH")
    assert len(bars_of[0]) == 9
    assert store.get_kline("600000.SH").equals(bars_of[1])
    assert store.get_strategy_params("Alpha") == {"线": [1, 2.5, None], "深": {"a": [True]}}
    assert [one["account_id"] for one in store.list_accounts()] == ["55009728", "55009728-paper"]
    # A fill that was applied before is known here too, and the day was counted.
    assert store.all_held_inc("55009728") is False
    before = store.get_positions("55009728")["600036.SH"].volume
    store.apply_fill(
        "55009728", "600036.SH", "BUY", 300, "35.2", trade_id="F1",
        timestamp=platforms.clock.now(),
    )  # fmt: skip
    assert store.get_positions("55009728")["600036.SH"].volume == before


def test_everything_of_a_platform_comes_back_from_its_export(platform, tmp_path):
    before = contents()
    export(tmp_path / "out", platform, "files", Scope())
    platforms.empty()
    tallies = import_data(source(tmp_path / "out", platform))
    after = contents()
    assert [line for one in tallies for line in one.complaints] == []
    for kind in before:
        assert after[kind] == before[kind], kind


def test_what_stands_otherwise_is_rejected_with_both_values(platform, tmp_path):
    export(tmp_path / "out", platform, "files", Scope())
    RedisPositions().update_held_days("600000.SH", 9, "55009728")
    changed = platforms.factories.make_bars("600000.SH", days=1, first_close=77)
    create_data_store("clickhouse").write_klines(changed)
    before = contents()

    tallies = {one.kind: one for one in import_data(source(tmp_path / "out", platform))}

    assert tallies["books"].rejected == 1
    assert "600000.SH stands as" in tallies["books"].complaints[0]
    assert tallies["klines"].complaints == [
        "bar 600000.SH 20260302 (none): close 77.0 stands, the export has 10.0"
    ]
    assert contents() == before


@pytest.mark.parametrize(
    "name", ["accounts.json", "klines/none/600000.SH.csv", "books/55009728/positions.json"]
)
def test_damaged_export_is_refused_by_the_name_of_the_file(platform, tmp_path, name):
    export(tmp_path / "out", platform, "files", Scope())
    with (tmp_path / "out" / name).open("ab") as stream:
        stream.write(b" ")
    with pytest.raises(Corrupt, match=name):
        import_data(source(tmp_path / "out", platform))


def test_scope_limits_account_and_days(platform, tmp_path):
    from datetime import date

    scope = Scope("55009728-paper", date(2025, 1, 1), date(2025, 12, 31))
    done = export(tmp_path / "out", platform, "files", scope)
    store = create_data_store("file", {"data_dir": tmp_path / "out"})
    assert [one["account_id"] for one in store.list_accounts()] == ["55009728-paper"]
    assert store.query_trades("55009728") == []
    found = store.query_trades("55009728-paper")
    assert len(found) == done.counts["trades"] > 0
    assert {row["trade_date"].year for row in found} == {2025}


@pytest.mark.parametrize("form", ["json", "csv"])
def test_tables_for_other_programs_hold_every_row(platform, tmp_path, form):
    done = export(tmp_path / "out", platform, form, Scope())
    assert done.counts["trades"] == 50
    assert done.counts["klines"] == 99
    ending = {"json": "jsonl", "csv": "csv"}[form]
    text = (tmp_path / "out" / f"trades.{ending}").read_bytes().decode("utf-8-sig")
    if form == "csv":
        rows = list(csv.DictReader(io.StringIO(text)))
    else:
        rows = [json.loads(line) for line in text.splitlines()]
    assert len(rows) == 50
    assert {row["remark"] for row in rows} == {"备注 “x”"}
    with pytest.raises(InvalidInput, match="only files come back"):
        import_data(source(tmp_path / "out", platform))


def test_export_never_writes_over_anything(platform, tmp_path):
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(InvalidInput, match="not empty"):
        export(tmp_path, platform, "files", Scope())
    with pytest.raises(InvalidInput, match="own DATA_DIR"):
        export(platform, platform, "files", Scope(), resume=True)
    export(tmp_path / "out", platform, "csv", Scope())
    with pytest.raises(InvalidInput, match="holds an export already"):
        export(tmp_path / "out", platform, "csv", Scope(), resume=True)


def test_export_that_was_stopped_goes_on(platform, tmp_path):
    from storage_app.contract.watching import Cancelled, Watch

    steps = []

    def is_cancelled():
        return bool(steps) and steps[-1].step == "daily bars"

    with pytest.raises(Cancelled):
        export(
            tmp_path / "out", platform, "files", Scope(), watch=Watch(steps.append, is_cancelled)
        )
    with pytest.raises(InvalidInput, match="not a whole export"):
        import_data(source(tmp_path / "out", platform))
    done = export(tmp_path / "out", platform, "files", Scope(), resume=True)
    assert done.counts["trades"] == 50
    store = create_data_store("file", {"data_dir": tmp_path / "out"})
    assert len(store.query_trades("55009728")) + len(store.query_trades("55009728-paper")) == 50
