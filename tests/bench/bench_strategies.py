"""Parameters of strategies: 20 strategies of 50 versions each, in MariaDB and in files."""

from __future__ import annotations

import itertools
import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import MySQLdb  # type: ignore[import-untyped]
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from storage_app.contract.roles import DataStore
from storage_app.models import Strategy
from storage_app.stores.compose import create_data_store
from tests import servers
from tests.bench import legacy_files
from tests.bench.harness import ROOT, Case
from tests.bench.shuffled import cores, measure

NOTES = (
    "Raw is one query of mysqlclient on a connection that stays, with the JSON parsed. Between it "
    "and the platform stand the same SQL through Django's cursor, the same question through the "
    "ORM, and the ping by which the platform notices a connection that the server has dropped. "
    "Legacy is one JSON file with the parameters of all strategies and no versions, SQLite the "
    "same two tables read with the standard library. The server is on the same machine; it and "
    "SQLite do not sync in this run, files do. "
    f"{cores()}"
)
DIRECTORY = ROOT / "var" / "bench" / "strategies"
LEGACY = DIRECTORY / "strategies.json"
NAMES = [f"Strategy {number:02d}" for number in range(20)]
VERSIONS = 50
QUERY = (
    "SELECT v.params FROM storage_app_strategy s LEFT JOIN storage_app_paramversion v "
    "ON v.id = s.active_version_id WHERE s.strategy_name = {place}"
)
VERSION_QUERY = (
    "SELECT v.params FROM storage_app_strategy s JOIN storage_app_paramversion v "
    "ON v.strategy_id = s.id AND v.version = {place} WHERE s.strategy_name = {place}"
)


def run() -> list[Case]:
    servers.MARIADB.start()
    shutil.rmtree(DIRECTORY, ignore_errors=True)
    DIRECTORY.mkdir(parents=True)
    raw = connect()
    call_command("migrate", database="default", verbosity=0)
    store = create_data_store("mysql")
    files = create_data_store("file", {"data_dir": DIRECTORY})
    fill(store, range(1, VERSIONS + 1))
    fill(files, range(1, VERSIONS + 1))
    legacy_files.rewrite(LEGACY, {name: parameters(VERSIONS) for name in NAMES})
    cases = [active(store, files, raw), one_version(store, files, raw), save(store, files)]
    connection.close()
    shutil.rmtree(DIRECTORY)
    return cases


def connect() -> Any:
    """Return a plain connection to a database made anew."""
    known = connection.settings_dict
    raw = MySQLdb.connect(
        host=known["HOST"], port=known["PORT"], user=known["USER"], password=known["PASSWORD"],
        charset="utf8mb4", autocommit=True,
    )  # fmt: skip
    with raw.cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS {known['NAME']}")
        cursor.execute(f"CREATE DATABASE {known['NAME']} CHARACTER SET utf8mb4")
    raw.select_db(known["NAME"])
    return raw


def parameters(version: int) -> dict[str, Any]:
    """Return a set as strategies have it, about 1.2 kB."""
    return {
        "slot_count": 10,
        "slot_capacity": 10_000 + version,
        "once_buy_limit": 30,
        "hard_time_range": ["09:31", "14:57"],
        "earn_limit": 9.999,
        "risk_limit": 1 - 0.03,
        "risk_tight": 0.002,
        "fall_time_range": ["09:31", "14:57"],
        "fall_from_top": [[1.02, 9.99, 0.02], [1.01, 1.02, 0.05]],
        "return_of_profit": [[1.07, 9.99, 0.5], [1.05, 1.07, 0.5], [1.02, 1.05, 0.8]],
        "white_prefixes": ["000", "001", "002", "003", "300", "301", "600", "601", "603", "605"],
        "prompts": ["主板创业板,非ST,量比大于1.5", "昨日涨停,竞价涨幅2%到5%"] * 3,
        "ignore_stop": False,
        "remark": "回落止盈",
        **{f"ma_{days}": {"is_on": days % 2 == 0, "ratio": days / 100} for days in range(5, 25)},
    }


def fill(store: DataStore, versions: range) -> None:
    for number, name in enumerate(NAMES):
        store.create_strategy(name, f"strategy_{number:02d}", "wencai", "1.0.0")
        for version in versions:
            store.save_strategy_params(name, parameters(version))


