"""Trades that contradict the ledger: seen side by side, decided by a person, once."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.contrib import admin, messages
from django.db.models import Case, IntegerField, QuerySet, Value, When
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import DropdownFilter, RadioFilter
from unfold.decorators import action, display

from storage_app.admin import figures, numbers
from storage_app.admin.confirm import Question, ask
from storage_app.admin.records import DecidingAdmin, ReadOnlyAdmin
from storage_app.admin.sources import reading_clickhouse, signed_in
from storage_app.admin.wording import KINDS, PRICE_KINDS, TONES
from storage_app.contract import trade_documents
from storage_app.contract.errors import Unavailable
from storage_app.contract.types import Trade
from storage_app.models import ConflictResolution, TradeConflict, User
from storage_app.services import conflicts
from storage_app.services.access import visible_accounts
from storage_app.services.actors import of_request
from trades_app.models import Trade as TradeRow

OPEN, RESOLVED = "open", "resolved"
RESOLUTION_TONES = {
    "": "bad",
    ConflictResolution.KEPT.value: "good",
    ConflictResolution.TAKEN.value: "good",
    ConflictResolution.BOTH.value: "good",
}
SHOWN = (
    "traded_at",
    "code",
    "name",
    "order_type",
    "price_type",
    "price",
    "volume",
    "amount",
    "strategy_name",
    "remark",
    "order_id",
    "trade_id",
    "source",
)
# What the buttons say and what happens then.
VERBS: Mapping[ConflictResolution, tuple[Promise, Promise]] = {
    ConflictResolution.KEPT: (
        _("Keep the ledger's row"),
        _("The ledger stays as it is. The refused row is kept here and nowhere else."),
    ),
    ConflictResolution.TAKEN: (
        _("Take the refused row"),
        _("The refused row takes the place of the ledger's in every list, sum and chart."),
    ),
    ConflictResolution.BOTH: (
        _("Record both"),
        _(
            "The refused row is recorded beside the ledger's, as a trade of its own. Right only "
            "if the broker confirms two trades that were given one number."
        ),
    ),
}


class StateFilter(RadioFilter):
    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Promise]]:
        return [(OPEN, _("Undecided")), (RESOLVED, _("Decided"))]

    def queryset(self, request: HttpRequest, rows: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() in (OPEN, RESOLVED):
            return rows.filter(resolved_at__isnull=self.value() == OPEN)
        return rows


class AccountFilter(DropdownFilter):
    """Offers the accounts that the user may see, and no others."""

    title = _("account")
    parameter_name = "account"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        user = signed_in(request)
        return [(str(one.pk), numbers.title(user, one)) for one in visible_accounts(user)]

    def queryset(self, request: HttpRequest, rows: QuerySet[Any]) -> QuerySet[Any]:
        asked = self.value() or ""
        if not asked.isdecimal():
            return rows
        chosen = visible_accounts(signed_in(request)).filter(pk=int(asked))
        return rows.filter(account_id__in=list(chosen.values_list("account_id", flat=True)))


@dataclass(frozen=True, slots=True)
class Comparison:
    """Both rows field by field; `missing` names a store that does not answer."""

    rows: Sequence[tuple[str, str, str, bool]]
    has_standing: bool
    missing: str = ""

    @property
    def differs(self) -> bool:
        return any(is_different for *_texts, is_different in self.rows)

    def shortened(self) -> Comparison:
        """Return what differs and nothing else, or everything if nothing does."""
        return replace(self, rows=[row for row in self.rows if row[-1]] or self.rows)


@admin.register(TradeConflict)
class TradeConflictAdmin(ReadOnlyAdmin, DecidingAdmin):
    list_display = (
        "state_badge",
        "account_id",
        "when",
        "code",
        "kind",
        "num_price",
        "num_volume",
        "found_at",
        "resolved_by",
    )
    list_display_links = ("state_badge", "when")
    list_filter = (StateFilter, AccountFilter)
    list_filter_sheet = False
    list_fullwidth = True
    search_help_text = _("Code, account or uid")
    change_form_template = "storage_app/conflict.html"
    actions_detail = ("keep", "take", "record_both")
    empty_hint = _("No host has reported a trade that contradicts the ledger.")
    ordering = (
        Case(
            When(resolved_at=None, then=Value(0)), default=Value(1), output_field=IntegerField()
        ).asc(),
        "-found_at",
        "-pk",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[TradeConflict]:
        return conflicts.visible_conflicts(signed_in(request))

    def get_search_fields(self, request: HttpRequest) -> Sequence[str]:
        # A number that is masked must not be found by trying its digits.
        whole = numbers.sees_numbers(signed_in(request))
        return ("code", "trade_uid", "origin", *(("account_id",) if whole else ()))

    def get_list_display(self, request: HttpRequest) -> Any:
        user = signed_in(request)

        @display(description=_("account"), ordering="account_id")
        def account(conflict: TradeConflict) -> str:
            return numbers.shown_to(user, conflict.account_id)

        return [account if name == "account_id" else name for name in self.list_display]

    def has_resolve_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return signed_in(request).has_perm("storage_app.change_tradeconflict")

    def moves_of(self, row: TradeConflict) -> Collection[str]:
        return () if row.is_resolved else self.actions_detail

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        conflict = self.get_object(request, object_id)
        shown: dict[str, Any] = {}
        if conflict is not None:
            comparison = compare(conflict)
            shown = {
                "title": _title(signed_in(request), conflict),
                "conflict": conflict,
                "tone": RESOLUTION_TONES[conflict.resolution],
                "comparison": comparison,
                "ledger_uids": _recorded_as(conflict, comparison),
            }
        return super().change_view(request, object_id, form_url, shown | (extra_context or {}))

    @action(
        description=VERBS[ConflictResolution.KEPT][0],
        url_path="keep",
        permissions=["resolve"],
        icon="check",
    )
    def keep(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._decide(request, object_id, ConflictResolution.KEPT)

    @action(
        description=VERBS[ConflictResolution.TAKEN][0],
        url_path="take",
        permissions=["resolve"],
        icon="swap_horiz",
    )
    def take(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._decide(request, object_id, ConflictResolution.TAKEN)

    @action(
        description=VERBS[ConflictResolution.BOTH][0],
        url_path="record-both",
        permissions=["resolve"],
        icon="add",
    )
    def record_both(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._decide(request, object_id, ConflictResolution.BOTH)

    def _decide(
        self, request: HttpRequest, object_id: str, resolution: ConflictResolution
    ) -> HttpResponse:
        conflict = self.found(request, object_id)
        back = self.page_of(conflict)
        if conflict.is_resolved and request.method == "GET":
            messages.info(request, _("This conflict is decided already."))
            return HttpResponseRedirect(back)
        actor, number = of_request(request), conflict.pk
        verb, explanation = VERBS[resolution]

        def act(reason: str) -> None:
            with reading_clickhouse():
                conflicts.resolve(actor, number, resolution, reason, _ledger())

        named = _title(signed_in(request), conflict)
        question = Question(
            title=f"{verb}: {named}",
            explanation=explanation,
            button=verb,
            done=_("%(conflict)s: %(resolution)s")
            % {"conflict": named, "resolution": resolution.label},
            back=back,
            act=act,
            is_dangerous=resolution is not ConflictResolution.KEPT,
            details=(
                "storage_app/parts/conflict_rows.html",
                {"comparison": compare(conflict).shortened()},
            ),
        )
        return ask(self, request, question)

    @display(description=_("state"))
    def state_badge(self, conflict: TradeConflict) -> str:
        label = conflict.get_resolution_display() or _("Undecided")
        return figures.badge(label, RESOLUTION_TONES[conflict.resolution])

    @display(description=_("time"), ordering="trade_date")
    def when(self, conflict: TradeConflict) -> str:
        return _moment(_offered(conflict))

    @display(description=_("kind"))
    def kind(self, conflict: TradeConflict) -> str:
        kind = _offered(conflict).order_type.value
        return figures.badge(KINDS[kind], TONES.get(kind, ""))

    @display(description=_("refused price"))
    def num_price(self, conflict: TradeConflict) -> str:
        return figures.price(_offered(conflict).price)

    @display(description=_("refused volume"))
    def num_volume(self, conflict: TradeConflict) -> str:
        return figures.whole(_offered(conflict).volume)


def _title(user: User, conflict: TradeConflict) -> str:
    number = numbers.shown_to(user, conflict.account_id)
    return f"{number} {conflict.trade_date} {conflict.code}"


def compare(conflict: TradeConflict) -> Comparison:
    """Set the refused row beside the ledger's: as it is, or as it was when a person decided."""
    offered = _offered(conflict)
    try:
        standing = _standing(conflict, offered)
    except Unavailable as exc:
        return Comparison(_side_by_side(None, offered), has_standing=False, missing=exc.backend)
    return Comparison(_side_by_side(standing, offered), has_standing=standing is not None)


