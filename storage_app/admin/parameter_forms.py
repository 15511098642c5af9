"""Forms of strategy parameters: one field per parameter by its type, or all of them as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from django import forms
from django.utils.functional import Promise
from django.utils.translation import gettext as translate
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminFileFieldWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
    UnfoldBooleanWidget,
)

from storage_app.contract.errors import InvalidInput
from storage_app.services import parameter_texts
from storage_app.services.parameter_texts import Format, Unreadable

# Each parameter has two fields, and Django takes at most 1000 of a form.
MOST_FIELDS: Final = 300
LONG_TEXT: Final = 80
_INTEGER_LIMIT: Final = 2**63
KINDS: Final[Mapping[str, Promise]] = {
    "bool": _("yes or no"),
    "int": _("whole number"),
    "float": _("number"),
    "str": _("text"),
    "list": _("list (JSON)"),
    "dict": _("object (JSON)"),
    "NoneType": _("null (JSON)"),
}


def pretty(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)


class JsonField(forms.CharField):
    """A value as JSON, of the type that it had; a null may become anything."""

    def __init__(self, kind: type, **kwargs: Any) -> None:
        super().__init__(strip=False, **kwargs)
        self.kind = kind

    def clean(self, value: Any) -> Any:
        found = _read(str(super().clean(value)), parameter_texts.read_value)
        if self.kind is not type(None) and not isinstance(found, self.kind):
            raise forms.ValidationError(
                _("Another type of value; change types in the JSON of all parameters.")
            )
        return found


class TextField(forms.CharField):
    """Text as it stands; browsers send line ends of their own, which are not kept."""

    def clean(self, value: Any) -> str:
        return str(super().clean(value)).replace("\r\n", "\n")


class ObjectField(forms.CharField):
    """A JSON object; an error shows the line that is wrong."""

    def clean(self, value: Any) -> dict[str, Any]:
        text = str(super().clean(value))
        return _read(text, parameter_texts.read) if text.strip() else {}


def _read(text: str, reader: Callable[[str, Format], Any]) -> Any:
    try:
        return reader(text, Format.JSON)
    except InvalidInput as exc:
        raise forms.ValidationError(f"{explain(exc)}{_excerpt(text, exc)}") from exc


def explain(exc: InvalidInput) -> str:
    """Return what is wrong with a text in the reader's language, the place first."""
    if not isinstance(exc, Unreadable):
        return str(exc)
    what, _colon, name = exc.problem.partition(": ")
    words = translate(what) + (f": {name}" if name else "")
    if exc.line is None:
        return words
    if exc.column is None:
        return str(_("Line %(line)s: %(problem)s") % {"line": exc.line, "problem": words})
    place = {"line": exc.line, "column": exc.column, "problem": words}
    return str(_("Line %(line)s, column %(column)s: %(problem)s") % place)


def _excerpt(text: str, exc: InvalidInput) -> str:
    """Return the line that an error speaks of."""
    lines = text.splitlines()
    line = getattr(exc, "line", None)
    if line is None or not 0 < line <= len(lines):
        return ""
    return f" → {lines[line - 1].strip()[:LONG_TEXT]}"


def _text_field(value: str) -> forms.Field:
    if not value.replace("\n", "").isprintable():
        return _json_field(value)
    if "\n" in value or len(value) > LONG_TEXT:
        widget: forms.Widget = UnfoldAdminTextareaWidget(attrs={"rows": 4})
    else:
        widget = UnfoldAdminTextInputWidget()
    return TextField(required=False, strip=False, widget=widget, initial=value)


def _json_field(value: Any) -> forms.Field:
    text = json.dumps(value, ensure_ascii=False)
    if len(text) > LONG_TEXT:
        text = pretty(value)
    rows = min(text.count("\n") + 1, 12)
    widget = UnfoldAdminTextareaWidget(attrs={"rows": rows, "spellcheck": "false"})
    return JsonField(type(value), widget=widget, initial=text)


