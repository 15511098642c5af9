"""What differs is put right by the laws, audited, and the stores agree afterwards."""

from __future__ import annotations

import json
from datetime import date

import pytest
from django.core.exceptions import PermissionDenied

from storage_app.contract.errors import Conflict, InvalidInput
from storage_app.models import Account, AuditEntry, TradeConflict
from storage_app.services import conflicts
from storage_app.services.actors import command, job, person
from storage_app.stores.clickhouse import ClickHouseTrades
from storage_app.stores.file import trade_lines
from storage_app.stores.redis import RedisPositions, book_key
from storage_app.verify import repairing
from storage_app.verify.repairs.actions import Action
from tests.factories import make_trade, make_user
from tests.verify.conftest import ACCOUNT, BOOK, OTHER

pytestmark = [
    pytest.mark.django_db(transaction=True, databases=["default", "clickhouse"]),
    pytest.mark.usefixtures("known_calendar"),
]


def plan(platform, **options):
    return repairing.plan(command("test"), platform.scope(), **options)


def repair(platform, **options):
    return repairing.repair(command("test"), "a test", platform.scope(), **options)


def put_right(platform, action):
    """Repair what one planned step is about; return its audit entry."""
    before = AuditEntry.objects.filter(action="repair").count()
    (step,) = plan(platform).steps
    assert step.action is action
    assert AuditEntry.objects.filter(action="repair").count() == before
    report = repair(platform)
    assert report.is_clean, report.findings
    assert platform.found() == []
    entry = AuditEntry.objects.filter(action="repair").first()
    assert (entry.reason, entry.entity, entry.entity_key) == ("a test", "report", step.key)
    assert entry.account_id == step.account_id
    return entry


def trades_path(platform):
    return platform.data_dir / "trades" / ACCOUNT / "2026.csv"


def test_nothing_is_planned_for_stores_that_agree(platform):
    assert plan(platform).steps == []
    report = repair(platform)
    assert (report.is_clean, report.findings) == (True, [])
    assert not AuditEntry.objects.filter(action="repair").exists()


class TestPositions:
    def test_redis_is_right(self, platform, redis):
        redis.hset(book_key(BOOK), "600000.SH", "4|10800|9900|1000|2026-03-02|")
        redis.hset(book_key(BOOK), "_inc_date", "2026-03-06")
        entry = put_right(platform, Action.COPY_BOOK)
        assert "held_days 3" in entry.before["600000.SH"]
        assert "held_days 4" in entry.after["600000.SH"]
        assert RedisPositions().read_book(BOOK).increment_date == date(2026, 3, 6)

    def test_a_book_that_redis_has_lost_comes_back_from_the_files(self, platform, redis):
        redis.delete(book_key(OTHER))
        put_right(platform, Action.RESTORE_BOOK)
        assert RedisPositions().read_book(OTHER).positions["600036.SH"].held_days == 7

    def test_a_damaged_entry_in_redis_comes_back_from_the_files(self, platform, redis):
        redis.hset(book_key(OTHER), "600036.SH", "rubbish")
        put_right(platform, Action.RESTORE_BOOK)
        assert RedisPositions().read_book(OTHER).positions["600036.SH"].held_days == 7

    def test_a_damaged_file_is_kept_as_evidence(self, platform):
        path = platform.data_dir / "books" / BOOK / "positions.json"
        path.write_text("{")
        put_right(platform, Action.COPY_BOOK)
        (kept,) = path.parent.glob("positions.json.damaged-*")
        assert kept.read_text() == "{"

    def test_ages_are_counted_anew_from_the_opening_day_when_asked(self, platform):
        # 2026-03-02 to 2026-03-05 is four trading days, the first of which is day 0.
        assert plan(platform, recompute_held_days=True).steps == []
        platform.open().update_held_days("600000.SH", 1, BOOK)
        platform.settle()
        (step,) = plan(platform, recompute_held_days=True).steps
        assert (step.action, step.example["left_value"], step.example["right_value"]) == (
            Action.HELD_DAYS, 1, 3,
        )  # fmt: skip
        assert repair(platform, recompute_held_days=True).is_clean
        assert RedisPositions().get_held_days("600000.SH", BOOK) == 3
        platform.settle()
        assert platform.found() == []