def _standing(conflict: TradeConflict, offered: Trade) -> Trade | None:
    if conflict.is_resolved:
        document = conflict.standing
        return None if document is None else trade_documents.from_document(document)
    with reading_clickhouse():
        return _ledger().find_trade(offered)


def _side_by_side(standing: Trade | None, offered: Trade) -> list[tuple[str, str, str, bool]]:
    """Return label, ledger's value, refused value and whether they differ."""
    different = (
        set() if standing is None else set(trade_documents.differing_fields(standing, offered))
    )
    if {"price", "volume"} & different:
        different.add("amount")
    return [
        (
            capfirst(str(TradeRow._meta.get_field(name).verbose_name)),
            figures.MISSING if standing is None else _text(standing, name),
            _text(offered, name),
            name in different,
        )
        for name in SHOWN
    ]


def _text(trade: Trade, name: str) -> str:
    match name:
        case "traded_at":
            return _moment(trade)
        case "order_type":
            return str(KINDS[trade.order_type.value])
        case "price_type":
            return str(PRICE_KINDS[trade.price_type.value])
        case "price":
            return figures.price(trade.price)
        case "volume":
            return figures.whole(trade.volume)
        case "amount":
            return figures.money(trade.amount)
        case _:
            return str(getattr(trade, name)) or figures.MISSING


