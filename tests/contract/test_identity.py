from __future__ import annotations

from datetime import date
from uuid import UUID, uuid5

from hypothesis import given
from hypothesis import strategies as st

from storage_app.contract.identity import trade_uid

NAMESPACE = UUID("6a3d2f0e-6f0b-5d0e-9b1b-6c3f7f6f2a10")


@given(st.text(), st.dates(), st.text())
def test_uid_is_the_uuid5_of_the_identity(account_id, day: date, ident):
    parts = (account_id, f"{day}", "600000.SH", "buy_trade", ident)
    assert trade_uid(account_id, day, "600000.SH", "buy_trade", ident) == str(
        uuid5(NAMESPACE, "|".join(parts))
    )
