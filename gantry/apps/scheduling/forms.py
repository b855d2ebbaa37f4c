"""Forms of the day plan: type a new arrival, say why it changes, what has gone wrong, and what a day is reckoned with."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from django import forms

from gantry.apps.estate.models import Scanner
from gantry.apps.scheduling.models import Attendance, Fitting
from gantry.apps.scheduling.services.noting import Doors, Times
from gantry.apps.ui.fields import DateField, Input, NumberField, TimeField
from gantry.apps.ui.forms import Form, Section
from gantry.domain.events import Cause, CauseCode, Initiator
from gantry.domain.scheduling.failures import FailureKind
from gantry.reference.causes import said

WHY = (
    CauseCode.LIST_OVERRUN,
    CauseCode.BATCH_LATE,
    CauseCode.BATCH_SHORT,
    CauseCode.STAFF_ABSENT,
    CauseCode.ANAESTHETIST_ABSENT,
    CauseCode.HYPERGLYCAEMIA,
    CauseCode.TRANSPORT_FAILED,
    CauseCode.WEATHER,
    CauseCode.OVERBOOKED,
    CauseCode.PATIENT_CANCELLED,
)
BY = {
    CauseCode.BATCH_LATE: Initiator.SUPPLIER,
    CauseCode.BATCH_SHORT: Initiator.SUPPLIER,
    CauseCode.PATIENT_CANCELLED: Initiator.PATIENT,
}


class ChangeForm(Form):
    appointment = forms.ChoiceField(label="Patient")
    arrival = forms.TimeField(
        label="Arrives", help_text="24-hour clock, like 09:35", input_formats=["%H:%M", "%H.%M", "%H%M"],
        widget=Input(width="5", autocomplete="off"),
    )  # fmt: skip
    scanner = forms.ChoiceField(label="Scanner")
    layout = (Section("Try a change", ("appointment:12",), ("arrival:6", "scanner:6")),)

    def __init__(
        self,
        *args: Any,
        people: Iterable[tuple[str, str]],
        scanners: Iterable[tuple[str, str]],
        midnight: datetime,
        **kw: Any,
    ):
        super().__init__(*args, **kw)
        self.midnight = midnight
        self.fields["appointment"].choices = [("", "Choose"), *people]
        self.fields["scanner"].choices = list(scanners)

    def arrival_at(self) -> datetime:
        given = self.cleaned_data["arrival"]
        return self.midnight.replace(hour=given.hour, minute=given.minute)

    def wanted(self) -> tuple[UUID, UUID]:
        return UUID(self.cleaned_data["appointment"]), UUID(self.cleaned_data["scanner"])


class PublishForm(Form):
    cause = forms.ChoiceField(label="Why do they move?")

    def __init__(self, *args: Any, **kw: Any):
        super().__init__(*args, **kw)
        self.fields["cause"].choices = [("", "Choose"), *((c.value, said(c, self.now.date())) for c in WHY)]

    def given_cause(self) -> Cause:
        code = CauseCode(self.cleaned_data["cause"])
        return Cause(code, BY.get(code, Initiator.PROVIDER))


type Choices = Iterable[tuple[str, str]]


class TroubleForm(Form):
    """One thing that can go wrong, in one line. Which fields stand in it depends on what it is."""

    run = forms.ChoiceField(label="Which delivery?")
    production = forms.ChoiceField(label="Which production site?")
    patient = forms.ChoiceField(label="Which patient?")
    since = TimeField(label="From", required=False, help_text="Empty: from now")
    until = TimeField(label="Until")
    mbq = NumberField(label="What there is", unit="MBq", width="5", max_digits=7, decimal_places=0)
    why = forms.ChoiceField(label="Why?", choices=[("own", "On their own way"), ("transport", "Our transport is late")])
    shut = forms.BooleanField(label="The site closes too", required=False)
    note = forms.CharField(label="What is known", required=False, max_length=200)

    def __init__(self, *args: Any, kind: str, choices: Mapping[str, Choices], midnight: datetime, **kw: Any):
        super().__init__(*args, prefix=kind, **kw)
        self.midnight = midnight
        wanted = ASKED[kind]
        for name in list(self.fields):
            if name not in wanted:
                del self.fields[name]
        for name, label in wanted.items():
            field = self.fields[name]
            field.label = label or field.label
            if name in choices:
                field.choices = [("", "Choose"), *choices[name]]
            if name == "until" and kind in MAY_BE_ALL_DAY:
                field.required, field.help_text = False, "Empty: not today"
        self.order_fields(list(wanted))

    def at(self, name: str) -> datetime | None:
        given: time | None = self.cleaned_data.get(name)
        return self.midnight.replace(hour=given.hour, minute=given.minute) if given else None


PRODUCTION = "production_failed"
MAY_BE_ALL_DAY = {FailureKind.ANAESTHETIST_ABSENT.value, FailureKind.HYPERGLYCAEMIA.value}
ASKED: dict[str, dict[str, str]] = {
    FailureKind.BATCH_LATE: {"run": "", "until": "It comes at"},
    FailureKind.BATCH_SHORT: {"run": "", "mbq": "There is, at its reference time"},
    FailureKind.BATCH_LOST: {"run": ""},
    PRODUCTION: {"production": "", "note": ""},
    FailureKind.PATIENT_LATE: {"patient": "", "until": "They come at", "why": ""},
    FailureKind.HYPERGLYCAEMIA: {"patient": "", "until": "Test again at"},
    FailureKind.ANAESTHETIST_ABSENT: {"until": "There is one from"},
    FailureKind.SNOW: {"since": "", "until": "", "shut": ""},
}
ACTS: dict[str, tuple[str, str]] = {
    FailureKind.BATCH_LATE: ("The tracer is late", "Say that it is late"),
    FailureKind.BATCH_SHORT: ("There is less tracer than was ordered", "Say that it is short"),
    FailureKind.BATCH_LOST: ("A delivery does not come", "Say that it does not come"),
    PRODUCTION: ("A production site makes no more today", "Say that it has failed, for every site"),
    FailureKind.PATIENT_LATE: ("A patient is late", "Say that they are late"),
    FailureKind.HYPERGLYCAEMIA: ("A patient's glucose is too high", "Say that it is too high"),
    FailureKind.ANAESTHETIST_ABSENT: ("The anaesthetist is ill", "Say that there is none"),
    FailureKind.SNOW: ("Snow", "Say that nobody can come"),
}


class DoorsForm(Form):
    marks_optional = False
    doors_open = TimeField(label="Doors open", required=False)
    doors_close = TimeField(label="Doors close", required=False)
    paid_until = TimeField(label="Overtime from", required=False)
    injectors = forms.IntegerField(
        label="Injections at once", required=False, min_value=1, max_value=20, widget=Input(width="2")
    )
    layout = (
        Section(
            "Doors, overtime, injections",
            ("doors_open:6", "doors_close:6"),
            ("paid_until:6", "injectors:6"),
            hint="Empty is not said",
        ),
    )

    def given(self) -> Doors:
        return Doors(**{name: self.cleaned_data[name] for name in self.fields})


class PeopleForm(Form):
    kind = forms.ChoiceField(label="Who", choices=Attendance.choices)
    starts = TimeField(label="From")
    ends = TimeField(label="Until")
    people = forms.IntegerField(label="How many", min_value=1, max_value=9, initial=1, widget=Input(width="2"))
    layout = (Section("Somebody is here", ("kind:8", "people:4"), ("starts:6", "ends:6")),)


class FittingsForm(Form):
    """One scanner's. What nobody has said yet is shown as the site has it."""

    marks_optional = False
    has = forms.MultipleChoiceField(
        label="It has", choices=Fitting.choices, required=False, widget=forms.CheckboxSelectMultiple
    )

    def __init__(self, *args: Any, scanner: Scanner, **kw: Any):
        super().__init__(*args, **kw)
        self.scanner = scanner
        self.fields["has"].label = f"{scanner.name} has"


