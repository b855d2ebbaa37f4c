"""Forms of the day plan: type a new arrival, lock a time, say why the plan changes."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from django import forms

from gantry.apps.ui.fields import Input
from gantry.apps.ui.forms import Form, Section
from gantry.domain.events import Cause, CauseCode, Initiator
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
    layout = (Section("Try a change", ("appointment:6", "arrival:3", "scanner:3")),)

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
