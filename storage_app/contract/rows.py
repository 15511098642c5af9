"""Accounts, strategies and bindings as callers receive them: plain dicts, money as float."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from operator import itemgetter
from typing import Any

from trades_app.market import clock

ACCOUNT_TEXTS = ("account_id", "account_name", "broker", "environment", "status")
ACCOUNT_MONEY = ("initial_capital", "current_capital", "total_assets", "position_value")
ACCOUNT_KEYS = ("id", *ACCOUNT_TEXTS, *ACCOUNT_MONEY)
BINDING_KEYS = ("allocated_capital", "risk_limit", "status")
STRATEGY_KEYS = (
    "id",
    "strategy_name",
    "strategy_code",
    "strategy_type",
    "version",
    "status",
    "description",
    "active_version",
)


def account_row(values: Mapping[str, Any]) -> dict[str, Any]:
    texts = {key: values[key] for key in ("id", *ACCOUNT_TEXTS)}
    return texts | {key: _float(values[key]) for key in ACCOUNT_MONEY}


def strategy_rows(found: Iterable[Sequence[Any]]) -> list[dict[str, Any]]:
    """Build rows by name; `found` is values of STRATEGY_KEYS, active_version as its number."""
    built = [dict(zip(STRATEGY_KEYS, values, strict=True)) for values in found]
    return sorted(built, key=itemgetter("strategy_name"))


def binding_rows(other_end: str, found: Iterable[Sequence[Any]]) -> list[dict[str, Any]]:
    """Build rows by their other end; `found` is its key (a name or number) and BINDING_KEYS."""
    built = [
        {
            other_end: key,
            "allocated_capital": _float(allocated),
            "risk_limit": _float(limit),
            "status": status,
        }
        for key, allocated, limit, status in found
    ]
    return sorted(built, key=itemgetter(other_end))


def version_row(
    version: int, remark: str, created_by: str, created_at: datetime, active: int | None
) -> dict[str, Any]:
    return {
        "version": version,
        "remark": remark,
        "created_by": created_by,
        "created_at": clock.in_shanghai(created_at),
        "is_active": version == active,
    }


def _float(value: Decimal | str | None) -> float | None:
    return None if value is None else float(value)