def _integer_field(value: int) -> forms.Field:
    return forms.IntegerField(
        min_value=-_INTEGER_LIMIT,
        max_value=_INTEGER_LIMIT - 1,
        widget=UnfoldAdminIntegerFieldWidget(),
        initial=value,
    )


def _number_field(value: float) -> forms.Field:
    widget = UnfoldAdminTextInputWidget(attrs={"type": "number", "step": "any"})
    return forms.FloatField(widget=widget, initial=repr(value))


def _flag_field(value: bool) -> forms.Field:
    return forms.BooleanField(required=False, widget=UnfoldBooleanSwitchWidget(), initial=value)


_FIELDS: Mapping[type, Callable[[Any], forms.Field]] = {
    bool: _flag_field,
    int: _integer_field,
    float: _number_field,
    str: _text_field,
    list: _json_field,
    dict: _json_field,
    type(None): _json_field,
}


class _VersionForm(forms.Form):
    """What both ways of writing a version have in common."""

    remark = forms.CharField(
        label=_("Remark"),
        required=False,
        max_length=200,
        widget=UnfoldAdminTextInputWidget,
        help_text=_("What is different, and why; shown in the history."),
    )
    # The newest version there was when the page was opened, so that nobody's work is run over.
    based_on = forms.IntegerField(min_value=0, widget=forms.HiddenInput)


class TypedForm(_VersionForm):
    """The parameters of one version, each in a field of its type, to be changed or taken out."""

    further = ObjectField(
        label=_("Further parameters"),
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3, "spellcheck": "false"}),
        help_text=_('New ones, as a JSON object: {"name": value, …}'),
    )
    # Which version the fields were made from.
    origin = forms.IntegerField(min_value=0, widget=forms.HiddenInput)

    def __init__(self, params: Mapping[str, Any], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.shown = dict(params)
        for number, (key, value) in enumerate(self.shown.items()):
            field = _FIELDS[type(value)](value)
            field.label = key
            self.fields[f"value-{number}"] = field
            self.fields[f"drop-{number}"] = forms.BooleanField(
                label=_("Remove %(name)s") % {"name": key},
                required=False,
                widget=UnfoldBooleanWidget(),
            )

    def rows(self) -> Iterator[tuple[Promise, Any, Any]]:
        """Yield the kind of each parameter, its field and the field that takes it out."""
        for number, value in enumerate(self.shown.values()):
            yield KINDS[type(value).__name__], self[f"value-{number}"], self[f"drop-{number}"]

    def clean(self) -> dict[str, Any]:
        given = self.cleaned_data
        for number, key in enumerate(self.shown):
            if given.get(f"drop-{number}"):
                self.errors.pop(f"value-{number}", None)
            elif key in given.get("further", {}):
                self.add_error("further", _("%(name)s is there already.") % {"name": key})
        return given

    @property
    def params(self) -> dict[str, Any]:
        """Return the whole set as it shall be saved; once valid."""
        given = self.cleaned_data
        kept = {
            key: given[f"value-{number}"]
            for number, key in enumerate(self.shown)
            if not given[f"drop-{number}"]
        }
        return kept | given["further"]


class JsonForm(_VersionForm):
    """The parameters as one JSON object."""

    text = ObjectField(
        label=_("Parameters"),
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 18, "spellcheck": "false"}),
        help_text=_("A JSON object. Lists stand for tuples and sets."),
    )
    field_order = ("text", "remark", "based_on")

    @property
    def params(self) -> dict[str, Any]:
        return dict(self.cleaned_data["text"])


class FileForm(forms.Form):
    """A file of parameters, read into the form and not saved by that."""

    file = forms.FileField(
        label=_("JSON or YAML file"),
        widget=UnfoldAdminFileFieldWidget(attrs={"accept": ".json,.yaml,.yml"}),
        help_text=_("It fills the form; nothing is saved before you save."),
    )

    def clean_file(self) -> dict[str, Any]:
        given = self.cleaned_data["file"]
        try:
            form = parameter_texts.format_of(given.name)
            return parameter_texts.read(parameter_texts.decode(given.read()), form)
        except InvalidInput as exc:
            raise forms.ValidationError(explain(exc)) from exc
