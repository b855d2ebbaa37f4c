"""What the page of a cause accepts: who began it, why, and why the first word was wrong."""

from datetime import date
from typing import Any

from django import forms

from gantry.apps.booking.forms import CLASS_WORDS, INITIATOR_WORDS
from gantry.apps.ui.fields import Radios
from gantry.apps.ui.forms import Form, Section
from gantry.domain.appointment import why_not_caused
from gantry.domain.events import Cause, CauseCode, Initiator
from gantry.reference.causes import causes_on


class CorrectCauseForm(Form):
    """Another cause for something that has happened; always with a reason."""

    initiator = forms.ChoiceField(
        label="Who began it?",
        choices=[(one.value, INITIATOR_WORDS[one]) for one in Initiator],
        widget=Radios(inline=True),
    )
    code = forms.ChoiceField(label="What was the cause?")
    note = forms.CharField(label="Note", required=False, max_length=500)
    reason = forms.CharField(label="Why is this corrected?", max_length=400)
    seen = forms.CharField(widget=forms.HiddenInput, required=False)
    marks_optional = False

    layout = (Section("", "initiator", ("code:6", "note:6"), "reason"),)

    def __init__(self, *args: Any, on: date, last: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.last, facts = last, causes_on(on)
        groups = [
            (words, [(code.value, facts[code].words) for code in CauseCode if facts[code].cause_class is kind])
            for kind, words in CLASS_WORDS.items()
        ]
        self.fields["code"].choices = [("", "Choose"), *groups]

    def clean(self) -> dict[str, Any]:
        given = super().clean()
        if not self.errors:
            for why in why_not_caused(CauseCode(given["code"]), Initiator(given["initiator"])):
                self.add_error("code", why)
            if given["seen"] != self.last:
                self.add_error(
                    "reason", "Somebody has corrected this meanwhile: read what they said above, then decide"
                )
        return given

    def cause(self, root_event: Any) -> Cause:
        given = self.cleaned_data
        return Cause(CauseCode(given["code"]), Initiator(given["initiator"]), root_event, given["note"])
