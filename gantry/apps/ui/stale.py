"""What to do with a save from a page that somebody else has overtaken: merge what differs, ask about what clashes."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


@dataclass(frozen=True, slots=True)
class Side:
    """A field's value as people read it and as it is posted."""

    shown: str
    posted: str


@dataclass(frozen=True, slots=True)
class Clash:
    name: str
    label: str
    theirs: Side
    yours: Side


@dataclass(frozen=True, slots=True)
class Merge:
    clashes: tuple[Clash, ...]
    theirs: tuple[tuple[str, str], ...]
    """Label and value that they changed and you did not: kept."""
    yours: tuple[tuple[str, str], ...]
    """Label and value that you changed and they did not: kept."""
    posted: tuple[tuple[str, str], ...]
    """Everything settled, as it will be posted again."""


def merge(form: forms.Form, stored: Mapping[str, Any]) -> Merge:
    """Three-way: what the page was drawn with (the form's `keeps_base`), what was typed, what is stored now."""
    yours_changed = set(form.changed_data)
    clashes, theirs, yours, posted = [], [], [], []
    for bound in form:
        typed = _typed(form, bound)
        if bound.name not in stored:
            posted += [(bound.html_name, value) for value in typed]
            continue
        now = _posted(bound, stored[bound.name])
        label = str(bound.label)
        they_changed = bound.field.has_changed(_base(form, bound), _data(bound, now))
        same = not bound.field.has_changed(stored[bound.name], _data(bound, typed))
        if same or bound.name not in yours_changed:
            posted += [(bound.html_name, value) for value in now]
            if they_changed and not same:
                theirs.append((label, _shown(bound, now)))
        elif not they_changed:
            posted += [(bound.html_name, value) for value in typed]
            yours.append((label, _shown(bound, typed)))
        else:
            clashes.append(
                Clash(
                    bound.html_name,
                    label,
                    Side(_shown(bound, now), ",".join(now)),
                    Side(_shown(bound, typed), ",".join(typed)),
                )
            )
    return Merge(tuple(clashes), tuple(theirs), tuple(yours), tuple(posted))


def stale_page(
    request: HttpRequest,
    form: forms.Form,
    stored: Mapping[str, Any],
    *,
    changed_by: str,
    changed_at: datetime,
    version: str,
    version_field: str = "version",
    back: str = "",
) -> HttpResponse:
    """409 with what they did, what you typed and a form that saves the merge on top of `version`."""
    merged = merge(form, stored)
    kept = [(name, value) for name, value in merged.posted if name != version_field]
    base = [
        (f"initial-{bound.html_name}", v)
        for bound in form
        if bound.name in stored
        for v in _posted(bound, stored[bound.name])
    ]
    context = {
        "merge": merged,
        "hidden": [*kept, *base, (version_field, version)],
        "changed_by": changed_by,
        "changed_at": changed_at,
        "back": back or request.path,
    }
    return render(request, "ui/409.html", context, status=409)


def as_typed(form: forms.Form) -> list[tuple[str, str]]:
    """What a refused page had in it, as people read it: shown back, so that nobody has to remember it."""
    shown = [(str(bound.label), _shown(bound, _typed(form, bound))) for bound in form.visible_fields()]
    return [(label, value) for label, value in shown if value != "nothing"]


def _base(form: forms.Form, bound: Any) -> Any:
    if not bound.field.show_hidden_initial:
        return bound.initial
    raw = form._widget_data_value(bound.field.hidden_widget(), bound.html_initial_name)
    try:
        return bound.field.to_python(raw)
    except forms.ValidationError:
        return raw


def _data(bound: Any, values: list[str]) -> Any:
    return values if isinstance(bound.field, forms.MultipleChoiceField) else (values[0] if values else "")


def _typed(form: forms.Form, bound: Any) -> list[str]:
    if hasattr(form.data, "getlist") and bound.html_name in form.data:
        return form.data.getlist(bound.html_name)
    value = bound.data
    return [str(bound.field.widget.format_value(value))] if value else []


def _posted(bound: Any, value: Any) -> list[str]:
    if isinstance(bound.field, forms.BooleanField):
        return ["on"] if value else []
    prepared = bound.field.prepare_value(value)
    if isinstance(prepared, list | tuple):
        return [str(each) for each in prepared]
    formatted = bound.field.widget.format_value(prepared)
    if isinstance(formatted, list | tuple):
        return [str(each) for each in formatted if each != ""]
    return [] if formatted in (None, "") else [str(formatted)]


def _shown(bound: Any, values: list[str]) -> str:
    words = {str(key): str(text) for key, text in getattr(bound.field, "choices", ())}
    if isinstance(bound.field, forms.BooleanField):
        return "Yes" if values else "No"
    return ", ".join(words.get(value, value) for value in values) or "nothing"