class TermsForm(Form):
    """Standing terms of one supplier for one tracer; a price on the run itself comes first."""

    of = forms.ChoiceField(label="Supplier and tracer")
    least = NumberField(label="Smallest order", unit="MBq", width="5", min_value=0, max_digits=7, decimal_places=0)
    run = NumberField(label="For a run, £", width="5", min_value=0, max_digits=7, decimal_places=2)
    gbq = NumberField(label="For a GBq, £", width="5", min_value=0, max_digits=7, decimal_places=2)
    layout = (Section("A supplier's terms", ("of:12",), ("least:12",), ("run:6", "gbq:6")),)

    def __init__(self, *args: Any, suppliers: Iterable[tuple[str, str]], **kw: Any):
        super().__init__(*args, **kw)
        self.fields["of"].choices = list(suppliers)

    def pence(self, name: str) -> int:
        return round(self.cleaned_data[name] * 100)


class TimesForm(Form):
    arrive_from = TimeField(label="Can come from", required=False)
    arrive_by = TimeField(label="Must come by", required=False)
    suits_from = TimeField(label="A scan suits from", required=False)
    suits_to = TimeField(label="Until", required=False)
    why = forms.CharField(label="Why", max_length=200, widget=Input(autocomplete="off"))
    marks_optional = False
    layout = (
        Section(
            "When they can come",
            ("arrive_from:6", "arrive_by:6"),
            ("suits_from:6", "suits_to:6"),
            ("why:12",),
            hint="Empty is not said. A plan keeps when they can come; outside what suits them counts as waiting",
        ),
    )

    def given(self) -> Times:
        return Times(
            **{name: self.cleaned_data[name] for name in ("arrive_from", "arrive_by", "suits_from", "suits_to")}
        )


