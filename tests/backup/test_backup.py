from __future__ import annotations

import json
import shutil

import pyarrow.parquet as pq
import pytest

from storage_app.backup import manifest, registry, unfinished
from storage_app.backup.making import back_up, list_backups
from storage_app.backup.restoring import restore
from storage_app.contract.errors import Conflict, Corrupt, InvalidInput, Unavailable
from storage_app.models import Account, AuditEntry, Report
from storage_app.stores import kline_mirror
from storage_app.stores.file.positions import FilePositions
from storage_app.verify import comparing
from storage_app.verify.differences import Kind
from storage_app.verify.scope import Scope
from tests import servers
from tests.backup import platforms
from tests.backup.conftest import ACTOR
from tests.faults.test_trades import wait_for

COMPARED = (Kind.POSITIONS, Kind.KLINES, Kind.ACCOUNTS, Kind.STRATEGIES, Kind.JOURNALS)
pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "clickhouse"])


def test_every_relational_model_is_in_the_backup_or_left_out_for_a_reason():
    known = {registry.label(model) for model in registry.relational()}
    assert not set(registry.INCLUDED) & set(registry.EXCLUDED)
    assert known == set(registry.INCLUDED) | set(registry.EXCLUDED)
    assert all(registry.EXCLUDED.values())
    assert set(registry.INCLUDED) >= registry.SEEDED


def test_backup_restored_into_empty_databases_equals_what_was(platform):
    before = platforms.look()
    made = back_up(platform, ACTOR)
    calendar = (platform / "calendar.csv").read_bytes()
    platforms.empty()
    (platform / "calendar.csv").unlink()
    assert not Account.objects.exists()

    restore(made.path, platform, ACTOR)

    after = platforms.look()
    assert after.keys() == before.keys()
    for name in before.keys() - platforms.OWN_TRACES:
        assert after[name] == before[name], name
    assert set(before["storage_app_auditentry"]) < set(after["storage_app_auditentry"])
    assert (platform / "calendar.csv").read_bytes() == calendar
    entry = AuditEntry.objects.latest("id")
    assert (entry.actor, entry.after["restored"]) == ("tester", str(made.path))
    assert unfinished.read(platform) == {}


def test_stores_agree_after_a_restore_as_the_nightly_comparison_sees_them(platform):
    """The hosts' files, mirrored before, agree with what came back."""
    store = platforms.create_data_store("hybrid", {"data_dir": platform})
    wait_for(lambda: store.list_books() == FilePositions(platform).list_books())
    for backend in store._backends.values():
        # What each half minute brings into the snapshots of accounts and strategies.
        getattr(backend, "refresh", bool)()
    store.close()
    kline_mirror.refresh(platform)
    made = back_up(platform, ACTOR)
    platforms.empty()
    restore(made.path, platform, ACTOR)

    report = comparing.run(ACTOR, Scope(kinds=frozenset(COMPARED)))

    assert report.findings == []
    assert report.is_clean
    assert report.summary["compared"]["books"] == 2


def test_manifest_counts_what_the_files_hold(backup):
    document = json.loads((backup.path / "manifest.json").read_bytes())
    trades = pq.read_table(backup.path / "trades.parquet")
    assert document["counts"]["trades"] == trades.num_rows == 50
    assert document["counts"]["klines"] == 3 * 30 + 9
    assert document["counts"]["factors"] == 1
    assert document["counts"]["positions"] == 2
    assert "storage_app.0001_initial" in document["schema"]["default"]
    assert "trades_app.0001_trade" in document["schema"]["clickhouse"]
    report = Report.objects.get(kind="backup")
    assert report.is_clean
    assert report.summary["counts"]["trades"] == 50


@pytest.mark.parametrize("rows", [1, 7, 1000])
def test_batches_of_any_size_hold_every_row_once(platform, rows):
    made = back_up(platform, ACTOR, batch_rows=rows)
    bars = pq.read_table(made.path / "klines.parquet").to_pydict()
    keys = list(zip(bars["adjust"], bars["code"], bars["trade_date"], strict=True))
    assert len(keys) == len(set(keys)) == 99
    assert made.manifest.of_kind("trades")[0].rows == 50


def test_restore_refuses_to_overwrite_and_names_what_stands(backup, platform):
    before = platforms.look()
    with pytest.raises(Conflict, match=r"not empty.*50 trade.*2 books.*storage_app\.account"):
        restore(backup.path, platform, ACTOR)
    assert platforms.look() == before


def test_replace_puts_the_backup_in_place_of_what_was_done_since(backup, platform):
    before = platforms.look()
    platforms.create_data_store("redis").delete_held_days("600000.SH", "55009728")
    platforms.create_data_store("redis").open_positions("55009999", ["600000.SH"])
    platforms.factories.make_account("55001111")
    platforms.create_data_store("clickhouse").write_trades([platforms.factories.make_trade()])

    restore(backup.path, platform, ACTOR, replace=True)

    assert not platforms.SignInSession.objects.exists()
    after = platforms.look()
    for name in before.keys() - platforms.OWN_TRACES - {"redis sq:{55009728}", "redis sq:books"}:
        if not name.startswith("redis sq:{"):
            assert after[name] == before[name], name
    book = after["redis sq:{55009728}"]
    assert book["600000.SH"] == before["redis sq:{55009728}"]["600000.SH"]
    # Hosts that have seen the later revision must take the restored book for a newer one.
    assert book["_gen"] == before["redis sq:{55009728}"]["_gen"]
    assert int(book["_rev"]) > int(before["redis sq:{55009728}"]["_rev"]) + 1
    assert "600000.SH" not in after["redis sq:{55009999}"]


