"""Check and normalise arguments once, above every backend, by role and parameter name."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from storage_app.contract import arguments as parse
from storage_app.contract.roles import (
    AccountBook,
    KlineStore,
    PositionStore,
    StrategyBook,
    TradeLedger,
)
from storage_app.contract.types import (
    AccountStatus,
    Adjust,
    OrderType,
    Period,
    PositionState,
    PriceType,
    Side,
)

Parser = Callable[[Any], Any]


def _positions(states: Mapping[str, PositionState]) -> dict[str, PositionState]:
    return {parse.parse_code(code): state for code, state in states.items()}


# By parameter name; `method.parameter` wins where one name means two things.
PARSERS: dict[type, dict[str, Parser]] = {
    PositionStore: {
        "account_id": parse.parse_book,
        "code": parse.parse_code,
        "codes": parse.parse_codes,
        "days": parse.parse_held_days,
        "increment_date": parse.parse_date,
        "positions": _positions,
        "price": parse.parse_price,
        "prices": parse.parse_tick,
        "remaining": parse.parse_remaining,
        "side": parse.parse_choice(Side),
        "timestamp": parse.parse_timestamp,
        "trade_date": parse.parse_date,
        "trade_id": parse.parse_trade_id,
        "volume": parse.parse_volume,
    },
    TradeLedger: {
        "account_id": parse.parse_account,
        "code": parse.parse_code,
        "end_date": parse.parse_date,
        "group_by": parse.parse_choice(Period),
        "limit": parse.parse_rows,
        "order_type": parse.parse_choice(OrderType),
        "price_type": parse.parse_choice(PriceType),
        "start_date": parse.parse_date,
        "timestamp": parse.parse_timestamp,
    },
    KlineStore: {
        "adjust": parse.parse_choice(Adjust),
        "batch_get_kline.codes": parse.parse_batch,
        "code": parse.parse_code,
        "codes": parse.parse_codes,
        "days": parse.parse_rows,
        "end_date": parse.parse_date,
        "start_date": parse.parse_date,
    },
    AccountBook: {
        "account_id": parse.parse_account,
        "allocated_capital": parse.parse_money,
        "current_capital": parse.parse_money,
        "initial_capital": parse.parse_money,
        "position_value": parse.parse_money,
        "risk_limit": parse.parse_money,
        "status": parse.parse_choice(AccountStatus),
        "total_assets": parse.parse_money,
    },
    StrategyBook: {
        "get_strategy_params.version": parse.parse_version,
        "activate_strategy_params.version": parse.parse_version,
        "version_a": parse.parse_version,
        "version_b": parse.parse_version,
    },
}


def checked(role: type, method: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a backend's method so that it receives parsed arguments only."""
    parameters = inspect.signature(method).parameters
    by_name = {name: _parser(role, method.__name__, name, parameters) for name in parameters}
    by_place = list(by_name.values())

    @functools.wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:
        if len(args) > len(by_place):
            return method(*args, **kwargs)  # raises the TypeError that Python words best
        places = [
            value if parser is None else parser(value)
            for parser, value in zip(by_place, args, strict=False)
        ]
        for name, value in kwargs.items():
            parser = by_name.get(name)
            kwargs[name] = value if parser is None else parser(value)
        return method(*places, **kwargs)

    return call


def _parser(
    role: type, method: str, name: str, parameters: Mapping[str, inspect.Parameter]
) -> Parser | None:
    table = PARSERS[role]
    parser = table.get(f"{method}.{name}", table.get(name))
    if parser is not None and "None" in str(parameters[name].annotation):
        return functools.partial(_unless_none, parser)
    return parser


def _unless_none(parser: Parser, value: Any) -> Any:
    return None if value is None else parser(value)
