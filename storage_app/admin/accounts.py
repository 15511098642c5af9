"""Accounts and what strategies do in them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy
from unfold.contrib.filters.admin import ChoicesRadioFilter
from unfold.decorators import action, display
from unfold.views import ChangeList

from storage_app.admin import facts, figures, numbers
from storage_app.admin.confirm import Question, ask, reason_field
from storage_app.admin.dashboard import RECENT, Capital, read_capitals
from storage_app.admin.positions import read_positions
from storage_app.admin.records import ServiceAdmin
from storage_app.admin.sources import reading_clickhouse, signed_in
from storage_app.admin.wording import describe_trades
from storage_app.contract.errors import Unavailable
from storage_app.models import Account, AccountStatus, Environment, User
from storage_app.services import accounts
from storage_app.services.access import visible_accounts
from storage_app.services.actors import of_request

STATUS_TONES = {
    AccountStatus.ACTIVE.value: "good",
    AccountStatus.SUSPENDED.value: "warn",
    AccountStatus.INACTIVE.value: "",
}
# Which buttons a status leaves.
MOVES = {
    AccountStatus.ACTIVE.value: ("suspend", "retire"),
    AccountStatus.SUSPENDED.value: ("resume", "retire"),
    AccountStatus.INACTIVE.value: ("resume",),
}
ENVIRONMENT_TONES = {Environment.LIVE.value: "info", Environment.PAPER.value: ""}
RECENT_TRADES = 10


class AccountForm(forms.ModelForm):  # type: ignore[type-arg]
    reason = reason_field()

    class Meta:
        model = Account
        fields = (
            "account_id",
            "account_name",
            "broker",
            "environment",
            "initial_capital",
            "is_demo",
        )


class CapitalChangeList(ChangeList):
    """Reads the newest two snapshots of all accounts of the page at once."""

    result_list: Any

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list = list(self.result_list)
        for capital in read_capitals(self.result_list):
            capital.account.capital = capital  # type: ignore[attr-defined]
            _show_number(signed_in(request), capital.account)


@admin.register(Account)
class AccountAdmin(ServiceAdmin):
    form = AccountForm
    list_display = (
        "title",
        "account_number",
        "broker",
        "environment_badge",
        "status_badge",
        "money_total",
        "money_cash",
        "money_positions",
        "money_change",
        "as_of",
    )
    list_filter = (
        ("status", ChoicesRadioFilter),
        ("environment", ChoicesRadioFilter),
        ("broker", ChoicesRadioFilter),
    )
    search_help_text = _("Number or name")
    ordering = ("account_id",)
    list_fullwidth = True
    fields = (
        ("account_id", "account_name"),
        ("broker", "environment"),
        ("initial_capital", "is_demo"),
        "reason",
    )
    change_form_outer_before_template = "storage_app/parts/account_overview.html"
    actions_detail = ("suspend", "resume", "retire")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Account]:
        return visible_accounts(signed_in(request))

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return CapitalChangeList

    def get_search_fields(self, request: HttpRequest) -> Sequence[str]:
        # A number that is masked must not be found by trying its digits.
        whole = numbers.sees_numbers(signed_in(request))
        return ("account_id", "account_name") if whole else ("account_name",)

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Account | None:
        account: Account | None = super().get_object(request, object_id, from_field)
        if account is not None:
            _show_number(signed_in(request), account)
        return account

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        fields = super().get_fields(request, obj)
        return fields if obj is None else (("account_number", "account_name"), *fields[1:])

    def get_readonly_fields(self, request: HttpRequest, obj: Account | None = None) -> Any:
        return ("account_number",) if obj else ()

    def save_model(self, request: HttpRequest, obj: Account, form: Any, change: bool) -> None:
        given = form.cleaned_data
        if change:
            changes = {name: given[name] for name in form.changed_data if name != "reason"}
            accounts.update(of_request(request), obj.account_id, changes, given["reason"])
            return
        made = accounts.create(
            of_request(request),
            account_id=given["account_id"],
            account_name=given["account_name"],
            broker=given["broker"],
            initial_capital=given["initial_capital"],
            environment=given["environment"],
            is_demo=given["is_demo"],
            reason=given["reason"],
        )
        obj.pk = made.pk

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        account = self.get_object(request, object_id)
        overview = {} if account is None else self._overview(request, account)
        named = "" if account is None else numbers.title(signed_in(request), account)
        title = {"title": named}
        return super().change_view(
            request, object_id, form_url, title | overview | (extra_context or {})
        )

    def _overview(self, request: HttpRequest, account: Account) -> dict[str, Any]:
        user = signed_in(request)
        if not self.has_view_permission(request, account):
            raise PermissionDenied
        overview: dict[str, Any] = {
            "account": account,
            "capital": read_capitals([account])[0],
            "status_tone": STATUS_TONES[account.status],
            "positions": read_positions(user, [account]),
            "bindings": describe_bindings(account),
        }
        if user.has_perm("trades_app.view_trade"):
            overview["trades"], overview["trades_missing"] = self._trades(request, account)
        return overview

    def _trades(self, request: HttpRequest, account: Account) -> tuple[list[Any], str]:
        try:
            with reading_clickhouse():
                rows = facts.trades_seen_by(signed_in(request))
                rows = rows.filter(account_id=account.account_id)
                newest = facts.last_date(rows)
                if newest is None:
                    return [], ""
                rows = rows.filter(trade_date__gte=newest - RECENT)
                found = list(rows.order_by("-traded_at", "trade_uid")[:RECENT_TRADES])
        except Unavailable as exc:
            return [], exc.backend
        return describe_trades(found), ""

    def moves_of(self, row: Account) -> Collection[str]:
        return MOVES[row.status]

    @action(description=_("Suspend"), url_path="suspend", permissions=["change"], icon="pause")
    def suspend(self, request: HttpRequest, object_id: str) -> HttpResponse:
        explanation = _("Trading programs see the account as suspended until it is resumed.")
        return self._move(request, object_id, AccountStatus.SUSPENDED, _("Suspend"), explanation)

    @action(description=_("Resume"), url_path="resume", permissions=["change"], icon="play_arrow")
    def resume(self, request: HttpRequest, object_id: str) -> HttpResponse:
        explanation = _("Trading programs see the account as active again.")
        return self._move(request, object_id, AccountStatus.ACTIVE, _("Resume"), explanation)

    @action(
        description=_("Retire"),
        url_path="retire",
        permissions=["change"],
        icon="archive",
    )
    def retire(self, request: HttpRequest, object_id: str) -> HttpResponse:
        explanation = _("The account stays with its history; it is never deleted.")
        return self._move(request, object_id, AccountStatus.INACTIVE, _("Retire"), explanation)

    def _move(
        self,
        request: HttpRequest,
        object_id: str,
        status: AccountStatus,
        verb: Promise,
        explanation: Promise,
    ) -> HttpResponse:
        account = self.found(request, object_id)
        actor, number = of_request(request), account.account_id
        named = numbers.title(signed_in(request), account)
        question = Question(
            title=f"{verb}: {named}",
            explanation=explanation,
            button=verb,
            done=_("%(account)s is now: %(status)s") % {"account": named, "status": status.label},
            back=self.page_of(account),
            act=lambda reason: accounts.set_status(actor, number, status.value, reason),
            is_dangerous=status is AccountStatus.INACTIVE,
        )
        return ask(self, request, question)

    @display(description=_("account"), ordering="account_name")
    def title(self, account: Account) -> str:
        return account.account_name

    @display(description=_("account number"), ordering="account_id")
    def account_number(self, account: Account) -> str:
        shown: str = account.shown_number  # type: ignore[attr-defined]
        return shown

    @display(description=_("environment"), ordering="environment")
    def environment_badge(self, account: Account) -> str:
        tone = ENVIRONMENT_TONES[account.environment]
        return figures.badge(account.get_environment_display(), tone)

    @display(description=_("status"), ordering="status")
    def status_badge(self, account: Account) -> str:
        return figures.badge(account.get_status_display(), STATUS_TONES[account.status])

    @display(description=_("total assets"))
    def money_total(self, account: Account) -> str:
        return figures.money(_capital(account).total_assets)

    @display(description=_("cash"))
    def money_cash(self, account: Account) -> str:
        return figures.money(_capital(account).cash)

    @display(description=_("position value"))
    def money_positions(self, account: Account) -> str:
        return figures.money(_capital(account).position_value)

    @display(description=pgettext_lazy("price", "Change"))
    def money_change(self, account: Account) -> str:
        capital = _capital(account)
        if capital.change is None:
            return figures.MISSING
        return format_html(
            '<span class="{}">{} ({})</span>',
            figures.tone(capital.change),
            figures.signed(capital.change),
            figures.percent(capital.change_share),
        )

    @display(description=_("as of"))
    def as_of(self, account: Account) -> str:
        newest = _capital(account).newest
        return f"{newest.trade_date:%Y-%m-%d}" if newest else figures.MISSING


def _show_number(user: User, account: Account) -> None:
    account.shown_number = numbers.shown_to(user, account.account_id)  # type: ignore[attr-defined]


def _capital(account: Account) -> Capital:
    capital: Capital = account.capital  # type: ignore[attr-defined]
    return capital


def describe_bindings(account: Account) -> list[dict[str, Any]]:
    """Return the strategies of an account with their share of its total assets in percent."""
    total = account.total_assets or account.initial_capital
    return [
        {
            "binding": binding,
            "share": min(100.0, 100 * (figures.ratio(binding.allocated_capital, total) or 0)),
        }
        for binding in account.bindings.select_related("strategy", "strategy__active_version")
    ]
