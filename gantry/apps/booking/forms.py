"""What the booking pages accept: a choice, a wish, how the patient was told, an attempt to ring, and a cause."""

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any

from django import forms

from gantry.apps.booking.services import Choice
from gantry.apps.booking.services.telling import CHANNELS, OUTCOMES
from gantry.apps.ui.fields import DateField, MomentField, Radios
from gantry.apps.ui.forms import Form, Section
from gantry.domain.events import Cause, CauseClass, CauseCode, Initiator
from gantry.domain.readiness import Item
from gantry.reference.causes import causes_on
from gantry.solvers.offers import Half, Wish

YEARS = range(2000, 2201)
"""Outside these nobody offers a time, and sums with it leave the calendar."""
CLASS_WORDS = {
    CauseClass.PATIENT: "The patient's decision",
    CauseClass.CLINICAL: "Clinical",
    CauseClass.ISOTOPE: "Tracer",
    CauseClass.EQUIPMENT: "Equipment",
    CauseClass.PROVIDER: "Our staff or booking",
    CauseClass.PREPARATION: "Preparation",
    CauseClass.LOGISTICS: "Transport and weather",
    CauseClass.REFERRER: "The referrer",
}
INITIATOR_WORDS = {
    Initiator.PATIENT: "The patient",
    Initiator.PROVIDER: "Us",
    Initiator.REFERRER: "The referrer",
    Initiator.SUPPLIER: "The tracer's supplier",
}


class ChoiceForm(forms.Form):
    """A choice as a button posts it."""

    site = forms.UUIDField()
    scanner = forms.UUIDField()
    arrival_at = forms.CharField()

    def clean_arrival_at(self) -> datetime:
        try:
            at = datetime.fromisoformat(self.cleaned_data["arrival_at"])
        except ValueError:
            raise forms.ValidationError("That is not a time") from None
        if at.tzinfo is None:
            raise forms.ValidationError("That time has no zone")
        if at.year not in YEARS:
            raise forms.ValidationError("That time is not one that can be booked")
        return at

    def choice(self) -> Choice:
        given = self.cleaned_data
        return Choice(given["site"], given["scanner"], given["arrival_at"])


class WishForm(Form):
    """What the person would like, kept in the address."""

    half = forms.ChoiceField(
        label="Time of day", required=False,
        choices=[("", "Any"), (Half.MORNING, "Morning"), (Half.AFTERNOON, "Afternoon")],
    )  # fmt: skip
    site = forms.ChoiceField(label="Place", required=False)
    from_day = DateField(label="From", required=False)
    to_day = DateField(label="Until", required=False)
    marks_optional = False

    layout = (Section("", ("half:3", "site:4", "from_day:2", "to_day:3")),)

    def __init__(self, *args: Any, sites: Iterable[tuple[Any, str]] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["site"].choices = [("", "Any"), *((str(key), name) for key, name in sites)]

    def wish(self) -> Wish:
        """What could be read of it: a wish that cannot be read asks for nothing."""
        if not self.is_bound:
            return Wish()
        self.is_valid()
        given = self.cleaned_data
        return Wish(
            half=Half(given["half"]) if given.get("half") else None,
            sites=frozenset([forms.UUIDField().to_python(given["site"])]) if given.get("site") else frozenset(),
            from_day=given.get("from_day"),
            to_day=given.get("to_day"),
        )


class AttemptForm(Form):
    channel = forms.ChoiceField(label="How", choices=list(CHANNELS.items()), initial="phone")
    outcome = forms.ChoiceField(label="What came of it", choices=list(OUTCOMES.items()))
    at = MomentField(label="When", initial="now", help_text="")
    note = forms.CharField(label="Note", required=False, max_length=500)
    prefix = "attempt"

    layout = (Section("", ("channel:5", "outcome:7"), ("at:5", "note:7")),)


class TellForm(Form):
    channel = forms.ChoiceField(label="How were they told?", choices=list(CHANNELS.items()), initial="phone")
    at = MomentField(label="When", initial="now", help_text="")
    prefix = "tell"

    layout = (Section("", ("channel:6", "at:6")),)


class CauseForm(Form):
    """Taken once, at the moment: who asked, why, and the event behind it."""

    initiator = forms.ChoiceField(
        label="Who asked for it?",
        choices=[(i.value, INITIATOR_WORDS[i]) for i in Initiator],
        widget=Radios(inline=True),
    )
    code = forms.ChoiceField(label="Why?")
    root_event = forms.ChoiceField(label="What began it", required=False)
    note = forms.CharField(label="Note", required=False, max_length=500)

    layout = (Section("", "initiator", ("code:5", "root_event:4", "note:3")),)

    def __init__(self, *args: Any, on: date, roots: Iterable[tuple[str, str]] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        facts = causes_on(on)
        groups = [
            (words, [(code.value, facts[code].words) for code in CauseCode if facts[code].cause_class is kind])
            for kind, words in CLASS_WORDS.items()
        ]
        self.fields["code"].choices = [("", "Choose"), *groups]
        self.fields["root_event"].choices = [("", "Nothing that is recorded"), *roots]

    def cause(self) -> Cause:
        given = self.cleaned_data
        root = given.get("root_event")
        return Cause(
            CauseCode(given["code"]),
            Initiator(given["initiator"]),
            forms.UUIDField().to_python(root) if root else None,
            given.get("note", ""),
        )


ITEM_WORDS = {
    Item.ANSWERED: ("Phone", "Answered the phone?", "Answered", "No answer"),
    Item.INSTRUCTIONS: ("Instructions", "Knows what to do and not to do?", "Understood", "Not sure"),
    Item.TRANSPORT: ("Transport", "How they get here and home?", "Settled", "Not settled"),
    Item.GLUCOSE_PLAN: ("Glucose plan", "A plan for meals, tablets and insulin?", "Agreed", "Not agreed"),
}
"""In a table's head, as it is asked, settled, and still open."""


class ReadinessForm(Form):
    """One call the day before: only what was talked about is answered."""

    at = MomentField(label="When", initial="now", help_text="")
    note = forms.CharField(label="Note", required=False, max_length=400)
    marks_optional = False

    def __init__(self, *args: Any, asked: Iterable[Item], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for item in asked:
            _, question, settled, still_open = ITEM_WORDS[item]
            self.fields[item.value] = forms.ChoiceField(
                label=question,
                required=False,
                choices=[("yes", settled), ("no", still_open)],
                widget=Radios(inline=True),
            )
        self.order_fields([*(item.value for item in Item), "at", "note"])

    def said(self) -> dict[Item, bool]:
        given = self.cleaned_data
        return {item: given[item.value] == "yes" for item in Item if given.get(item.value)}


class NotAttendedForm(Form):
    at_risk = forms.BooleanField(label="An adult at risk: they were not brought", required=False)
    note = forms.CharField(label="Note", required=False, max_length=500)
    prefix = "missed"
