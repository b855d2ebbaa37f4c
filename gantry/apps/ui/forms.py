"""Turns a Django form into NHS.UK's form controls: layout, reveals, errors, and nothing typed is lost."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from typing import Any
from weakref import WeakKeyDictionary

from django import forms
from django.core.exceptions import BadRequest
from django.forms.boundfield import BoundField
from django.http import QueryDict
from django.utils import timezone
from jinja2 import Environment
from markupsafe import Markup

from gantry.apps.ui import fields as ours

MOST_BLANKS_HELD = 2000
_drawn_blank: WeakKeyDictionary[Environment, dict[tuple[str, str], Markup]] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class Section:
    """A fieldset of a dense form. Each row names its fields; 'weight_kg:3' takes 3 of the row's 12 columns.

    Folded, it shows in one line what its fields hold, and opens by itself while one of them is missing or wrong.
    """

    legend: str
    rows: tuple[tuple[str, ...], ...]
    hint: str = ""
    folded: bool = False

    def __init__(self, legend: str, *rows: Sequence[str] | str, hint: str = "", folded: bool = False) -> None:
        object.__setattr__(self, "legend", legend)
        object.__setattr__(self, "rows", tuple((row,) if isinstance(row, str) else tuple(row) for row in rows))
        object.__setattr__(self, "hint", hint)
        object.__setattr__(self, "folded", folded)


def without_nul(data: QueryDict) -> QueryDict:
    """What was posted, where PostgreSQL can keep it. Raises BadRequest: no keyboard types a NUL."""
    if any("\x00" in text for name, values in data.lists() for text in (name, *values)):
        raise BadRequest("NUL in what was posted")
    return data


class Form(forms.Form):
    """A form that is told the time, says where its fields stand and which answers ask for more."""

    layout: tuple[Section, ...] = ()
    reveals: Mapping[str, Mapping[str, Sequence[str]]] = {}
    """Field → answer → the fields that this answer asks for."""
    dense = True
    keeps_base = False
    """Send what the page was drawn with, so that a stale save can be merged (stale.py)."""
    use_required_attribute = False

    def __init__(self, *args: Any, now: datetime | None = None, zone: tzinfo | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.now, self.zone = now or timezone.now(), zone or timezone.get_current_timezone()
        for field in self.fields.values():
            field.show_hidden_initial = self.keeps_base
            if field.required and field.label and "required" not in _own_messages(field):
                verb = "Choose" if isinstance(field, forms.ChoiceField | forms.FileField) else "Enter"
                field.error_messages["required"] = f"{verb} {_inside_a_sentence(str(field.label))}"
            if isinstance(field, ours.ToldTheTime):
                field.now, field.zone = self.now, self.zone

    def add_findings(self, findings: Iterable[Any]) -> None:
        """Put the domain's findings (`field`, `message`) beside the fields they are about."""
        for finding in findings:
            self.add_error(finding.field if finding.field in self.fields else None, finding.message)


def _inside_a_sentence(label: str) -> str:
    """'Family name' → 'family name', 'NHS number' stays, a question becomes 'an answer'."""
    if label.endswith("?"):
        return "an answer"
    return label[0].lower() + label[1:] if label[1:2].islower() or label[1:2] == " " else label


def _own_messages(field: forms.Field) -> Mapping[str, str]:
    """The messages that this field was given, apart from Django's own words."""
    django = forms.Field.default_error_messages["required"]
    return {key: text for key, text in field.error_messages.items() if key != "required" or str(text) != str(django)}