def _recorded_as(conflict: TradeConflict, comparison: Comparison) -> Sequence[str]:
    """Return the uids under which the ledger has rows to look at."""
    if conflict.resolution == ConflictResolution.BOTH:
        return (conflict.trade_uid, conflicts.twin_uid(conflict))
    stands = comparison.has_standing or conflict.resolution == ConflictResolution.TAKEN
    return (conflict.trade_uid,) if stands else ()


def _moment(trade: Trade) -> str:
    at = timezone.localtime(trade.traded_at)
    return f"{at:%Y-%m-%d %H:%M:%S}" + (f".{at.microsecond // 1000:03}" if at.microsecond else "")


def _offered(conflict: TradeConflict) -> Trade:
    return trade_documents.from_document(conflict.offered)


def _ledger() -> conflicts.Ledger:
    # Brings pandas, which worker and beat, who load the admin too, would carry for nothing.
    from storage_app.stores.clickhouse import ClickHouseTrades

    return ClickHouseTrades()


def open_conflicts(request: HttpRequest) -> int:
    """Return how many conflicts wait for a decision, asking once a request."""
    if not request.user.has_perm("storage_app.view_tradeconflict"):
        return 0
    found: int | None = getattr(request, "open_conflicts", None)
    if found is None:
        found = conflicts.count_open(signed_in(request))
        request.open_conflicts = found  # type: ignore[attr-defined]
    return found


def sidebar_badge(request: HttpRequest) -> str:
    """Return the number beside the page's name in the sidebar, nothing for none."""
    return str(open_conflicts(request) or "")