class TestTrades:
    def test_the_stores_complement_each_other(self, platform, clickhouse):
        path = trades_path(platform)
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join(lines[:-1]))
        with clickhouse.cursor() as cursor:
            cursor.execute("ALTER TABLE trade DELETE WHERE volume = 200 SETTINGS mutations_sync=1")
        entry = put_right(platform, Action.COMPLEMENT)
        assert (entry.before["clickhouse"], entry.before["files"]) == (4, 4)
        assert (entry.after["clickhouse"], entry.after["files"]) == (5, 5)
        assert len(ClickHouseTrades().query_trades(ACCOUNT)) == 5

    def test_a_contradiction_is_left_to_a_person_and_then_followed(self, platform):
        path = trades_path(platform)
        original = path.read_bytes()
        path.write_bytes(original.replace(b",300,buy", b",301,buy"))
        (step,) = plan(platform).steps
        assert step.action is Action.COMPLEMENT
        assert repair(platform).findings[0]["outcome"] == "done"
        conflict = TradeConflict.objects.get()
        assert (conflict.offered["volume"], conflict.account_id) == (301, ACCOUNT)
        # Until somebody decides, the difference stands and no program touches it.
        assert [one[2] for one in platform.found()] == ["volume"]
        assert plan(platform).steps[0].needs_person
        assert not repair(platform).is_clean
        assert path.read_bytes() != original

        conflicts.resolve(command("test"), conflict.pk, "kept", "broker", ClickHouseTrades())
        put_right(platform, Action.COMPLEMENT)
        assert path.read_bytes() == original

    def test_the_file_follows_a_row_that_a_person_took(self, platform):
        path = trades_path(platform)
        path.write_bytes(path.read_bytes().replace(b",300,buy", b",301,buy"))
        repair(platform)
        conflict = TradeConflict.objects.get()
        conflicts.resolve(command("test"), conflict.pk, "taken", "broker", ClickHouseTrades())
        assert platform.found() == []

    def test_a_line_that_stands_twice_is_dropped(self, platform):
        path = trades_path(platform)
        original = path.read_bytes()
        path.write_bytes(original + original.splitlines(keepends=True)[-1])
        put_right(platform, Action.COMPLEMENT)
        assert path.read_bytes() == original

    def test_a_damaged_file_is_rebuilt_from_its_lines_and_clickhouse(self, platform):
        path = trades_path(platform)
        original = path.read_bytes()
        lines = original.splitlines(keepends=True)
        lines[2] = b"2026-03-02,nonsense\r\n"
        only_here = make_trade(trade_id="only in the file", volume=77)
        path.write_bytes(b"".join(lines) + trade_lines.encode([only_here]))
        (step,) = plan(platform).steps
        assert step.action is Action.REBUILD_LINES
        assert repair(platform).is_clean
        entry = AuditEntry.objects.filter(action="repair").first()
        assert (entry.before["unreadable"], entry.after["unreadable"]) == (1, 0)
        (kept,) = path.parent.glob("2026.csv.damaged-*")
        assert b"nonsense" in kept.read_bytes()
        # What only the file had is added to ClickHouse by the next look.
        put_right(platform, Action.COMPLEMENT)
        assert ClickHouseTrades().find_trade(only_here) == only_here


