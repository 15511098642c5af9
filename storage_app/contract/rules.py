"""What accounts, strategies and bindings must fulfil, on every backend and in every form.

Each `parse_…` returns the value as it is stored or raises InvalidInput.
"""

from __future__ import annotations

import logging
import re
import socket
from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from functools import lru_cache

from storage_app.contract.arguments import parse_account, parse_choice, parse_money
from storage_app.contract.errors import InvalidInput
from storage_app.contract.types import AccountStatus, Broker, Environment, Money, StrategyType
from trades_app.market import calendar, clock

logger = logging.getLogger(__name__)

ACCOUNT_ID_PATTERN = r"[A-Za-z0-9_-]{6,50}"
STRATEGY_CODE_PATTERN = r"[a-z0-9_]{1,50}"
PROGRAM_VERSION_PATTERN = r"[0-9]{1,6}\.[0-9]{1,6}\.[0-9]{1,6}"
TOTALS_TOLERANCE = Decimal("0.01")
_CENT = Decimal("0.01")
# SQLite keeps fifteen digits of a decimal, so more would not come back as it went in.
_MONEY_LIMIT = Decimal(10) ** 13


class StrategyStatus(StrEnum):
    TESTING = "testing"
    ACTIVE = "active"
    INACTIVE = "inactive"


class BindingStatus(StrEnum):
    ACTIVE = "active"
    PAUSED = "paused"


parse_broker = parse_choice(Broker)
parse_environment = parse_choice(Environment)
parse_account_status = parse_choice(AccountStatus)
parse_strategy_type = parse_choice(StrategyType)
parse_strategy_status = parse_choice(StrategyStatus)
parse_binding_status = parse_choice(BindingStatus)


@dataclass(frozen=True, slots=True)
class NewAccount:
    """An account that fulfils the rules and does not exist yet."""

    account_id: str
    account_name: str
    broker: Broker
    environment: Environment
    initial_capital: Decimal


@dataclass(frozen=True, slots=True)
class NewStrategy:
    """A strategy that fulfils the rules and does not exist yet."""

    strategy_name: str
    strategy_code: str
    strategy_type: StrategyType
    version: str
    description: str


@dataclass(frozen=True, slots=True)
class Capital:
    """Capital of an account in yuan; what a source does not tell is None, which is not zero."""

    total_assets: Decimal
    current_capital: Decimal | None = None
    position_value: Decimal | None = None


def new_account(
    account_id: str, account_name: str, broker: str, initial_capital: Money, environment: str
) -> NewAccount:
    return NewAccount(
        account_id=parse_account(account_id),
        account_name=parse_account_name(account_name),
        broker=parse_broker(broker),
        environment=parse_environment(environment),
        initial_capital=parse_capital(initial_capital, "initial capital"),
    )


def new_strategy(
    strategy_name: str, strategy_code: str, strategy_type: str, version: str, description: str
) -> NewStrategy:
    return NewStrategy(
        strategy_name=parse_strategy_name(strategy_name),
        strategy_code=parse_strategy_code(strategy_code),
        strategy_type=parse_strategy_type(strategy_type),
        version=parse_program_version(version),
        description=parse_description(description),
    )


def parse_text(value: str, name: str, *, least: int = 0, most: int) -> str:
    """Return one line of text without surrounding space, within its limits of length."""
    if not isinstance(value, str):
        raise InvalidInput(f"{name} must be text, not {type(value).__name__}")
    text = value.strip()
    if not least <= len(text) <= most:
        raise InvalidInput(f"{name} must have {least} to {most} characters, not {len(text)}")
    if not text.isprintable():
        raise InvalidInput(f"{name} {text!r} holds a line break or another control character")
    return text


def parse_account_name(value: str) -> str:
    return parse_text(value, "account name", least=1, most=100)


def parse_strategy_name(value: str) -> str:
    return parse_text(value, "strategy name", least=3, most=100)


def parse_lookup(value: str) -> str:
    """Return a name to look for as it would have been stored; it need not exist."""
    return parse_text(value, "strategy name", most=100)


def parse_strategy_code(value: str) -> str:
    return _matching(STRATEGY_CODE_PATTERN, value, "strategy code", "1 to 50 of a-z, 0-9 and '_'")


def parse_program_version(value: str) -> str:
    return _matching(PROGRAM_VERSION_PATTERN, value, "version", "x.y.z, such as 1.0.0")


def parse_remark(value: str) -> str:
    return parse_text(value, "remark", most=200)


def parse_reason(value: str) -> str:
    """Return why a person decided so; nobody decides without a reason."""
    return parse_text(value, "reason", least=1, most=200)


def parse_description(value: str) -> str:
    if not isinstance(value, str) or len(value) > 10_000:
        raise InvalidInput("description must be text of at most 10000 characters")
    if not value.replace("\n", "").replace("\r", "").replace("\t", "").isprintable():
        raise InvalidInput("description holds a control character")
    return value.strip()


def parse_capital(value: Money, name: str) -> Decimal:
    """Return yuan above 0, rounded to the cent."""
    amount = parse_balance(value, name)
    if amount <= 0:
        raise InvalidInput(f"{name} {value!r} must be above 0")
    return amount


def parse_balance(value: Money, name: str) -> Decimal:
    """Return yuan from 0 up, rounded to the cent."""
    amount = parse_money(value)
    if not 0 <= amount < _MONEY_LIMIT:
        raise InvalidInput(f"{name} {value!r} must be at least 0 and below 10^13")
    # A negative zero would read back as zero from some stores only.
    return abs(amount.quantize(_CENT, ROUND_HALF_UP))


