"""Lists over ClickHouse: filtered by a form, paged by the key of the last row, never counted.

An offset or a count(*) reads everything before the page; the key of the last row does not, so
every page costs the same at any depth. The rows have a `trade_date`, which decides what is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, ClassVar

from clickhouse_backend.models import DateTime64Field, Int64Field
from django import forms
from django.contrib.admin.views.main import PAGE_VAR
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db.models import Field, Func, Model, Q, QuerySet, Value
from django.http import HttpRequest, HttpResponse, QueryDict
from django.template.response import TemplateResponse
from django.utils.functional import Promise
from unfold.admin import ModelAdmin
from unfold.views import ChangeList

from storage_app.admin import facts
from storage_app.admin.periods import Choice
from storage_app.admin.sources import reading_clickhouse, signed_in
from storage_app.contract.errors import Unavailable
from storage_app.models import User

AFTER = "after"
SEPARATOR = "~"
# So far back a page looks at first.
NEAR = timedelta(days=120)
# The year 2286.
FAR_MILLISECONDS = 10**13
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class ListForm(forms.Form):
    """The filter above a list, with defaults that keep an unfiltered list short."""

    # What the reader should know about the rows shown; empty when there is nothing to say.
    note: Promise | str = ""

    def __init__(self, user: User, asked: QueryDict) -> None:
        self.user = user
        names = [name for name in asked if name in self.base_fields and asked[name]]
        self.is_asked = bool(names)
        super().__init__(self.completed({name: str(asked[name]) for name in names}))
        for bound in self:
            if not bound.is_hidden:
                kind = "sq-select" if isinstance(bound.field, forms.ChoiceField) else "sq-input"
                bound.field.widget.attrs["class"] = kind

    def completed(self, asked: dict[str, str]) -> dict[str, str]:
        """Return what was asked with the defaults of what was not."""
        return asked

    def narrow(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        raise NotImplementedError

    def periods(self, request: HttpRequest) -> Sequence[Choice]:
        """Return the periods to offer above the list."""
        return ()


class KeysetChangeList(ChangeList):
    """A change list whose page begins after the row that the address names."""

    form: ListForm
    # What all rows of the filtered list add up to, where the page shows that.
    summary: Any = None

    def get_filters_params(self, params: Any = None) -> dict[str, Any]:
        return {}

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Any]:
        self.filter_specs: list[Any] = []
        self.has_filters = self.has_active_filters = False
        self.clear_all_filters_qs = "?"
        self.form = self.model_admin.list_form(signed_in(request), request.GET)
        rows = self.form.narrow(self.root_queryset) if self.form.is_valid() else None
        if rows is None:
            return self.root_queryset.none()
        self.summary = self.model_admin.summarise(rows)
        after = request.GET.get(AFTER, "")
        return _beginning_after(rows, self.model_admin.key, after).order_by(*self.model_admin.key)

    def get_results(self, request: HttpRequest) -> None:
        rows = self._rows(self.list_per_page + 1)
        self.periods = self.form.periods(request)
        self.result_list = rows[: self.list_per_page]
        self.has_next = len(rows) > self.list_per_page
        self.is_first = not request.GET.get(AFTER)
        self.result_count = self.full_result_count = len(self.result_list)
        self.show_full_result_count = self.can_show_all = self.multi_page = False
        self.show_admin_actions = False
        self.paginator = Paginator(self.result_list, self.list_per_page)

    def _rows(self, most: int) -> list[Any]:
        """Read a page from its newest months where they fill it, from the whole list otherwise."""
        begins = self._begins()
        if begins is not None:
            rows = list(self.queryset.filter(trade_date__gte=begins)[:most])
            if len(rows) == most:
                return rows
        return list(self.queryset[:most])

    def _begins(self) -> date | None:
        """Return a day that leaves few partitions to read; None where they are few already."""
        asked = self.form.cleaned_data if self.form.is_valid() else {}
        since, until = asked.get("since"), asked.get("until")
        if since and until and until - since <= NEAR:
            return None
        newest = facts.last_date(self.queryset)
        return None if newest is None else newest - NEAR

    @property
    def next_page(self) -> str:
        return self.get_query_string({AFTER: key_text(self.result_list[-1], self.model_admin.key)})

    @property
    def first_page(self) -> str:
        return self.get_query_string(remove=[AFTER, PAGE_VAR])


def key_text(row: Model, key: Sequence[str]) -> str:
    return SEPARATOR.join(_as_text(getattr(row, name.removeprefix("-"))) for name in key)


def _as_text(value: Any) -> str:
    return str(_milliseconds(value)) if isinstance(value, datetime) else str(value)


def _milliseconds(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(milliseconds=1)


def _as_bound(field: Field[Any, Any], text: str) -> Any:
    if not isinstance(field, DateTime64Field):
        return field.to_python(text)
    # Django's backend writes moments as text in UTC, which the server reads as Shanghai time.
    asked = int(text)
    if abs(asked) > FAR_MILLISECONDS:
        raise ValueError(f"{text} is beyond any date")
    milliseconds = Value(asked, output_field=Int64Field())
    return Func(
        milliseconds,
        function="fromUnixTimestamp64Milli",
        output_field=DateTime64Field(precision=3),
    )


def _beginning_after(rows: QuerySet[Any], key: Sequence[str], text: str) -> QuerySet[Any]:
    """Keep the rows behind the one with this key; a key that means nothing is the first page."""
    parts = text.split(SEPARATOR)
    if len(parts) != len(key):
        return rows
    fields = [rows.model._meta.get_field(name.removeprefix("-")) for name in key]
    try:
        bounds = [_as_bound(field, part) for field, part in zip(fields, parts, strict=True)]
    except (ValidationError, ValueError):
        return rows
    behind = Q()
    same: dict[str, Any] = {}
    for field, ordered, bound in zip(fields, key, bounds, strict=True):
        beyond = "lt" if ordered.startswith("-") else "gt"
        behind |= Q(**same, **{f"{field.name}__{beyond}": bound})
        same[field.name] = bound
    return rows.filter(behind)


class KeysetAdmin(ModelAdmin):
    """A read-only list of ClickHouse rows; subclasses name the form and the key."""

    list_form: ClassVar[type[ListForm]]
    # The order of the rows and, at once, what tells any two apart.
    key: ClassVar[tuple[str, ...]]
    # What to do when the list is empty although nothing was filtered.
    empty_hint: ClassVar[Promise | str] = ""
    empty_command: ClassVar[str] = ""
    # Shown between the filter and the list, with what `summarise` returned.
    list_summary_template: ClassVar[str] = ""

    change_list_template = "storage_app/keyset_list.html"
    list_before_template = "storage_app/parts/keyset_filter.html"
    list_fullwidth = True
    list_per_page = 50
    sortable_by = ()
    actions = None

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return KeysetChangeList

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        title = {"title": self.opts.verbose_name_plural}
        try:
            with reading_clickhouse():
                return super().changelist_view(request, title | (extra_context or {}))
        except Unavailable as exc:
            return self.unavailable(request, exc)

    def summarise(self, rows: QuerySet[Any]) -> Any:
        """Return what `list_summary_template` shows of all rows of the filtered list."""
        return None

    def unavailable(self, request: HttpRequest, exc: Unavailable) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": self.opts.verbose_name_plural,
            "opts": self.opts,
            "backend": exc.backend,
        }
        return TemplateResponse(request, "storage_app/unavailable.html", context, status=503)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False