def active(store: DataStore, files: DataStore, raw: Any) -> Case:
    lite = sqlite_twin(raw)

    def ask(name: str) -> object:
        with raw.cursor() as cursor:
            cursor.execute(QUERY.format(place="%s"), (name,))
            return json.loads(cursor.fetchone()[0])

    def ask_django(name: str) -> object:
        with connection.cursor() as cursor:
            cursor.execute(QUERY.format(place="%s"), (name,))
            return json.loads(cursor.fetchone()[0])

    def ask_orm(name: str) -> object:
        found = Strategy.objects.filter(strategy_name=name)
        return found.values_list("active_version__params", flat=True)[0]

    def ask_lite(name: str) -> object:
        (text,) = lite.execute(QUERY.format(place="?"), (name,)).fetchone()
        return json.loads(text)

    candidates: dict[str, Callable[[str], object]] = {
        "platform": store.get_strategy_params,
        "raw mysqlclient, one query": ask,
        "Django cursor, same SQL": ask_django,
        "Django ORM": ask_orm,
        "legacy JSON": lambda name: legacy_files.read(LEGACY)[name],
        "platform, file mode": files.get_strategy_params,
        "SQLite": ask_lite,
    }
    for label, call in candidates.items():
        assert call(NAMES[0]) == parameters(VERSIONS), label
    with CaptureQueriesContext(connection) as queries:
        store.get_strategy_params(NAMES[0])
    return measure(
        "active parameters of a strategy",
        {label: by_name(call) for label, call in candidates.items()},
        1000,
        warm_up=30,
        goal=f"one query; asked: {len(queries)}",
    )


def one_version(store: DataStore, files: DataStore, raw: Any) -> Case:
    def ask(name: str) -> object:
        with raw.cursor() as cursor:
            cursor.execute(VERSION_QUERY.format(place="%s"), (7, name))
            return json.loads(cursor.fetchone()[0])

    with CaptureQueriesContext(connection) as queries:
        store.get_strategy_params(NAMES[0], 7)
    return measure(
        "parameters of an older version",
        {
            "platform": by_name(lambda name: store.get_strategy_params(name, 7)),
            "raw mysqlclient, one query": by_name(ask),
            "platform, file mode": by_name(lambda name: files.get_strategy_params(name, 7)),
        },
        500,
        warm_up=30,
        goal=f"one query; asked: {len(queries)}",
    )


def save(store: DataStore, files: DataStore) -> Case:
    """Measure a new version; raw keeps neither a history nor who did it."""
    numbers = itertools.count(VERSIONS + 1)
    text = DIRECTORY / "raw.json"

    def rewrite(write: Callable[[Path, dict[str, Any]], None], path: Path) -> Callable[[], object]:
        def call() -> None:
            document = legacy_files.read(path)
            document[NAMES[0]] = parameters(next(numbers))
            write(path, document)

        return call

    legacy_files.rewrite(text, legacy_files.read(LEGACY))
    written = measure(
        "save a version of parameters",
        {
            "platform": by_name(
                lambda name: store.save_strategy_params(name, parameters(next(numbers)))
            ),
            "legacy JSON": rewrite(legacy_files.rewrite, LEGACY),
        },
        100,
    )
    synced = measure(
        "",
        {
            "platform, file mode": by_name(
                lambda name: files.save_strategy_params(name, parameters(next(numbers)))
            ),
            "raw file, replaced and synced": rewrite(legacy_files.replace, text),
        },
        100,
    )
    mysql, legacy = written.timings
    file_mode, raw = synced.timings
    return Case(written.name, [file_mode, raw, legacy, mysql])


def sqlite_twin(raw: Any) -> sqlite3.Connection:
    """Return the two tables in SQLite."""
    lite = sqlite3.connect(DIRECTORY / "peer.sqlite3")
    lite.execute(
        "CREATE TABLE storage_app_strategy "
        "(id INTEGER PRIMARY KEY, strategy_name TEXT UNIQUE, active_version_id INTEGER)"
    )
    lite.execute("CREATE TABLE storage_app_paramversion (id INTEGER PRIMARY KEY, params TEXT)")
    for table, columns in {
        "storage_app_strategy": "id, strategy_name, active_version_id",
        "storage_app_paramversion": "id, params",
    }.items():
        with raw.cursor() as cursor:
            cursor.execute(f"SELECT {columns} FROM {table}")
            rows = cursor.fetchall()
        places = ", ".join("?" * len(rows[0]))
        lite.executemany(f"INSERT INTO {table} VALUES ({places})", rows)
    lite.commit()
    return lite


def by_name(call: Callable[[str], object]) -> Callable[[], object]:
    names = itertools.cycle(NAMES)
    return lambda: call(next(names))