def render_form(env: Environment, form: forms.Form) -> Markup:
    hidden = Markup("").join(Markup(str(bound)) for bound in form.hidden_fields())
    base = Markup("").join(
        Markup(bound.as_hidden(only_initial=True)) for bound in form.visible_fields() if bound.field.show_hidden_initial
    )
    revealed = {
        name for answers in getattr(form, "reveals", {}).values() for names in answers.values() for name in names
    }
    placed = revealed | {bound.name for bound in form.hidden_fields()}
    sections = []
    for section in getattr(form, "layout", ()):
        rows, names = [], []
        for row in section.rows:
            cells = [cell.partition(":") for cell in row]
            names += [name for name, _, _ in cells]
            rows.append(_row(env, form, [(name, int(span or 12 // len(cells))) for name, _, span in cells]))
        placed |= set(names)
        drawn = _folded if section.folded else _section
        sections.append(drawn(section, Markup("").join(rows), [form[name] for name in names]))
    rest = [name for name in form.fields if name not in placed]
    sections += [_row(env, form, [(name, 12)]) for name in rest]
    return Markup('<div class="{}">{}{}{}</div>').format(
        "dense-form" if getattr(form, "dense", True) else "open-form", hidden, base, Markup("").join(sections)
    )


def _folded(section: Section, body: Markup, fields: Sequence[BoundField]) -> Markup:
    """What is the same all day, in one line."""
    asks = any(one.errors or (one.field.required and one.value() in (None, "")) for one in fields)
    held = ", ".join(str(one.value()) for one in fields if one.value() not in (None, ""))
    return Markup(
        '<details class="form-section form-section--folded"{}><summary class="form-section__legend">{}</summary>{}</details>'
    ).format(Markup(" open") if asks else "", f"{section.legend}: {held}" if held else section.legend, body)


def _section(section: Section, body: Markup, _fields: Sequence[BoundField]) -> Markup:
    hint = Markup('<p class="nhsuk-hint">{}</p>').format(section.hint) if section.hint else ""
    return Markup(
        '<fieldset class="nhsuk-fieldset form-section"><legend class="form-section__legend">{}</legend>{}{}</fieldset>'
    ).format(section.legend, hint, body)


def _row(env: Environment, form: forms.Form, cells: list[tuple[str, int]]) -> Markup:
    inner = Markup("").join(
        Markup('<div class="grid__cell grid__cell--{}">{}</div>').format(span, render_field(env, form[name], {}))
        for name, span in cells
    )
    return Markup('<div class="grid">{}</div>').format(inner)


def render_field(env: Environment, bound: BoundField, over: Mapping[str, Any]) -> Markup:
    """One field with its label, hint, error and what was typed; `over` replaces any of the macro's parameters."""
    if bound.is_hidden:
        return Markup(str(bound))
    component, name, params = _params(env, bound)
    params.update(over)
    if not _blank(bound):
        return _drawn(env, component, name, params)
    # A long form is mostly empty fields, the same for everybody; drawing them all took longer than the rest of the page.
    key = (component, repr(params))
    held = _drawn_blank.setdefault(env, {})
    if key not in held:
        if len(held) >= MOST_BLANKS_HELD:
            held.clear()
        held[key] = _drawn(env, component, name, params)
    return held[key]


def _blank(bound: BoundField) -> bool:
    """Nothing typed, here or in what it reveals: what a person wrote is never held between requests."""
    revealed = getattr(bound.form, "reveals", {}).get(bound.name, {}).values()
    return (
        not bound.form.is_bound
        and bound.value() in (None, "", [], ())
        and all(_blank(bound.form[name]) for names in revealed for name in names)
    )


def _drawn(env: Environment, component: str, name: str, params: Mapping[str, Any]) -> Markup:
    macro = getattr(env.get_template(f"nhsuk/components/{component}/macro.jinja").module, name)
    # Reveals are CSS (:has), which works without script; NHS.UK's script would set aria-expanded on a radio, which ARIA
    # does not allow, and its file upload hides the words of its own label.
    drawn = str(macro(params)).replace("data-aria-controls=", "data-reveals=")
    return Markup(drawn.replace('data-module="nhsuk-file-upload"', ""))


def _params(env: Environment, bound: BoundField) -> tuple[str, str, dict[str, Any]]:
    widget, value = bound.field.widget, bound.value()
    label = {"text": _label(bound)}
    params: dict[str, Any] = {"id": bound.auto_id, "name": bound.html_name, **getattr(widget, "look", {})}
    if bound.field.disabled:
        params["disabled"] = True
    if bound.help_text:
        params["hint"] = (
            {"text": bound.help_text} if not hasattr(bound.help_text, "__html__") else {"html": bound.help_text}
        )
    if bound.errors:
        params["errorMessage"] = {"text": " ".join(bound.errors)}
    if isinstance(widget, ours.DateParts):
        return "date-input", "dateInput", params | {"fieldset": {"legend": label}, "items": _parts(bound, value)}
    if isinstance(widget, forms.RadioSelect | forms.CheckboxSelectMultiple):
        component = "checkboxes" if isinstance(widget, forms.CheckboxSelectMultiple) else "radios"
        params.pop("id")
        return (
            component,
            component,
            params
            | {
                "idPrefix": bound.auto_id,
                "fieldset": {"legend": label},
                "classes": f"nhsuk-{component}--small" + (" nhsuk-radios--inline" if params.get("inline") else ""),
                "items": _choices(env, bound, value),
            },
        )
    if isinstance(widget, forms.CheckboxInput):
        params.pop("id")
        item = {"value": "on", "text": label["text"], "checked": bool(value), "conditional": _reveal(env, bound, "on")}
        return "checkboxes", "checkboxes", params | {
            "idPrefix": bound.auto_id, "classes": "nhsuk-checkboxes--small", "items": [item]
        }  # fmt: skip
    params["label"] = label
    if isinstance(widget, forms.Select):
        return "select", "select", params | {"items": _choices(env, bound, value)}
    if isinstance(widget, forms.FileInput):
        return "file-upload", "fileUpload", params
    params["value"] = _text(bound, value)
    if isinstance(widget, forms.Textarea):
        params["rows"] = str(widget.attrs.get("rows", 3))
        limit = getattr(bound.field, "max_length", None)
        if limit:
            return "character-count", "characterCount", params | {"maxlength": limit, "threshold": 75}
        return "textarea", "textarea", params
    if isinstance(widget, forms.PasswordInput):
        return "password-input", "passwordInput", params | {"value": ""}
    params.setdefault("type", widget.input_type if widget.input_type in {"email", "tel", "search", "url"} else "text")
    if isinstance(bound.field, forms.IntegerField):
        params.setdefault(
            "inputmode", "decimal" if isinstance(bound.field, forms.FloatField | forms.DecimalField) else "numeric"
        )
        params.setdefault("width", "5")
    params.setdefault("spellcheck", False)
    for key in ("autocomplete", "inputmode", "placeholder"):
        if key in widget.attrs:
            params[key] = widget.attrs[key]
    return "input", "input", params


def _label(bound: BoundField) -> str:
    optional = not bound.field.required and getattr(bound.form, "marks_optional", True)
    asked_by_answer = bound.name in {
        name for answers in getattr(bound.form, "reveals", {}).values() for names in answers.values() for name in names
    }
    plain = isinstance(bound.field, forms.BooleanField) and not isinstance(bound.field, forms.NullBooleanField)
    return f"{bound.label} (optional)" if optional and not asked_by_answer and not plain else str(bound.label)


def _text(bound: BoundField, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime | date) or not isinstance(value, str):
        formatted = bound.field.widget.format_value(value)
        return "" if formatted is None else str(formatted)
    return value


def _parts(bound: BoundField, value: Any) -> list[dict[str, Any]]:
    shown = ours.Parts.of(value)
    wrong = (
        [part for part in ("day", "month", "year") if not getattr(shown, part)] if bound.errors and any(shown) else []
    )
    return [
        {
            "id": f"{bound.auto_id}-{part}" if part != "day" else bound.auto_id + "-day",
            "name": f"{bound.html_name}-{part}",
            "label": part.capitalize(),
            "value": getattr(shown, part),
            "width": "4" if part == "year" else "2",
            **({"error": part in wrong} if wrong else {}),
        }
        for part in ("day", "month", "year")
    ]


def _choices(env: Environment, bound: BoundField, value: Any) -> list[dict[str, Any]]:
    chosen = (
        {str(each) for each in value}
        if isinstance(value, list | tuple | set)
        else {"" if value is None else str(value)}
    )
    hints = getattr(bound.field, "choice_hints", {})
    items = []
    for key, text in bound.field.widget.choices:
        options = text if isinstance(text, list | tuple) else [(key, text)]
        for option, words in options:
            option = "" if option is None else str(option)
            if option == "" and not isinstance(bound.field.widget, forms.Select):
                continue
            items.append(
                {
                    "value": option,
                    "text": str(words),
                    "checked": option in chosen,
                    "selected": option in chosen,
                    "hint": {"text": hints[option]} if option in hints else None,
                    "conditional": _reveal(env, bound, option),
                }
            )
    return items


def _reveal(env: Environment, bound: BoundField, answer: str) -> dict[str, Any]:
    names = getattr(bound.form, "reveals", {}).get(bound.name, {}).get(answer, ())
    return {"html": Markup("").join(render_field(env, bound.form[name], {}) for name in names)} if names else {}


def render_error_summary(env: Environment, given: Iterable[Any]) -> Markup:
    """Every error of the forms given, each a link to its field; (text, href) pairs are taken too."""
    errors = []
    for source in given:
        if isinstance(source, forms.BaseForm):
            for name, messages in source.errors.items():
                href = None if name == "__all__" else "#" + _anchor(source[name])
                errors += [{"text": message, **({"href": href} if href else {})} for message in messages]
        elif source:
            errors += [{"text": text, **({"href": href} if href else {})} for text, href in source]
    if not errors:
        return Markup("")
    macro = env.get_template("nhsuk/components/error-summary/macro.jinja").module.errorSummary
    return Markup(macro({"titleText": "There is a problem", "errorList": errors}))


def _anchor(bound: BoundField) -> str:
    if not isinstance(bound.field.widget, ours.DateParts):
        return bound.auto_id
    wrong = [item["name"].rpartition("-")[2] for item in _parts(bound, bound.value()) if item.get("error")]
    return f"{bound.auto_id}-{wrong[0] if wrong else 'day'}"