class TestBars:
    def test_clickhouse_is_right(self, platform):
        path = platform.data_dir / "klines" / "none" / "600000.SH.csv"
        original = path.read_text()
        path.write_text(original.replace("20260203,10.1,", "20260203,10.11,"))
        entry = put_right(platform, Action.WRITE_BARS)
        assert entry.after["written to files"] == 1
        assert path.read_text() == original

    def test_a_bar_that_only_the_file_has_is_added_to_clickhouse(self, platform, clickhouse):
        with clickhouse.cursor() as cursor:
            cursor.execute(
                "ALTER TABLE daily_kline DELETE WHERE trade_date = '2026-02-03' "
                "SETTINGS mutations_sync = 1"
            )
        entry = put_right(platform, Action.WRITE_BARS)
        assert entry.after["added to clickhouse"] == 1

    def test_a_file_that_is_gone_or_damaged_is_written_anew(self, platform):
        path = platform.data_dir / "klines" / "qfq" / "600036.SH.csv"
        original = path.read_text()
        path.unlink()
        put_right(platform, Action.WRITE_BARS)
        assert path.read_text() == original
        path.write_text(original.replace("41", "abc").replace("10.1", "abc"))
        put_right(platform, Action.WRITE_BARS)
        assert path.read_text() == original

    def test_a_damaged_list_of_what_is_mirrored(self, platform):
        path = platform.data_dir / "klines" / "mirrored.json"
        path.write_text("")
        put_right(platform, Action.MIRROR_BARS)


class TestSnapshots:
    def test_the_database_is_right_about_accounts(self, platform):
        path = platform.snapshot("accounts")
        document = json.loads(path.read_text())
        document["accounts"][ACCOUNT]["status"] = "suspended"
        document["accounts"][ACCOUNT]["capital_at"] = "2099-01-01T00:00:00+08:00"
        del document["accounts"][OTHER]
        path.write_text(json.dumps(document))
        assert repair(platform).is_clean
        assert platform.found() == []

    def test_and_about_every_version(self, platform):
        root = platform.snapshot("strategies").parent
        (root / "breakout_v2.json").unlink()
        path = root / "breakout_v1.json"
        path.write_text(path.read_text().replace("10", "99"))
        entry = put_right(platform, Action.SNAPSHOT)
        assert entry.before["wrong versions"] == ["breakout_v1.json"]

    def test_damaged_documents_are_kept_as_evidence(self, platform):
        for path in (platform.snapshot("accounts"), platform.snapshot("strategies")):
            path.write_text('{"accounts": {')
        root = platform.snapshot("strategies").parent
        (root / "breakout_v1.json").write_text("")
        assert repair(platform).is_clean
        assert platform.found() == []
        assert len([*platform.data_dir.glob("snapshot/**/*.damaged-*")]) == 3


class TestWho:
    def test_a_plan_that_was_seen_is_the_plan_that_is_done(self, platform, redis):
        redis.hset(book_key(BOOK), "_inc_date", "2026-03-06")
        seen = plan(platform)
        redis.delete(book_key(OTHER))
        with pytest.raises(Conflict, match="look at the plan again"):
            repair(platform, wanted=seen.digest)
        assert repair(platform, wanted=plan(platform).digest).is_clean

    def test_only_so_many_steps_are_done_at_once(self, platform, redis):
        redis.delete(book_key(BOOK), book_key(OTHER))
        report = repair(platform, limit=1)
        assert report.summary["outcomes"] == {"done": 1, "not_done": 1}
        assert not report.is_clean

    def test_administrators_may_and_within_their_accounts_only(self, platform, redis):
        own = Account.objects.get(account_id=ACCOUNT)
        redis.delete(book_key(BOOK), book_key(OTHER))
        for role in ("trader", "developer", "viewer"):
            with pytest.raises(PermissionDenied):
                repairing.repair(person(make_user(role)), "why", platform.scope())
        limited = person(make_user("admin", accounts=[own]))
        with pytest.raises(PermissionDenied):
            repairing.repair(limited, "why", platform.scope())
        with pytest.raises(PermissionDenied):
            repairing.repair(limited, "why", platform.scope(accounts=frozenset({OTHER})))
        mine = platform.scope(accounts=frozenset({ACCOUNT}))
        assert repairing.repair(limited, "why", mine).is_clean
        assert [one[1] for one in platform.found()] == [OTHER]

    def test_nobody_repairs_without_a_reason_and_no_job_does(self, platform):
        with pytest.raises(InvalidInput, match="reason"):
            repairing.repair(command("test"), "  ", platform.scope())
        with pytest.raises(InvalidInput, match="person"):
            repairing.repair(job("nightly"), "why", platform.scope())
