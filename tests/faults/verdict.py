"""Hold what is in the stores against the replay of what programs were told."""

from __future__ import annotations

import contextlib
import time

from storage_app.contract.errors import Unavailable
from storage_app.models import TradeConflict
from storage_app.stores import journal as journals
from storage_app.stores import position_conflicts
from storage_app.stores.clickhouse import ClickHouseTrades
from storage_app.stores.file.accounts import FileAccounts
from storage_app.stores.file.positions import FilePositions
from storage_app.stores.file.strategies import FileStrategies
from storage_app.stores.file.trades import FileTrades
from storage_app.stores.orm import OrmAccounts, OrmStrategies
from storage_app.stores.redis import RedisPositions
from tests.faults.programs import VOLUME

SETTLE_SECONDS = 60.0
# What one call may take: timeouts of two servers, while the program itself is frozen for a second.
LONGEST_SECONDS = 3.5


def judge(scene, store, logs):
    """Return what is wrong, a line each; waits until everything has come to rest."""
    wrong = [
        f"{one.kind} {one.number} of {one.writer} broke: {one.answer}"
        for one in logs.operations.values()
        if one.outcome == "broken"
    ]
    wrong += [
        f"{one.kind} {one.number} of {one.writer} took {one.seconds:.1f} s"
        for one in logs.operations.values()
        if one.seconds > LONGEST_SECONDS
    ]
    wrong += at_rest(lambda: check_journal(scene))
    for part in scene.parts:
        wrong += at_rest(lambda part=part: CHECKS[part](scene, store, logs))
    return wrong


