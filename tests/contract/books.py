"""Accounts and strategies of one backend, behind the checks that every caller goes through."""

from __future__ import annotations

import pytest

from storage_app.contract.roles import AccountBook, StrategyBook
from storage_app.stores.compose import ComposedStore
from storage_app.stores.file.accounts import FileAccounts
from storage_app.stores.file.strategies import FileStrategies

BACKENDS = ("file", "orm")


def file_books(directory):
    roles = {AccountBook: FileAccounts(directory), StrategyBook: FileStrategies(directory)}
    return ComposedStore("file", roles)


def orm_books():
    from storage_app.stores.orm import OrmAccounts, OrmStrategies

    return ComposedStore("mysql", {AccountBook: OrmAccounts(), StrategyBook: OrmStrategies()})


@pytest.fixture(params=BACKENDS)
def books(request, tmp_path):
    """Empty accounts and strategies, on files and in the relational database of this run."""
    if request.param == "file":
        return file_books(tmp_path)
    request.getfixturevalue("db")
    return orm_books()


@pytest.fixture(params=BACKENDS)
def shared_books(request, tmp_path):
    """What other processes open too: (function that opens it, its arguments)."""
    if request.param == "file":
        return file_books, (tmp_path,)
    request.getfixturevalue("transactional_db")
    return orm_books, ()
