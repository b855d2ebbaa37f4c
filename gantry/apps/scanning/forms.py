"""Forms of the scan day: few fields, large, times as people say them."""

from collections.abc import Iterable, Sequence
from typing import Any

from django import forms

from gantry.apps.radiopharmacy.models import Dose
from gantry.apps.ui.fields import DateField, Input, MomentField, NhsNumberField, NumberField, Radios
from gantry.apps.ui.forms import Form, Section
from gantry.domain.events import Cause, CauseCode, Initiator
from gantry.domain.scan import Act
from gantry.domain.supply import Match
from gantry.reference.causes import said

ENDINGS = (
    ("Preparation", ("hyperglycaemia", "not_fasted", "weight_over_limit", "claustrophobia", "escort_absent")),
    ("Clinical", ("unwell", "pregnant", "no_access", "extravasation", "reaction", "movement", "non_diagnostic")),
    ("Tracer", ("batch_failed", "batch_late", "batch_short", "not_released", "dose_out_of_tolerance")),
    ("Equipment", ("scanner_failed", "ct_failed", "injector_failed", "it_failed", "power_failed")),
    ("Service", ("staff_absent", "no_ils_holder", "licence_lapsed", "list_overrun", "booked_in_error")),
    ("Referrer and patient", ("form_incomplete", "changed_plan", "declined")),
)
FAULTS = ("scanner_failed", "ct_failed", "injector_failed", "device_qa_failed", "it_failed", "power_failed")
BY_PATIENT = frozenset({CauseCode.DECLINED, CauseCode.PATIENT_CANCELLED})
BY_REFERRER = frozenset({CauseCode.FORM_INCOMPLETE, CauseCode.CHANGED_PLAN})
BY_SUPPLIER = frozenset({CauseCode.BATCH_FAILED, CauseCode.BATCH_LATE, CauseCode.BATCH_SHORT, CauseCode.NOT_RELEASED})


def worded(code: str, form: Form) -> tuple[str, str]:
    return code, said(CauseCode(code), form.now.date())


def cause_from(code: str, note: str) -> Cause:
    """Who ended it follows from what ended it: nobody in the room has to choose whom to blame."""
    given = CauseCode(code)
    by = (
        Initiator.PATIENT
        if given in BY_PATIENT
        else Initiator.REFERRER
        if given in BY_REFERRER
        else Initiator.SUPPLIER
        if given in BY_SUPPLIER
        else Initiator.PROVIDER
    )
    return Cause(given, by, note=note.strip())