def parse_risk_limit(value: Money) -> Decimal:
    """Return percent of the allocated capital, 0 to 100."""
    percent = parse_balance(value, "risk limit")
    if percent > 100:
        raise InvalidInput(f"risk limit {value!r} must be 0 to 100 percent")
    return percent


def parse_totals(current_capital: Money, total_assets: Money, position_value: Money) -> Capital:
    return Capital(
        total_assets=parse_balance(total_assets, "total assets"),
        current_capital=parse_balance(current_capital, "current capital"),
        position_value=parse_balance(position_value, "position value"),
    )


def capital_day(moment: datetime) -> date:
    """Return the trading day that capital at a moment belongs to: the latest, never the next."""
    day = clock.in_shanghai(moment).date()
    return day if calendar.is_trading_day(day) else calendar.previous_trading_day(day)


def warn_unequal_totals(account_id: str, capital: Capital) -> None:
    """Log it when the parts do not add up; frozen cash makes that common, so it is no error."""
    if capital.current_capital is None or capital.position_value is None:
        return
    parts = capital.current_capital + capital.position_value
    if abs(capital.total_assets - parts) > TOTALS_TOLERANCE:
        logger.warning(
            "Account %s: total assets %s differ from cash %s + positions %s by %s",
            account_id,
            capital.total_assets,
            capital.current_capital,
            capital.position_value,
            capital.total_assets - parts,
        )


# A scheduled job may suspend; every other change of status takes a person.
_ACCOUNT_MOVES = {
    (AccountStatus.ACTIVE, AccountStatus.INACTIVE),
    (AccountStatus.ACTIVE, AccountStatus.SUSPENDED),
    (AccountStatus.SUSPENDED, AccountStatus.ACTIVE),
    (AccountStatus.SUSPENDED, AccountStatus.INACTIVE),
    (AccountStatus.INACTIVE, AccountStatus.ACTIVE),
}
_ACCOUNT_MOVES_OF_JOBS = {(AccountStatus.ACTIVE, AccountStatus.SUSPENDED)}
# A retired strategy comes back through testing.
_STRATEGY_MOVES = {
    (StrategyStatus.TESTING, StrategyStatus.ACTIVE),
    (StrategyStatus.TESTING, StrategyStatus.INACTIVE),
    (StrategyStatus.ACTIVE, StrategyStatus.TESTING),
    (StrategyStatus.ACTIVE, StrategyStatus.INACTIVE),
    (StrategyStatus.INACTIVE, StrategyStatus.TESTING),
}


def check_account_move(
    before: AccountStatus, after: AccountStatus, *, by_hand: bool = True
) -> None:
    moves = _ACCOUNT_MOVES if by_hand else _ACCOUNT_MOVES_OF_JOBS
    if (before, after) not in moves:
        who = "" if by_hand else " by a scheduled job"
        raise InvalidInput(f"an account cannot go from {before} to {after}{who}")


def check_strategy_move(before: StrategyStatus, after: StrategyStatus) -> None:
    if (before, after) not in _STRATEGY_MOVES:
        raise InvalidInput(f"a strategy cannot go from {before} to {after}")


def check_bindable(
    account_id: str, account_status: str, strategy_name: str, strategy_status: str
) -> None:
    """Refuse to put capital on what is retired."""
    if account_status == AccountStatus.INACTIVE:
        raise InvalidInput(f"account {account_id} is retired; no strategy can be bound to it")
    if strategy_status == StrategyStatus.INACTIVE:
        raise InvalidInput(f"strategy {strategy_name!r} is retired; it cannot be bound")


def check_allocation(
    account_id: str, wanted: Decimal, allocated: Decimal, capital: Decimal
) -> None:
    """Refuse a share that the account does not have.

    `allocated` is what all other bindings hold, paused ones too, since their positions stay;
    `capital` is total assets, or the initial capital as long as those are unknown.
    """
    if allocated + wanted > capital:
        raise InvalidInput(
            f"account {account_id} has {capital} and {allocated} of it is allocated; "
            f"{wanted} more is too much"
        )


@lru_cache(maxsize=1)
def trader_name() -> str:
    """Return who acts when a program calls a DataStore on this host."""
    return f"trader@{socket.gethostname()}"[:150]


def describe_taken_account(account_id: str, environment: str, wanted: str) -> str:
    """Return the message of a Conflict, proposing the paper twin when that is what was meant."""
    message = f"account {account_id} exists already, as {environment}"
    if wanted == Environment.PAPER != environment:
        message += f"; its paper twin is an account of its own: {account_id}-paper"
    return message


def describe_bound(account_id: str, strategy_name: str) -> str:
    return f"strategy {strategy_name!r} is bound to account {account_id} already"


def describe_taken_strategy(taken: str, value: str) -> str:
    """Return the message of a Conflict; `taken` is strategy_name or strategy_code."""
    return f"a strategy with {taken} {value!r} exists already"


def describe_unknown_account(account_id: str) -> str:
    return f"there is no account {account_id!r}"


def describe_unknown_strategy(strategy_name: str) -> str:
    return f"there is no strategy {strategy_name!r}"


def describe_unknown_version(strategy_name: str, version: int) -> str:
    return f"strategy {strategy_name!r} has no parameter version {version}"


def _matching(pattern: str, value: str, name: str, form: str) -> str:
    if not isinstance(value, str) or not re.fullmatch(pattern, value):
        raise InvalidInput(f"{name} {value!r} must be {form}")
    return value
