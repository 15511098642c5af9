from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _english(english):
    """Notes of the readers are compared with their source texts."""