def at_rest(check):
    """Repeat a check until nothing is wrong any more, for as long as things may be on their way."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        wrong = ["no answer"]
        with contextlib.suppress(Unavailable):
            wrong = list(check())
        if not wrong or time.monotonic() > deadline:
            return wrong
        time.sleep(0.2)


def check_journal(scene):
    for directory in scene.host_dirs:
        yield from check_journal_of(directory)
        for conflict in position_conflicts.listed(directory / "journal"):
            yield f"a position stopped: {conflict}"


def check_journal_of(directory):
    entries, damage = journals.inspect(directory / "journal")
    for one in damage:
        if "torn" not in one.reason:
            yield f"the journal is damaged: {one}"
    owed = [entry for entry in entries if not all(entry.marks)]
    if owed:
        kinds = sorted({entry.kind for entry in owed})
        yield f"{len(owed)} entries are still owed: {', '.join(kinds)}"


def check_trades(scene, store, logs):
    rows = list(ClickHouseTrades().iter_trades(scene.account))
    if rows != list(FileTrades(scene.data_dir).iter_trades(scene.account)):
        yield "trades differ between ClickHouse and the files"
    if rows != list(store.iter_trades(scene.account)):
        yield "trades differ between ClickHouse and the store"
    if TradeConflict.objects.filter(account_id=scene.account).exists():
        yield "there are conflicts of trades"
    yield from check_ledger(rows, logs)


def check_ledger(rows, logs):
    stored = [row["remark"] for row in rows]
    if len(stored) != len(set(stored)):
        yield f"{len(stored) - len(set(stored))} trades are doubled"
    wanted = {name_of(one): one for kind in ("trade", "order") for one in logs.of(kind)}
    by_remark = {row["remark"]: row for row in rows}
    for name in by_remark.keys() - wanted.keys():
        yield f"nobody recorded trade {name}"
    for name, one in wanted.items():
        if one.is_done and name not in by_remark:
            yield f"trade {name} is lost"
        elif one.is_done and by_remark[name]["trade_uid"] != one.answer:
            yield f"trade {name} has another uid"


def check_positions(scene, store, logs):
    in_redis = RedisPositions().read_book(scene.book)
    for directory in scene.host_dirs:
        if FilePositions(directory).read_book(scene.book) != in_redis:
            yield f"the book differs between Redis and the files of {directory.name}"
    if store.read_book(scene.book) != in_redis:
        yield "the book differs between Redis and the store"
    for writer in scene.all_writer_names:
        yield from check_fills(scene, in_redis.positions, logs, writer)
        yield from check_turns(scene, in_redis.positions, logs, writer)
    yield from check_ticks(scene, in_redis.positions, logs)
    yield from check_increments(scene, in_redis, logs)


def check_fills(scene, positions, logs, writer):
    code = scene.growing_code(writer)
    fills = logs.of("fill", writer)
    least = VOLUME * sum(one.is_done for one in fills)
    found = positions[code].volume if code in positions else 0
    if not least <= found <= VOLUME * len(fills):
        yield f"{code} holds {found} shares after {least // VOLUME} to {len(fills)} fills"
    for one in fills:
        # One that was refused is repeated, perhaps when later ones are done.
        if one.is_done and one.answer > VOLUME * one.begun:
            told = f"{one.answer} shares after {one.begun} fills"
            yield f"fill {one.number} of {writer} was told {told}"


def check_turns(scene, positions, logs, writer):
    code = scene.turning_code(writer)
    turns = logs.of("turn", writer)
    held = positions[code].volume if code in positions else 0
    possible = {VOLUME * (len(turns) % 2)}
    if turns and not turns[-1].is_done:
        possible.add(VOLUME * ((len(turns) - 1) % 2))
    given_up = [one for one in turns[:-1] if not one.is_done]
    if held not in possible and not given_up:
        yield f"{code} holds {held} shares after {len(turns)} turns"


def check_ticks(scene, positions, logs):
    ticks = logs.of("tick")
    least = max((one.arguments["high"] for one in ticks if one.is_done), default=0.0)
    most = max((one.arguments["high"] for one in ticks), default=0.0)
    for code in scene.bystanders:
        if code not in positions:
            yield f"{code} is lost"
        elif not least <= positions[code].max_price <= most:
            yield f"the highest price of {code} is {positions[code].max_price}, told was {least}"


def check_increments(scene, book, logs):
    """Each day that was answered with True counts once, one that nobody was told of perhaps."""
    told = [one.arguments["day"] for one in logs.of("increment") if one.answer is True]
    unknown = {one.arguments["day"] for one in logs.of("increment") if not one.is_done}
    for is_far in (False, True):
        # Two hosts that are parted may both be told so; the ages show whether it counted twice.
        own = [
            one.arguments["day"]
            for one in logs.of("increment")
            if one.answer is True and scene.is_far(one.writer) == is_far
        ]
        for day in {day for day in own if own.count(day) > 1}:
            yield f"{day} was counted {own.count(day)} times"
    least, most = len(set(told)), len(unknown.union(told))
    for code in book.positions.keys() & set(scene.bystanders):
        if not least <= book.positions[code].held_days <= most:
            yield f"{code} is {book.positions[code].held_days} days old, not {least} to {most}"
    if told and book.increment_date.isoformat() < max(told):
        yield f"the last increment is that of {book.increment_date}, not of {max(told)}"


def check_params(scene, _store, logs):
    database, files = OrmStrategies(), FileStrategies(scene.data_dir / "snapshot")
    for name in [scene.shared_strategy, *map(scene.strategy, scene.writer_names)]:
        saves = [
            one
            for kind in ("params", "shared_params")
            for one in logs.of(kind)
            if one.arguments["strategy"] == name
        ]
        versions = sorted(one["version"] for one in database.list_strategy_versions(name))
        if versions != list(range(1, len(versions) + 1)):
            yield f"versions of {name} have gaps: {versions}"
        stored = {number: database.get_strategy_params(name, number) for number in versions}
        kept = {one["version"] for one in files.list_strategy_versions(name)}
        if kept != set(stored) or any(
            files.get_strategy_params(name, number) != values for number, values in stored.items()
        ):
            yield f"versions of {name} differ between the database and the snapshot"
        for one in saves:
            meant = {"writer": one.writer, "number": one.number}
            if list(stored.values()).count(meant) > 1:
                yield f"parameters {name_of(one)} were saved twice"
            if one.is_done and stored.get(one.answer) != meant:
                yield f"parameters {name_of(one)} are not version {one.answer} of {name}"


def check_capital(scene, store, logs):
    for writer in scene.writer_names:
        account = scene.own_account(writer)
        told = [one.number for one in logs.of("capital", writer)]
        least = max((one.number for one in logs.of("capital", writer) if one.is_done), default=0)
        sources = (OrmAccounts(), FileAccounts(scene.data_dir / "snapshot"), store)
        found = [source.get_account(account)["current_capital"] for source in sources]
        if len(set(found)) != 1:
            yield f"the capital of {account} differs: {found} in database, snapshot and store"
        if found[0] < least or (told and found[0] not in told):
            yield f"the capital of {account} is {found[0]}, the newest one told was {least}"


def name_of(one):
    return f"{one.writer} {one.number}"


CHECKS = {
    "trades": check_trades,
    "positions": check_positions,
    "params": check_params,
    "capital": check_capital,
}
