from __future__ import annotations

import pytest

from tests.contract.books import books as books
from tests.contract.books import shared_books as shared_books
from tests.contract.position_stores import BACKENDS, POSITION_STORES


@pytest.fixture(params=POSITION_STORES)
def positions(request, data_dir, redis):
    """Each store and each mode that has positions, empty."""
    store = POSITION_STORES[request.param]()
    yield store
    store.close()


@pytest.fixture(params=BACKENDS)
def new_backend(request, data_dir, redis):
    """A factory of each backend over the same, empty data."""
    return BACKENDS[request.param]
