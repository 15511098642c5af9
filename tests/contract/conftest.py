from __future__ import annotations

import pytest

from tests.contract.books import books as books
from tests.contract.books import shared_books as shared_books
from tests.contract.position_stores import KEEPERS, POSITION_STORES


@pytest.fixture(params=POSITION_STORES)
def positions(request, data_dir, redis):
    """Each store and each mode that has positions, empty."""
    store = POSITION_STORES[request.param]()
    yield store
    store.close()


@pytest.fixture(params=KEEPERS)
def new_backend(request, data_dir, redis):
    """A factory of each store that keeps positions, over the same, empty data."""
    if request.param == "hybrid":
        request.getfixturevalue("clickhouse")
    return KEEPERS[request.param]