@pytest.mark.parametrize(
    "name",
    [
        "manifest.json",
        "trades.parquet",
        "klines.parquet",
        "factors.parquet",
        "positions.jsonl",
        "journal.jsonl",
        "calendar.csv",
        "relational/storage_app.account.jsonl",
        "relational/auth.group.jsonl",
    ],
)
@pytest.mark.parametrize("damage", ["flip", "cut", "gone"])
def test_damaged_file_is_refused_by_name_and_nothing_is_touched(damaged, name, damage):
    root, data_dir = damaged(name, damage)
    with pytest.raises((Corrupt, InvalidInput), match=name.replace(".", r"\.")):
        restore(root, data_dir, ACTOR)
    assert unfinished.read(data_dir) == {}


@pytest.fixture(scope="module")
def kept_backup(django_db_setup, django_db_blocker, tmp_path_factory):
    """One backup for all damages; it is refused before any database is looked at."""
    root = tmp_path_factory.mktemp("kept") / "20260302-180000"
    (root / "relational").mkdir(parents=True)
    texts = {
        "trades.parquet": "t" * 50,
        "klines.parquet": "k" * 50,
        "factors.parquet": "f" * 50,
        "positions.jsonl": "{}\n",
        "journal.jsonl": "{}\n",
        "calendar.csv": "trade_date\n",
        "relational/storage_app.account.jsonl": "{}\n",
        "relational/auth.group.jsonl": "{}\n",
    }
    parts = []
    for name, text in texts.items():
        (root / name).write_text(text)
        kind = "relational" if "/" in name else name.partition(".")[0]
        parts.append(manifest.describe(root, root / name, kind, 1))
    from trades_app.market import clock

    manifest.write(root, manifest.Manifest(clock.now(), {}, parts))
    return root


@pytest.fixture
def damaged(kept_backup, tmp_path):
    def damage(name, how):
        root = tmp_path / kept_backup.name
        shutil.copytree(kept_backup, root)
        path = root / name
        data = bytearray(path.read_bytes())
        if how == "gone":
            path.unlink()
        elif how == "cut":
            path.write_bytes(data[: len(data) // 2])
        else:
            data[len(data) // 2] ^= 1
            path.write_bytes(data)
        return root, tmp_path

    return damage


def test_half_written_backup_is_never_taken_for_one(platform):
    def stop(progress):
        if progress.step == "trades":
            raise KeyboardInterrupt

    from django.utils import translation

    from storage_app.contract.watching import Watch

    with translation.override("en"), pytest.raises(KeyboardInterrupt):
        back_up(platform, ACTOR, watch=Watch(stop))
    assert list_backups(platform) == []
    left = platform / "backups" / "20260101-000000.part"
    left.mkdir()
    with pytest.raises(InvalidInput, match="half-written"):
        restore(left, platform, ACTOR)

    made = back_up(platform, ACTOR)

    assert list_backups(platform) == [made.path]
    assert not left.exists()


def test_keep_leaves_the_newest_and_what_is_no_backup(platform):
    for name in ("20250101-180000", "20250102-180000", "notes"):
        (platform / "backups" / name).mkdir(parents=True)
        (platform / "backups" / name / "manifest.json").write_text("{}")

    made = back_up(platform, ACTOR, keep=2)

    assert made.removed == ["20250101-180000"]
    assert [path.name for path in list_backups(platform)] == [made.path.name, "20250102-180000"]
    assert (platform / "backups" / "notes").exists()


def test_backup_of_another_schema_is_refused(backup, platform):
    path = backup.path / "manifest.json"
    document = json.loads(path.read_bytes())
    document["schema"]["default"].append("storage_app.0099_future")
    del document["sha256"]
    changed = manifest.Manifest(
        backup.manifest.created_at, document["schema"], backup.manifest.parts
    )
    manifest.write(backup.path, changed)
    with pytest.raises(Conflict, match=r"storage_app\.0099_future"):
        restore(backup.path, platform, ACTOR, replace=True)


def test_section_alone_leaves_the_others(backup, platform):
    before = platforms.look()
    with platforms.connections["clickhouse"].cursor() as cursor:
        cursor.execute("TRUNCATE TABLE trade")
        cursor.execute("TRUNCATE TABLE daily_kline")
        cursor.execute("TRUNCATE TABLE adjust_factor")

    done = restore(backup.path, platform, ACTOR, only=["market"])

    assert done.counts == {"trades": 50, "klines": 99, "factors": 1}
    assert platforms.look() == before


def test_server_that_is_down_ends_the_backup_and_leaves_none(platform):
    servers.REDIS.stop()
    try:
        with pytest.raises(Unavailable, match="redis"):
            back_up(platform, ACTOR)
    finally:
        servers.REDIS.start()
    assert list_backups(platform) == []
    assert list((platform / "backups").glob("*.part")) == []


def test_owed_trade_is_in_the_backup_and_owed_again_after_it(platform, redis):
    servers.CLICKHOUSE.stop()
    store = platforms.create_data_store("hybrid", {"data_dir": platform})
    try:
        store.record_trade(
            "55009728", platforms.clock.now(), "600000.SH", "浦发银行", "buy_trade", "", "10", 100,
            trade_id="OWED",
        )  # fmt: skip
    finally:
        store.close()
        platforms_end()
    from storage_app.backup import hosts
    from storage_app.stores import journal

    part = hosts.dump_journal(platform / "copy", platform)
    servers.CLICKHOUSE.start()
    shutil.rmtree(platform / "journal")
    assert hosts.load_journal(platform / "copy", [part], platform) == 1
    entries, damage = journal.inspect(platform / "journal")
    assert [entry.marks[journal.PRIMARY] for entry in entries] == [False]
    assert damage == []


def platforms_end():
    from tests.conftest import end_background

    end_background()
