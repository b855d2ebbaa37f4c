"""Forms of the hot lab: a bench book that does the arithmetic and shows it."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, time, tzinfo
from typing import Any

from django import forms

from gantry.apps.booking.models import Appointment
from gantry.apps.estate.services import title_in_use
from gantry.apps.radiopharmacy.services.batches import LOSSES, DeliveryFacts
from gantry.apps.radiopharmacy.services.carriage import Parcel
from gantry.apps.radiopharmacy.services.orders import RunFacts
from gantry.apps.radiopharmacy.services.sources import SourceFacts
from gantry.apps.radiopharmacy.services.unit_doses import Syringe
from gantry.apps.ui.fields import DateField, Input, MomentField, NumberField
from gantry.apps.ui.forms import Form, Section
from gantry.domain.decay import Assay
from gantry.domain.events import Cause, CauseCode, Initiator
from gantry.domain.generator import Eluate, Kind
from gantry.domain.instrument import DeviceKind, TestKind, linearity_percent, off_percent
from gantry.domain.investigation import IN_WORDS, Found
from gantry.domain.ordering import Payer, Tariff
from gantry.domain.staff_dose import Part, Reading
from gantry.domain.transport import Label
from gantry.reference.causes import said
from gantry.reference.generators import GENERATORS
from gantry.reference.nuclides import F18, NUCLIDES
from gantry.reference.tracers import TRACERS

WASTED = (
    "did_not_attend",
    "patient_cancelled",
    "unwell",
    "hyperglycaemia",
    "no_access",
    "list_overrun",
    "scanner_failed",
    "batch_late",
    "dose_out_of_tolerance",
    "booked_in_error",
)
BY_PATIENT = frozenset({CauseCode.DID_NOT_ATTEND, CauseCode.PATIENT_CANCELLED})


WHEN = "For example, now, 4 minutes ago or 14:16"


def activity(label: str, **more: Any) -> NumberField:
    more.setdefault("min_value", 0)
    return NumberField(label=label, unit="MBq", width="5", max_digits=9, decimal_places=2, **more)


def pounds(label: str) -> NumberField:
    return NumberField(
        label=label, required=False, min_value=0, max_digits=8, decimal_places=2, widget=Input(width="5", inputmode="decimal", prefix="£")
    )  # fmt: skip


def msv_per_h(label: str, **more: Any) -> NumberField:
    return NumberField(label=label, unit="mSv/h", width="5", max_digits=7, decimal_places=4, min_value=0, **more)


def instrument(names: Iterable[str] = ()) -> forms.CharField:
    return forms.CharField(label="Instrument", max_length=60, widget=Input(width="20", autocomplete="off"))


class OrderForm(Form):
    activity_mbq = activity("Activity at the reference time", min_value=1)
    patients = forms.IntegerField(label="Patients", min_value=0, max_value=200, widget=Input(width="3"))
    layout = (Section("Order", ("activity_mbq:6", "patients:6")),)


class FromPlanForm(Form):
    """An order as a day's plan proposes it; the amount may be another."""

    activity_mbq = activity("Activity at the reference time", min_value=1)
    reason = forms.CharField(label="Why it is ordered anew", required=False, max_length=400)

    def __init__(self, *args: Any, again: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not again:
            del self.fields["reason"]


class ConfirmForm(Form):
    supplier_reference = forms.CharField(label="Supplier's reference", max_length=60, widget=Input(width="20"))


class RunForm(Form):
    """A run as a supplier offers it."""

    tracer = forms.ChoiceField(label="Product")
    supplier = forms.ChoiceField(label="Supplier")
    production_site = forms.CharField(label="Production site", max_length=80)
    due_at = MomentField(
        label="Due here", past=False, help_text="For example, tomorrow 07:00",
        error_messages={"required": "Enter when the delivery is due here"},
    )  # fmt: skip
    reference_at = MomentField(
        label="Reference time", past=False, required=False, help_text="The time that it is due, if empty"
    )
    cut_off_at = MomentField(label="Orders until", past=False, help_text="For example, today 16:00")
    capacity_mbq = activity("Most that it can bring, at the reference time", min_value=1)
    run_pounds = pounds("For the run")
    pounds_per_gbq = pounds("For each GBq at the reference time")
    layout = (
        Section("What comes", ("tracer:4", "supplier:4", "production_site:4")),
        Section("When", ("due_at:4", "reference_at:4", "cut_off_at:4")),
        Section("How much, and its price", ("capacity_mbq:4", "run_pounds:4", "pounds_per_gbq:4")),
    )

    def __init__(
        self, *args: Any, suppliers: Iterable[tuple[str, str]], products: Iterable[tuple[str, str]], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.fields["supplier"].choices = [("", "Choose"), *suppliers]
        self.fields["tracer"].choices = [("", "Choose"), *products]

    def facts(self) -> RunFacts:
        given = self.cleaned_data
        return RunFacts(
            tracer=given["tracer"],
            production_site=given["production_site"],
            due_at=given["due_at"],
            reference_at=given["reference_at"] or given["due_at"],
            cut_off_at=given["cut_off_at"],
            capacity_mbq=float(given["capacity_mbq"]),
            tariff=Tariff(round((given["run_pounds"] or 0) * 100), round((given["pounds_per_gbq"] or 0) * 100)),
        )


class CancelForm(Form):
    """Before the cut-off a reason is enough; after it the supplier is making it, and somebody pays."""

    reason = forms.CharField(label="Why is it cancelled?", max_length=400)
    payer = forms.ChoiceField(
        label="Who pays for it?",
        choices=[("", "Choose"), (Payer.PROVIDER.value, "We do"), (Payer.SUPPLIER.value, "The supplier bears it")],
    )
    agreed = forms.CharField(label="Who at the supplier agreed, if they bear it", required=False, max_length=160)

    def __init__(self, *args: Any, late: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not late:
            del self.fields["payer"], self.fields["agreed"]

    def given_payer(self) -> Payer:
        return Payer(self.cleaned_data.get("payer") or Payer.NOBODY)


class PapersForm(Form):
    """What every delivery says of itself, and what our meter says of its packages."""

    number = forms.CharField(label="Batch number", max_length=60, widget=Input(width="20", autocomplete="off"))
    reference_at = MomentField(label="At the reference time", past=False)
    expires_at = MomentField(label="Expires", past=False)
    packages = forms.IntegerField(label="Packages", min_value=1, max_value=20, initial=1, widget=Input(width="2"))
    transport_index = NumberField(
        label="Transport index", width="3", required=False, max_digits=4, decimal_places=1, min_value=0
    )
    label = forms.ChoiceField(
        label="Label",
        required=False,
        choices=[("", "Not read"), *((x.value, x.value) for x in Label)],
    )
    surface = msv_per_h("Measured on the surface", required=False)
    one_metre = msv_per_h("Measured at one metre", required=False)
    received_at = MomentField(label="Received", initial="now", help_text="")
    measured_at = MomentField(label="Measured", initial="now", help_text="")
    instrument = instrument()

    PACKAGE = Section(
        "The package",
        ("packages:4", "transport_index:4", "label:4"),
        ("received_at:4", "surface:4", "one_metre:4"),
        hint="The highest of its packages. Only more than the label says is a breach: on the road it decays.",
    )

    def facts(self) -> DeliveryFacts:
        given = self.cleaned_data
        index = given["transport_index"]
        return DeliveryFacts(
            number=given["number"],
            stated_mbq=0.0,
            reference_at=given["reference_at"],
            expires_at=given["expires_at"],
            measured_mbq=0.0,
            measured_at=given["measured_at"],
            instrument=given["instrument"],
            received_at=given["received_at"],
            packages=given["packages"],
            transport_index=None if index is None else float(index),
            label=given["label"],
            surface_msv_per_h=None if given["surface"] is None else float(given["surface"]),
            at_one_metre_msv_per_h=None if given["one_metre"] is None else float(given["one_metre"]),
        )


class ReceiveForm(PapersForm):
    """A vial: papers on one side, calibrator on the other."""

    stated_mbq = activity("Stated activity", min_value=1)
    volume_ml = NumberField(label="Volume", unit="mL", required=False, max_digits=6, decimal_places=2, min_value=0)
    measured_mbq = activity("Measured activity")
    barcode = forms.CharField(
        label="Vial barcode", required=False, max_length=40, widget=Input(width="20", autocomplete="off")
    )
    layout = (
        Section(
            "The supplier's papers",
            ("number:4", "stated_mbq:4", "reference_at:4"),
            ("expires_at:4", "volume_ml:4"),
        ),
        PapersForm.PACKAGE,
        Section("Our measurement", ("measured_mbq:4", "measured_at:4", "instrument:4"), ("barcode:4",), hint=WHEN),
    )

    def facts(self) -> DeliveryFacts:
        given = self.cleaned_data
        volume = given["volume_ml"]
        return replace(
            super().facts(),
            stated_mbq=float(given["stated_mbq"]),
            measured_mbq=float(given["measured_mbq"]),
            volume_ml=None if volume is None else float(volume),
            barcode=given["barcode"],
        )


class UnitDosesForm(PapersForm):
    """What all the syringes of a delivery have in common."""

    layout = (
        Section("The supplier's papers", ("number:4", "reference_at:4", "expires_at:4")),
        PapersForm.PACKAGE,
        Section(
            "Our measurement",
            ("measured_at:4", "instrument:4"),
            hint=f"Of every syringe that has no time of its own. {WHEN}",
        ),
    )


class SyringeForm(Form):
    """One unit dose, on one line; a line without activities is nobody's."""

    barcode = forms.CharField(
        label="Barcode", required=False, max_length=40, widget=Input(width="10", autocomplete="off")
    )
    stated_mbq = activity("Stated", min_value=1)
    measured_mbq = activity("Measured", min_value=1)
    at = MomentField(label="At", required=False, help_text="")
    volume_ml = NumberField(label="Volume", unit="mL", required=False, max_digits=5, decimal_places=2, min_value=0)
    labelled_for = forms.CharField(
        label="Name on its label", required=False, max_length=160, widget=Input(width="20", autocomplete="off")
    )
    appointment = forms.ChoiceField(label="For", required=False)
    marks_optional = False

    def __init__(self, *args: Any, number: int, people: Iterable[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["appointment"].choices = [("", "Nobody yet"), *people]
        line = ("barcode:2", "stated_mbq:2", "measured_mbq:2", "volume_ml:2", "at:2")
        self.layout = (Section(f"Syringe {number}", line, ("labelled_for:6", "appointment:6")),)

    def filled(self) -> bool:
        return any(str(self.data.get(self.add_prefix(name)) or "").strip() for name in self.fields)

    def syringe(self, people: Mapping[str, Appointment], measured_at: datetime) -> Syringe:
        given = self.cleaned_data
        volume = given["volume_ml"]
        return Syringe(
            float(given["stated_mbq"]),
            float(given["measured_mbq"]),
            given["at"] or measured_at,
            given["barcode"],
            None if volume is None else float(volume),
            given["labelled_for"],
            people.get(given["appointment"]),
        )


class AssignForm(Form):
    appointment = forms.ChoiceField(label="For")

    def __init__(self, *args: Any, people: Iterable[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["appointment"].choices = [("", "Choose"), *people]


class ReleaseForm(Form):
    released_by = forms.CharField(label="Qualified person on the certificate", max_length=120)
    released_at = MomentField(label="Released", initial="now")
    certificate = forms.CharField(label="Certificate number", required=False, max_length=60)


class AcceptForm(Form):
    despite = forms.CharField(label="Reason to accept it all the same", required=False, max_length=400)
    marks_optional = False

    def __init__(self, *args: Any, within: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if within:
            del self.fields["despite"]


class LossForm(Form):
    """Why a batch or an order is lost: the root of every move that follows."""

    cause = forms.ChoiceField(label="What went wrong?")
    note = forms.CharField(label="Note", required=False, max_length=400)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        on = self.now.date()
        self.fields["cause"].choices = [("", "Choose"), *((code.value, said(code, on)) for code in LOSSES)]

    def given_cause(self) -> Cause:
        code = CauseCode(self.cleaned_data["cause"])
        ours = code is CauseCode.HOT_LAB_FAILED
        return Cause(code, Initiator.PROVIDER if ours else Initiator.SUPPLIER, note=self.cleaned_data["note"].strip())


def set_to() -> forms.ChoiceField:
    """Filled in with what it should be: whoever reads another setting off the calibrator says so."""
    choices = [("", "Not read"), *((symbol, symbol) for symbol in DRAWN)]
    return forms.ChoiceField(label="Calibrator set to", required=False, choices=choices)


DRAWN = tuple(dict.fromkeys(fact.value.nuclide.symbol for fact in TRACERS.values()))


class DrawForm(Form):
    """For whom and how much; the rest is as it was for the dose before. The barcode is made if the syringe has none."""

    appointment = forms.ChoiceField(label="For", required=False)
    activity_mbq = activity("In the syringe", min_value=1)
    at = MomentField(label="At", initial="now", help_text=WHEN)
    volume_ml = NumberField(label="Volume", unit="mL", required=False, max_digits=5, decimal_places=2, min_value=0)
    instrument = instrument()
    nuclide = set_to()
    barcode = forms.CharField(
        label="Barcode", required=False, max_length=40, widget=Input(width="20", autocomplete="off")
    )
    override_reason = forms.CharField(label="Draw it all the same, because", required=False, max_length=400)
    already_happened = forms.BooleanField(label="It has been drawn all the same: record it", required=False)
    layout = (
        Section("Dose", "appointment", ("activity_mbq:4", "volume_ml:4", "barcode:4")),
        Section("Measured", ("at:4", "instrument:4", "nuclide:4"), folded=True),
    )

    def __init__(self, *args: Any, people: Iterable[tuple[str, str]], refused: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["appointment"].choices = [("", "Nobody yet"), *people]
        if not refused:
            del self.fields["already_happened"], self.fields["override_reason"]


class ResidualForm(Form):
    activity_mbq = activity("Left in the syringe")
    at = MomentField(label="At", initial="now", help_text=WHEN)
    instrument = instrument()
    nuclide = set_to()
    layout = (
        Section("Residual", ("activity_mbq:4",)),
        Section("Measured", ("at:4", "instrument:4", "nuclide:4"), folded=True),
    )


class CheckForm(Form):
    """A syringe that is measured again before it is given."""

    activity_mbq = activity("In the syringe")
    at = MomentField(label="Measured", initial="now")
    instrument = instrument()


class WasteForm(Form):
    cause = forms.ChoiceField(label="Why was it not given?")
    at = MomentField(label="When", initial="now")
    note = forms.CharField(label="Note", required=False, max_length=400)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        on = self.now.date()
        self.fields["cause"].choices = [("", "Choose"), *((code, said(CauseCode(code), on)) for code in WASTED)]

    def given_cause(self) -> Cause:
        code = CauseCode(self.cleaned_data["cause"])
        by = Initiator.PATIENT if code in BY_PATIENT else Initiator.PROVIDER
        return Cause(code, by, note=self.cleaned_data["note"].strip())


class SpendForm(Form):
    activity_mbq = activity("Left in the vial, measured", required=False)
    at = MomentField(label="When", initial="now")
    instrument = forms.CharField(
        label="Instrument", required=False, max_length=60, widget=Input(width="20", autocomplete="off")
    )


BENCH_ACTS = (
    ("count", "Measured again: it stays in the vial"),
    ("sample", "Taken for quality control"),
    ("spill", "Spilt"),
    ("return", "Sent back to the supplier"),
    ("transfer", "Sent to another site"),
)


class BenchForm(Form):
    """What else happened to the vial."""

    act = forms.ChoiceField(label="What happened?", choices=[("", "Choose"), *BENCH_ACTS])
    activity_mbq = activity("Measured", min_value=0)
    volume_ml = NumberField(label="Volume", unit="mL", required=False, max_digits=6, decimal_places=2, min_value=0)
    at = MomentField(label="When", initial="now")
    instrument = instrument()
    to = forms.ChoiceField(label="To which site", required=False)
    note = forms.CharField(label="Where, or why", required=False, max_length=400)

    def __init__(self, *args: Any, sites: Iterable[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["to"].choices = [("", "Stays here"), *sites]

    def clean(self) -> dict[str, Any]:
        given = super().clean()
        if given.get("act") == "transfer" and not given.get("to"):
            self.add_error("to", "Choose the site that it was sent to")
        return given


class DisposalForm(Form):
    """Off the premises; the items are ticked in the table beside it."""

    route = forms.ChoiceField(
        label="Route", choices=[("solid", "Ordinary waste, decayed"), ("contractor", "Contractor"), ("sewer", "Sewer")]
    )
    at = MomentField(label="When", initial="now")
    override_reason = forms.CharField(label="All the same, because", required=False, max_length=400)


class PermitForm(Form):
    number = forms.CharField(label="Permit number", max_length=40, widget=Input(width="10"))
    nuclide = forms.ChoiceField(label="Nuclide", choices=[(symbol, symbol) for symbol in NUCLIDES])
    holding_mbq = activity("May be held", min_value=0)
    sealed = forms.BooleanField(label="Sealed sources", required=False)
    sewer_mbq_a_month = activity("To the sewer in a month", required=False)
    solid_mbq_a_month = activity("With ordinary waste in a month", required=False)
    contractor_mbq_a_month = activity("To a contractor in a month", required=False)
    accumulation_days = forms.IntegerField(
        label="Waste may be kept for, days", required=False, min_value=1, max_value=3650, widget=Input(width="4")
    )
    valid_from = DateField(label="From")
    valid_to = DateField(label="To, that day included")


class SourceForm(Form):
    """A sealed source, as its certificate says."""

    nuclide = forms.ChoiceField(label="Nuclide", choices=[(symbol, symbol) for symbol in NUCLIDES])
    serial = forms.CharField(label="Serial number", max_length=60, widget=Input(width="10"))
    what = forms.CharField(label="What it is for", max_length=80)
    activity_mbq = activity("Activity on the certificate", min_value=0)
    reference_on = DateField(label="Of the day")
    kept_in = forms.CharField(label="Kept in", required=False, max_length=80)
    already_happened = forms.BooleanField(label="It is here all the same: record it", required=False)

    def __init__(self, *args: Any, refused: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not refused:
            del self.fields["already_happened"]

    def facts(self) -> SourceFacts:
        given = self.cleaned_data
        # Sources that are never opened live for years: their certificates give a day, at noon.
        noon = datetime.combine(given["reference_on"], time(12), tzinfo=self.zone)
        return SourceFacts(
            given["nuclide"], given["serial"], given["what"], float(given["activity_mbq"]), noon, given["kept_in"]
        )


class SourceActForm(Form):
    """A leak test, or its leaving."""

    source = forms.ChoiceField(label="Source")
    act = forms.ChoiceField(
        label="What happened?",
        choices=[("passed", "Leak test passed"), ("failed", "Leak test FAILED"), ("gone", "It has left the site")],
    )
    to = forms.CharField(label="Taken by, if it has left", required=False, max_length=160)
    at = MomentField(label="When", initial="now")

    def __init__(self, *args: Any, sources: Iterable[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["source"].choices = list(sources)

    def clean(self) -> dict[str, Any]:
        given = super().clean()
        if given.get("act") == "gone" and not given.get("to", "").strip():
            self.add_error("to", "Say who has taken it")
        return given


class StaffDoseForm(Form):
    """One badge, one period."""

    person = forms.ChoiceField(label="Person")
    part = forms.ChoiceField(label="Badge", choices=[("", "Choose"), *((p.value, p.value.capitalize()) for p in Part)])
    first = DateField(label="From")
    last = DateField(label="To, that day included")
    msv = NumberField(label="Read", unit="mSv", width="5", max_digits=7, decimal_places=3, min_value=0)
    corrects = forms.ChoiceField(label="Instead of", required=False)

    def __init__(
        self, *args: Any, people: Iterable[tuple[str, str]], known: Iterable[tuple[str, str]], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.fields["person"].choices = [("", "Choose"), *people]
        self.fields["corrects"].choices = [("", "A new reading"), *known]

    def reading(self) -> Reading:
        given = self.cleaned_data
        return Reading(Part(given["part"]), given["first"], given["last"], float(given["msv"]))


class LookForm(Form):
    finding = forms.CharField(label="What you found", max_length=600, widget=forms.Textarea(attrs={"rows": 2}))


class ConcludeForm(Form):
    """What a difference turned out to be."""

    found = forms.ChoiceField(
        label="It was",
        choices=[("", "Choose"), *((f.value, IN_WORDS[f].capitalize().replace("Kbq", "kBq")) for f in Found)],
    )
    entry = forms.ChoiceField(label="The entry that was wrong, if one was", required=False)
    finding = forms.CharField(
        label="What you found, and how you know", max_length=1000, widget=forms.Textarea(attrs={"rows": 3})
    )

    def __init__(self, *args: Any, entries: Iterable[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["entry"].choices = [("", "None of them"), *entries]


class CorrectForm(Form):
    """What an entry should have said."""

    activity_mbq = activity("Activity")
    at = MomentField(label="At")
    why = forms.CharField(label="How you know", max_length=1000, widget=forms.Textarea(attrs={"rows": 2}))
    layout = (Section("", ("activity_mbq:6", "at:6", "why:12")),)


class KitForm(Form):
    """A kit labelled with an elution: a batch of its own."""

    tracer = forms.ChoiceField(label="Product")
    kit = forms.CharField(label="Kit", max_length=80)
    kit_lot = forms.CharField(label="Kit's lot", max_length=40, widget=Input(width="10"))
    number = forms.CharField(label="Batch number", max_length=60, widget=Input(width="10", autocomplete="off"))
    activity_mbq = activity("Measured in the vial", min_value=1)
    volume_ml = NumberField(label="Volume", unit="mL", required=False, max_digits=5, decimal_places=2, min_value=0)
    at = MomentField(label="Measured", initial="now")
    instrument = instrument()
    expires_at = MomentField(label="Expires", past=False)

    def __init__(self, *args: Any, products: Iterable[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["tracer"].choices = list(products)


class ReturnForm(Form):
    reason = forms.CharField(label="Why it goes back", max_length=400)
    at = MomentField(label="When", initial="now")


class ConsignForm(Form):
    """What the surveyor reads, and where it goes. The label is worked out when it has not been put on yet."""

    entry = forms.ChoiceField(label="What is in it, by the ledger", required=False)
    consignee = forms.CharField(label="To", max_length=160)
    address = forms.CharField(label="Address", max_length=400, widget=forms.Textarea(attrs={"rows": 3}))
    activity_mbq = activity("Activity in the package")
    surface = msv_per_h("Highest on the surface")
    one_metre = msv_per_h("Highest at one metre")
    label = forms.ChoiceField(
        label="Label on it",
        required=False,
        choices=[("", "Not yet: work it out"), *((x.value, x.value) for x in Label)],
    )
    carrier = forms.CharField(label="Carrier", required=False, max_length=120)
    at = MomentField(label="Leaves", initial="now", past=False)
    already_happened = forms.BooleanField(label="It has left all the same: record it", required=False)

    def __init__(
        self, *args: Any, entries: Iterable[tuple[str, str]] = (), refused: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.fields["entry"].choices = [("", "Nothing of the vial: an empty package"), *entries]
        if not refused:
            del self.fields["already_happened"]

    def parcel(self) -> Parcel:
        given = self.cleaned_data
        return Parcel(
            given["consignee"], given["address"], float(given["activity_mbq"]), float(given["surface"]),
            float(given["one_metre"]), given["carrier"], Label(given["label"]) if given["label"] else None,
        )  # fmt: skip


class GeneratorForm(Form):
    kind = forms.ChoiceField(
        label="Kind",
        choices=[(c, f"{f.value.parent.symbol} / {f.value.daughter.symbol}") for c, f in GENERATORS.items()],
    )
    number = forms.CharField(label="Serial number", max_length=40, widget=Input(width="10"))
    calibrated_mbq = activity("Parent's activity")
    calibrated_at = MomentField(label="Calibrated")


class EluteForm(Form):
    activity_mbq = activity("Eluted, measured")
    volume_ml = NumberField(label="Volume", unit="mL", max_digits=5, decimal_places=2, min_value=0)
    at = MomentField(label="End of elution", initial="now")
    instrument = instrument()


class BreakthroughForm(Form):
    """One box for each thing that a make may let through."""

    def __init__(self, *args: Any, kind: Kind, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.kind = kind
        for limit in kind.breakthrough:
            said = f"{limit.what}, below {limit.stop:g} {limit.unit}"
            self.fields[key_of(limit.what)] = NumberField(
                label=said, width="5", max_digits=9, decimal_places=6, min_value=0
            )

    def tests(self) -> list[Eluate]:
        return [Eluate(one.what, float(self.cleaned_data[key_of(one.what)])) for one in self.kind.breakthrough]


def key_of(what: str) -> str:
    return what.lower().replace("-", "_")


class DeviceForm(Form):
    kind = forms.ChoiceField(label="Kind", choices=[(k.value, k.value.capitalize()) for k in DeviceKind])
    name = forms.CharField(label="Name on the bench", max_length=60, widget=Input(width="20"))
    serial = forms.CharField(label="Serial number", required=False, max_length=60, widget=Input(width="20"))
    ae_title = forms.RegexField(
        r"[!-\[\]-~]{1,16}", label="AE title, of an injector that sends dose reports", required=False,
        widget=Input(width="10", autocomplete="off"),
        error_messages={"invalid": "Enter up to 16 letters or digits without spaces"},
    )  # fmt: skip

    def clean(self) -> dict[str, Any]:
        given = super().clean()
        title = given.get("ae_title")
        if title and given.get("kind") != DeviceKind.INJECTOR:
            self.add_error("ae_title", "Only an injector sends dose reports")
        elif title and title_in_use(title):
            self.add_error("ae_title", f"Another device or scanner sends as {title}")
        return given


READING = re.compile(r"(?P<clock>\d{1,2}:\d{2})\s+(?P<mbq>\d+(\.\d+)?)")


class DeviceTestForm(Form):
    """A check or traceable source against what it should read; a linearity test by its readings, one a line."""

    device = forms.ChoiceField(label="Device")
    kind = forms.ChoiceField(label="Test", choices=[(k.value, k.value.capitalize()) for k in TestKind])
    at = MomentField(label="When", initial="now")
    measured = NumberField(label="Measured", width="5", required=False, max_digits=9, decimal_places=3, min_value=0)
    expected = NumberField(
        label="Expected, decayed to now", width="5", required=False, max_digits=9, decimal_places=3, min_value=0
    )
    readings = forms.CharField(
        label="Linearity with F-18: time and MBq, one reading a line", required=False, max_length=2000,
        widget=forms.Textarea(attrs={"rows": 4}),
    )  # fmt: skip
    note = forms.CharField(label="Note", required=False, max_length=400)

    def __init__(self, *args: Any, devices: Iterable[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["device"].choices = list(devices)

    def clean(self) -> dict[str, Any]:
        given = super().clean()
        if given.get("kind") == TestKind.LINEARITY:
            if len(given.get("readings", "").split("\n")) < 3:
                self.add_error("readings", "Enter at least three readings, each like 08:00 905")
            elif not all(READING.fullmatch(line.strip()) for line in given["readings"].strip().split("\n")):
                self.add_error("readings", "Enter each reading like 08:00 905")
        else:
            for name in ("measured", "expected"):
                if not given.get(name):
                    self.add_error(name, "Enter what was measured and what was expected")
        return given

    def off(self, zone: tzinfo) -> tuple[float, list[dict[str, object]]]:
        """Per cent from what it should be, and the readings that are kept with it."""
        given = self.cleaned_data
        if given["kind"] != TestKind.LINEARITY:
            measured, expected = float(given["measured"]), float(given["expected"])
            return off_percent(measured, expected), [{"measured": measured, "expected": expected}]
        day, found = given["at"].astimezone(zone).date(), []
        for line in given["readings"].strip().split("\n"):
            match = READING.fullmatch(line.strip())
            moment = datetime.combine(day, time.fromisoformat(match["clock"].zfill(5)), tzinfo=zone)
            found.append(Assay(F18, float(match["mbq"]), moment))
        return linearity_percent(found), [{"mbq": one.activity_mbq, "at": one.at.isoformat()} for one in found]
