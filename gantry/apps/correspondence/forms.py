"""What the message pages accept: what came of a call, and what the record must say before anything is sent."""

from typing import Any

from django import forms

from gantry.apps.booking.services.telling import OUTCOMES
from gantry.apps.ui.fields import DateField, MomentField
from gantry.apps.ui.forms import Form, Section


class RangForm(Form):
    outcome = forms.ChoiceField(label="What came of it", choices=list(reversed(OUTCOMES.items())))
    at = MomentField(label="When", initial="now", help_text="")
    note = forms.CharField(label="Note", required=False, max_length=500)
    prefix = "rang"

    layout = (Section("", ("outcome:5", "at:4"), "note"),)


class RecordForm(Form):
    """Of the person, not of this message."""

    died_on = DateField(label="Died on", required=False, past=True)
    source = forms.CharField(label="Who told us", required=False, max_length=120)
    protected = forms.BooleanField(
        label="Contact details are protected: write nothing, speak to the person alone", required=False
    )
    prefix = "record"

    layout = (Section("", "protected", ("died_on:5", "source:7")),)

    def clean(self) -> dict[str, Any]:
        given = super().clean() or self.cleaned_data
        if given.get("died_on") and not (given.get("source") or "").strip():
            self.add_error("source", "Say who told us")
        return given
