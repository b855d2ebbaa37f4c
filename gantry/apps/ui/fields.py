"""Form fields for the ways people type dates, times, NHS numbers and quantities."""

from datetime import date, datetime, time, timedelta, tzinfo
from typing import Any, NamedTuple

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone

from gantry.apps.ui import typed

FARTHEST = timedelta(days=366)
"""A moment that somebody types is within a year of now: anything else is a slip of the keys."""


class Parts(NamedTuple):
    """A date typed in three boxes, kept exactly as typed."""

    day: str = ""
    month: str = ""
    year: str = ""

    @classmethod
    def of(cls, value: Any) -> "Parts":
        if isinstance(value, Parts):
            return value
        if isinstance(value, date):
            return cls(str(value.day), str(value.month), str(value.year))
        return cls(day=value) if value else cls()


class Input(forms.TextInput):
    """A text box with its NHS.UK look: width, prefix, suffix, inputmode, code, autocomplete."""

    def __init__(self, attrs: dict[str, Any] | None = None, **look: Any) -> None:
        super().__init__(attrs)
        self.look = look


class Radios(forms.RadioSelect):
    """Radios; `inline=True` sets a short list side by side."""

    def __init__(self, attrs: dict[str, Any] | None = None, choices: Any = (), **look: Any) -> None:
        super().__init__(attrs, choices)
        self.look = look


class DateTyped(Input):
    """One box for a date; three boxes posted by another page are understood too."""

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        typed_date = (data.get(name) or "").strip()
        parts = Parts(*((data.get(f"{name}-{part}") or "").strip() for part in Parts._fields))
        return typed_date or (parts if any(parts) else None)

    def format_value(self, value: Any) -> str | None:
        if isinstance(value, Parts):
            return "/".join(value)
        return f"{value.day}/{value.month}/{value.year}" if isinstance(value, date) else value


class DateParts(DateTyped):
    """Day, month and year, for the public; a whole date typed or pasted into the first box is understood."""


class ToldTheTime:
    """A field whose reading depends on the moment: the form sets `now` and `zone`."""

    now: datetime | None = None
    zone: tzinfo | None = None

    def moment(self) -> tuple[datetime, tzinfo]:
        return self.now or timezone.now(), self.zone or timezone.get_current_timezone()


def _subject(field: forms.Field, otherwise: str) -> str:
    label = str(field.label or "")
    return otherwise if not label or label.endswith("?") else label


class DateField(ToldTheTime, forms.Field):
    """A date. `past=True` for dates of birth and of acts; `parts=True` for three boxes."""

    hidden_widget = forms.HiddenInput

    def __init__(self, *, past: bool = False, parts: bool = False, **kwargs: Any) -> None:
        kwargs.setdefault("widget", DateParts() if parts else DateTyped(width="10", autocomplete="off"))
        super().__init__(**kwargs)
        self.past = past

    def to_python(self, value: Any) -> date | None:
        if value in self.empty_values:
            return None
        if isinstance(value, date):
            return value
        if isinstance(value, Parts):
            missing = [part for part in Parts._fields if not getattr(value, part)]
            if len(missing) == 2 and value.day:
                value = value.day
            elif missing:
                raise ValidationError(f"{_subject(self, 'The date')} must include a {' and a '.join(missing)}")
            else:
                value = f"{value.day} {value.month} {value.year}" if value.month.isalpha() else "/".join(value)
        now, zone = self.moment()
        try:
            return typed.read_date(str(value), now.astimezone(zone).date(), past=self.past)
        except typed.NotUnderstood as refused:
            raise ValidationError(f"{_subject(self, 'The date')} {refused}") from None

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return self.to_python(initial) != self.to_python(data)
        except ValidationError:
            return True


class TimeField(forms.Field):
    """A wall-clock time: 14:20, 1420, 2.20pm."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("widget", Input(width="5", inputmode="text", autocomplete="off"))
        super().__init__(**kwargs)

    def prepare_value(self, value: Any) -> Any:
        return f"{value:%H:%M}" if isinstance(value, time) else value

    def to_python(self, value: Any) -> time | None:
        if value in self.empty_values:
            return None
        if isinstance(value, time):
            return value
        try:
            return typed.read_time(str(value))
        except typed.NotUnderstood as refused:
            raise ValidationError(f"{_subject(self, 'The time')} {refused}") from None


class MomentField(ToldTheTime, forms.Field):
    """When something happened: now, 4 minutes ago, 14:16, yesterday 23:50. Cleaned to an aware datetime."""

    def __init__(self, *, past: bool = True, **kwargs: Any) -> None:
        kwargs.setdefault("widget", Input(width="10", autocomplete="off"))
        if past:
            kwargs.setdefault("help_text", "For example, now, 4 minutes ago or 14:16")
        super().__init__(**kwargs)
        self.past = past

    def prepare_value(self, value: Any) -> Any:
        if not isinstance(value, datetime):
            return value
        return f"{value.astimezone(self.moment()[1]):%d/%m/%Y %H:%M}"

    def to_python(self, value: Any) -> datetime | None:
        if value in self.empty_values:
            return None
        if isinstance(value, datetime):
            return value
        now, zone = self.moment()
        try:
            moment = typed.read_moment(str(value), now, zone, past=self.past)
        except typed.NotUnderstood as refused:
            raise ValidationError(f"{_subject(self, 'The time')} {refused}") from None
        if abs(moment - now) > FARTHEST:
            raise ValidationError(f"{_subject(self, 'The time')} is more than a year away")
        return moment


class NhsNumberField(forms.CharField):
    """An NHS number in any spacing, cleaned to ten digits; the domain judges the check digit."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("widget", Input(width="10", inputmode="numeric", autocomplete="off"))
        kwargs.setdefault("label", "NHS number")
        super().__init__(**kwargs)

    def to_python(self, value: Any) -> str:
        text = super().to_python(value)
        digits = "".join(text.replace("-", " ").split())
        if digits and (len(digits) != 10 or not digits.isascii() or not digits.isdigit()):
            raise ValidationError("NHS number must be 10 digits, for example 999 000 0018")
        return digits


class NumberField(forms.DecimalField):
    """A quantity with its unit beside the box; a decimal comma and a typed unit are understood."""

    def __init__(self, *, unit: str = "", width: str = "5", **kwargs: Any) -> None:
        look = {"suffix": unit} if unit else {}
        kwargs.setdefault("widget", Input(width=width, inputmode="decimal", autocomplete="off", **look))
        super().__init__(**kwargs)
        self.unit = unit

    def to_python(self, value: Any) -> Any:
        if isinstance(value, str):
            value = value.strip()
            if self.unit and value.lower().endswith(self.unit.lower()):
                value = value[: -len(self.unit)].strip()
            if value.count(",") == 1 and "." not in value and len(value.rpartition(",")[2]) != 3:
                value = value.replace(",", ".")
            value = value.replace(",", "")
        return super().to_python(value)
