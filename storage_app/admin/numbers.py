"""Account numbers, whole for those who may see them, their last digits for others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from storage_app.models.accounts import masked as masked

if TYPE_CHECKING:
    from storage_app.models import Account
    from storage_app.services.access import Visitor

SEES_NUMBERS = "storage_app.view_account_number"


def sees_numbers(user: Visitor) -> bool:
    return user.has_perm(SEES_NUMBERS)


def shown_to(user: Visitor, number: str) -> str:
    """Return a number as a user may see it; that of a book keeps its namespace."""
    if sees_numbers(user):
        return number
    account, slash, namespace = number.partition("/")
    return f"{masked(account)}{slash}{namespace}"


def title(user: Visitor, account: Account) -> str:
    return f"{account.account_name} ({shown_to(user, account.account_id)})"