class SignForm(Form):
    valid_from = DateField(label="They hold from")
    sure = forms.BooleanField(label="I have read these values and stand for them as clinical lead")


def _year_after(day: date) -> date:
    return day + timedelta(days=364)


class LessActivityForm(Form):
    """A practitioner's approval, one protocol at a time."""

    protocol = forms.ChoiceField(label="Protocol")
    least_percent = NumberField(
        label="Give at least", unit="%", min_value=50, max_value=95, decimal_places=0,
        help_text="Of the authorised activity; the scan is as much longer",
        error_messages={"required": "Enter the least share of the activity, in %"},
    )  # fmt: skip
    sites = forms.MultipleChoiceField(
        label="At these sites", widget=forms.CheckboxSelectMultiple,
        error_messages={"required": "Choose the sites that the rule holds at"},
    )  # fmt: skip
    children = forms.BooleanField(label="For children too", required=False)
    valid_from = DateField(label="From")
    valid_to = DateField(label="Last day")
    reason = forms.CharField(
        label="Why the images are still good enough", max_length=400, widget=forms.Textarea(attrs={"rows": 2})
    )
    layout = (
        Section(
            "I approve less activity and a longer scan",
            ("protocol:5", "least_percent:3", "valid_from:2", "valid_to:2"),
            ("sites:6", "reason:6"),
            "children",
        ),
    )

    def __init__(self, *args: Any, protocols: Choices, sites: Choices, **kw: Any):
        super().__init__(*args, prefix="less", **kw)
        self.fields["protocol"].choices = [("", "Choose"), *protocols]
        self.fields["sites"].choices = list(sites)
        today = self.now.astimezone(self.zone).date()
        self.fields["valid_from"].initial, self.fields["valid_to"].initial = today, _year_after(today)


class TransferForm(Form):
    """The adviser's letter, copied by whoever keeps it."""

    site = forms.ChoiceField(label="Injected at")
    to_site = forms.ChoiceField(label="Taken to")
    minutes = forms.IntegerField(
        label="Door to couch", help_text="In minutes", min_value=1, widget=Input(width="3", inputmode="numeric")
    )
    adviser = forms.CharField(label="Adviser's name", max_length=120, widget=Input())
    appointed_by = forms.CharField(label="Letter of appointment", max_length=120, widget=Input())
    letter = forms.CharField(label="Letter or page with the rule", max_length=120, widget=Input())
    conditions = forms.CharField(
        label="On these conditions", max_length=400, widget=forms.Textarea(attrs={"rows": 2}),
        help_text="For example, our own driver, absorbent sheet, contamination monitor, both sites rung",
    )  # fmt: skip
    valid_from = DateField(label="From")
    valid_to = DateField(label="Last day")
    layout = (
        Section(
            "The radiation protection adviser allows a transfer",
            ("site:4", "to_site:4", "minutes:4"),
            ("adviser:4", "appointed_by:4", "letter:4"),
            ("conditions:6", "valid_from:3", "valid_to:3"),
        ),
    )

    def __init__(self, *args: Any, sites: Choices, **kw: Any):
        super().__init__(*args, prefix="transfer", **kw)
        for name in ("site", "to_site"):
            self.fields[name].choices = [("", "Choose"), *sites]
        today = self.now.astimezone(self.zone).date()
        self.fields["valid_from"].initial, self.fields["valid_to"].initial = today, _year_after(today)
