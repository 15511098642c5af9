"""Accounts and strategies of every mode that has them, opened as a trader does."""

from __future__ import annotations

from contextlib import contextmanager

import pytest

from storage_app import create_data_store

MODES = ("file", "mysql", "hybrid")


def open_books(mode, directory):
    return create_data_store(mode, {"data_dir": directory})


@contextmanager
def opened(mode, directory):
    """A store of a process that races with others."""
    books = open_books(mode, directory)
    try:
        yield books
    finally:
        books.close()


def prepare(request, database):
    if request.param != "file":
        request.getfixturevalue(database)
    if request.param == "hybrid":
        request.getfixturevalue("redis")
        request.getfixturevalue("clickhouse")


@pytest.fixture(params=MODES)
def books(request, tmp_path):
    """Empty accounts and strategies: files, the relational database of this run, both."""
    prepare(request, "db")
    with opened(request.param, tmp_path) as books:
        yield books


@pytest.fixture(params=MODES)
def shared_books(request, tmp_path):
    """The mode and the directory of accounts and strategies that other processes open too."""
    prepare(request, "transactional_db")
    return request.param, tmp_path