class StepForm(Form):
    """One step, with what it measures and when it happened."""

    happened_at = MomentField(label="When", initial="now")
    weight_kg = NumberField(label="Weight", unit="kg", max_digits=5, decimal_places=1, min_value=2, max_value=350)
    glucose_mmol_per_l = NumberField(label="Glucose", unit="mmol/L", max_digits=4, decimal_places=1, max_value=60)
    meter = forms.ChoiceField(label="Meter", required=False)
    answer = forms.ChoiceField(
        label="Is there any chance of pregnancy?",
        choices=[("no", "No"), ("possible", "Possible, or not known"), ("yes", "Yes")],
        widget=Radios(),
    )
    complete = forms.ChoiceField(
        label="How did it end?",
        choices=[("yes", "Complete"), ("no", "Stopped early")],
        initial="yes",
        widget=Radios(inline=True),
    )
    ASKED_BY = {Act.WEIGH: "weight_kg", Act.GLUCOSE: "glucose_mmol_per_l", Act.ENQUIRE: "answer"}

    def __init__(self, *args: Any, act: Act, ending: bool = False, meters: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        wanted = {self.ASKED_BY.get(act), "complete" if act is Act.ACQUIRE and ending else None, "happened_at"}
        self.fields["meter"].choices = [("", "Another, or not known"), *((name, name) for name in meters)]
        if act is Act.GLUCOSE and meters:
            wanted.add("meter")
            self.fields["meter"].initial = meters[0] if len(meters) == 1 else ""
        for name in list(self.fields):
            if name not in wanted:
                del self.fields[name]
        self.order_fields([*self.ASKED_BY.values(), "meter", "complete", "happened_at"])

    def extra(self) -> dict[str, object]:
        given = {name: value for name, value in self.cleaned_data.items() if name != "happened_at"}
        return {
            name: value == "yes" if name == "complete" else value if name in ("answer", "meter") else float(value)
            for name, value in given.items()
        }


class InjectForm(Form):
    """The deliberate match: the syringe's barcode, or two typed checks. Nothing is filled in for the person."""

    barcode = forms.CharField(
        label="Syringe barcode", required=False, widget=Input(width="20", autocomplete="off"), max_length=40
    )
    dose = forms.ChoiceField(label="Which dose?", required=False)
    nhs_number = NhsNumberField(required=False)
    date_of_birth = DateField(label="Date of birth", past=True, required=False)
    family_name = forms.CharField(label="Family name", required=False, max_length=120, widget=Input(width="20"))
    injected_at = MomentField(label="Injected", initial="now")
    injector = forms.ChoiceField(label="Given by", required=False)
    body_site = forms.CharField(label="Where", required=False, max_length=60, widget=Input(width="20"))
    fallback = forms.ChoiceField(
        label="If their scanner cannot take them, who does?",
        required=False,
        help_text="Only scanners that are fit, running and free inside the window are listed.",
    )
    override_reason = forms.CharField(label="Reason for the override", required=False, max_length=400)

    marks_optional = False
    layout = (
        Section("1. Scan the syringe", "barcode"),
        Section(
            "Or choose the dose and type two checks",
            "dose",
            ("nhs_number:4", "date_of_birth:4", "family_name:4"),
            hint="Ask the person, or read their wristband. Do not copy from this screen.",
        ),
        Section("2. When and where", ("injected_at:6", "body_site:6")),
    )
    with_injectors = (
        *layout[:-1],
        Section("2. When, where and with what", ("injected_at:4", "body_site:4", "injector:4")),
    )

    def __init__(
        self,
        *args: Any,
        doses: Iterable[tuple[str, str]],
        fallbacks: Iterable[tuple[str, str]] = (),
        injectors: Iterable[tuple[str, str]] = (),
        refused: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.fields["dose"].choices = [("", "Choose"), *doses]
        self.fields["fallback"].choices = [("", "Nobody: their own scanner"), *fallbacks]
        if not fallbacks:
            del self.fields["fallback"]
        self.fields["injector"].choices = [("", "By hand"), *injectors]
        if injectors:
            self.layout = self.with_injectors
        else:
            del self.fields["injector"]
        if not refused:
            del self.fields["override_reason"]

    def clean(self) -> dict[str, Any]:
        given = super().clean()
        if not given.get("barcode") and not given.get("dose") and not self.errors:
            self.add_error("barcode", "Scan the syringe's barcode, or choose the dose and type two checks")
        return given

    def match(self) -> Match:
        given = self.cleaned_data
        return Match(
            barcode=given["barcode"].strip(),
            nhs_number=given["nhs_number"],
            date_of_birth=given["date_of_birth"],
            family_name=given["family_name"],
        )


class CorrectForm(Form):
    """Another time, or not done at all; always with a reason."""

    happened_at = MomentField(label="When it really happened", required=False)
    withdraw = forms.BooleanField(label="It did not happen: recorded by mistake", required=False)
    reason = forms.CharField(label="Why is this corrected?", max_length=400)
    marks_optional = False

    def clean(self) -> dict[str, Any]:
        given = super().clean()
        if bool(given.get("happened_at")) == bool(given.get("withdraw")) and not self.errors:
            self.add_error("happened_at", "Give the right time, or say that it did not happen")
        return given


class EndForm(Form):
    """How a visit ends. A whole scan needs no cause."""

    happened_at = MomentField(label="When", initial="now")
    cause = forms.ChoiceField(label="Why was it not finished?")
    note = forms.CharField(label="Note", required=False, max_length=400)

    def __init__(self, *args: Any, whole: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if whole:
            del self.fields["cause"]
            return
        self.fields["cause"].choices = [
            ("", "Choose"),
            *((title, [worded(code, self) for code in codes]) for title, codes in ENDINGS),
        ]

    def given_cause(self) -> Cause | None:
        code = self.cleaned_data.get("cause")
        return cause_from(code, self.cleaned_data["note"]) if code else None


class ScannerTestForm(Form):
    passed = forms.ChoiceField(
        label="Daily quality control", choices=[("yes", "Passed"), ("no", "Failed")], widget=Radios(inline=True)
    )
    at = MomentField(label="When", initial="now")
    note = forms.CharField(label="Note", required=False, max_length=400)


class FaultForm(Form):
    cause = forms.ChoiceField(label="What failed?")
    at = MomentField(label="Since", initial="now")
    note = forms.CharField(label="What is seen", required=False, max_length=400)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["cause"].choices = [("", "Choose"), *(worded(code, self) for code in FAULTS)]


class RestoreForm(Form):
    at = MomentField(label="In use again since", initial="now")


def dose_choice(dose: Dose, said_now: str) -> tuple[str, str]:
    return str(dose.pk), f"{dose.container.barcode}: {said_now}"
