"""The databases of programs that run outside of pytest, on the private servers."""

from __future__ import annotations

from django.core.management import call_command
from django.db import connections
from django_redis import get_redis_connection

from tests import servers


def names():
    """Return the databases in use, by alias, for programs that are to use the same."""
    return {alias: str(connections[alias].settings_dict["NAME"]) for alias in connections}


def make():
    """Start the servers and make on them what the settings name."""
    for server in servers.SERVERS:
        server.start()
    settings = connections["default"].settings_dict
    if "mysql" in settings["ENGINE"]:
        import MySQLdb

        own = MySQLdb.connect(
            host=settings["HOST"], port=int(settings["PORT"]), user=settings["USER"],
            password=settings["PASSWORD"],
        )  # fmt: skip
        own.cursor().execute(
            f"CREATE DATABASE IF NOT EXISTS `{settings['NAME']}` CHARACTER SET utf8mb4"
        )
        own.close()
    call_command("migrate", database="default", verbosity=0)
    call_command("migrate", database="clickhouse", verbosity=0)


def empty_redis():
    servers.REDIS.start()
    get_redis_connection("positions").flushall()
