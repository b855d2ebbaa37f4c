"""Turns the minimum data set into one dense form, and a decision into a few; the domain reads and judges what is typed."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.forms.boundfield import BoundField

from gantry.apps.ui.fields import DateField, Input, NumberField, Radios
from gantry.apps.ui.forms import Form
from gantry.apps.ui.listing import whole_number
from gantry.domain.referral import (
    ITEM,
    ITEMS,
    Context,
    Finding,
    Group,
    Item,
    Kind,
    Need,
    RejectionReason,
    choices_of,
    findings,
    is_required,
    questions,
    typed,
)
from gantry.domain.referral.facts import Case

FILLED_IN = frozenset({"request_datetime", "received_datetime", "declared_by", "declared_at"})
"""Known from who is signed in and when: nobody types them."""

WIDE = {Kind.LONG_TEXT: 6, Kind.CHOICES: 12, Kind.ROWS: 12}
SPAN = {"clinical_question": 12, "declaration": 12, "address": 6, "report_to": 3, "histology": 3}
WIDTHS = {Kind.INTEGER: "4", Kind.NUMBER: "5"}
ROWS_SHOWN, ROWS_MOST = 2, 8
SHORT, SHORT_WORDS = 3, 20
LONGEST_HOLD = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class Cell:
    """One question as the page lays it out. It is drawn but hidden while it does not apply: answers survive."""

    name: str
    bound: BoundField
    span: int
    asked: bool
    several: bool = False


@dataclass(frozen=True, slots=True)
class RowsTable:
    """A repeating question: "none" or as many rows as it takes."""

    name: str
    label: str
    hint: str
    none: BoundField
    headings: tuple[str, ...]
    rows: tuple[tuple[BoundField, ...], ...]
    asked: bool
    error: str


@dataclass(frozen=True, slots=True)
class Part:
    title: str
    slug: str
    cells: tuple[Cell, ...]
    tables: tuple[RowsTable, ...]


class DateText(DateField):
    """A date in any of the forms people type; what cannot be read stays as typed for the domain to report."""

    def to_python(self, value: Any) -> date | str | None:
        try:
            return super().to_python(value)
        except ValidationError:
            return str(value)


def field_of(item: Item, context: Context, *, label: str = "") -> forms.Field:
    """The control of one question. Nothing is required here: the data set's rules decide."""
    words: dict[str, Any] = {"label": label or item.label, "required": False, "help_text": item.hint}
    if item.mandatory is Need.OPTIONAL and not label:
        words["label"] = f"{item.label} (optional)"
    match item.kind:
        case Kind.LONG_TEXT:
            return forms.CharField(widget=forms.Textarea(attrs={"rows": 3}), **words)
        case Kind.DATE:
            return DateText(past=item.name in ("date_of_birth", "last_date", "date"), **words)
        case Kind.YES_NO if item.name == "declaration":
            return forms.BooleanField(**words)
        case Kind.YES_NO:
            return forms.ChoiceField(choices=[("yes", "Yes"), ("no", "No")], widget=Radios(inline=True), **words)
        case Kind.CHOICE:
            options = [(one.value, one.label) for one in choices_of(item, context)]
            if len(options) <= SHORT and sum(len(words) for _, words in options) <= SHORT_WORDS:
                return AsTyped(choices=options, widget=Radios(inline=True), **words)
            return AsTyped(choices=[("", ""), *options], widget=forms.Select(), **words)
        case Kind.CHOICES:
            options = [(one.value, one.label) for one in choices_of(item, context)]
            return SeveralAsTyped(choices=options, widget=forms.CheckboxSelectMultiple(), **words)
        case Kind.INTEGER | Kind.NUMBER:
            widget = Input(width=WIDTHS[item.kind], inputmode="decimal", autocomplete="off")
            return forms.CharField(widget=widget, **words)
        case _:
            numeric = {"inputmode": "numeric"} if item.name == "nhs_number" else {}
            return forms.CharField(widget=Input(autocomplete="off", **numeric), **words)


class AsTyped(forms.ChoiceField):
    """A choice that is not refused here: a value from elsewhere is reported by the domain in its own words."""

    def validate(self, value: Any) -> None:
        return None


class SeveralAsTyped(forms.MultipleChoiceField):
    def validate(self, value: Any) -> None:
        return None


class ReferralForm(Form):
    """The data set, or `only` some of it, as one page. `answers` are those already kept when a question is answered."""

    marks_optional = False

    def __init__(
        self,
        *args: Any,
        context: Context,
        on: date,
        now: datetime,
        only: Iterable[str] | None = None,
        answers: Mapping[str, object] | None = None,
        filled: Mapping[str, object] | None = None,
        **kwargs: Any,
    ) -> None:
        self.context, self.on = context, on
        self.kept = dict(answers or {})
        self.filled = dict(filled or {})
        wanted = None if only is None else {name.partition("-")[0] for name in only}
        self.items = [
            item
            for item in ITEMS
            if item.kind is not Kind.DERIVED
            and not item.filled_here
            and item.name not in FILLED_IN
            and (wanted is None or item.name in wanted)
        ]
        super().__init__(*args, now=now, **kwargs)
        self.row_counts = {item.name: self._rows(item) for item in self.items if item.kind is Kind.ROWS}
        for item in self.items:
            if item.kind is Kind.ROWS:
                self.fields[f"{item.name}_none"] = forms.BooleanField(label="None", required=False)
                for number in range(self.row_counts[item.name]):
                    for column in item.columns:
                        label = f"{item.label} {number + 1}: {column.label}"
                        self.fields[f"{item.name}-{number}-{column.name}"] = field_of(column, context, label=label)
            else:
                self.fields[item.name] = field_of(item, context)
        for field in self.fields.values():
            if isinstance(field, DateField):
                field.now, field.zone = self.now, self.zone
        self.answers: dict[str, object] = {}
        self.found: list[Finding] = []
        self.read()

    def _rows(self, item: Item) -> int:
        source = self.data if self.is_bound else self.initial
        numbers = [
            whole_number(name.split("-")[1]) for name in source if name.startswith(f"{item.name}-") and source[name]
        ]
        used = max((number for number in numbers if number is not None), default=-1)
        least = whole_number(str(source.get(f"{item.name}_rows", ""))) or ROWS_SHOWN
        return min(ROWS_MOST, max(least, used + 2))

    def read(self) -> None:
        """What the page says now, as answers, with every finding about it."""
        raw = {name: self._cleaned(name) for name in self.fields}
        # Fields that do not apply are drawn too: what they hold counts only once they are asked.
        given, unreadable = typed(
            {name: value for name, value in raw.items() if value not in ("", [], None, False)},
            self.context,
            zone=self.zone,
        )
        whole = {**self.kept, **given, **self.filled}
        self.asked = {item.name for item in questions(whole, on=self.on, context=self.context)}
        self.answers = {name: value for name, value in whole.items() if name in self.asked or name in self.filled}
        self.found = [
            *unreadable,
            *(
                one
                for one in findings(self.answers, on=self.on, context=self.context)
                if one.field not in FILLED_IN
                and not (one.code == "MDS-01" and one.field in {each.field for each in unreadable})
            ),
        ]

    def _cleaned(self, name: str) -> Any:
        """What the field makes of it; what it cannot read goes on as sent, for the data set to say what is wrong."""
        try:
            return self.fields[name].clean(self._raw(name))
        except forms.ValidationError:
            return self._raw(name)

    def _raw(self, name: str) -> Any:
        bound = self[name]
        if self.is_bound:
            return bound.data
        return bound.initial

    def raw(self) -> dict[str, Any]:
        """What was typed, for a draft."""
        kept = {}
        for name in self.fields:
            value = self._raw(name)
            if value in (None, "", [], False):
                continue
            kept[name] = (
                value if isinstance(value, str | list | bool) else str(self.fields[name].widget.format_value(value))
            )
        for name, count in self.row_counts.items():
            if count > ROWS_SHOWN:
                kept[f"{name}_rows"] = str(count)
        return kept

    def show(self, found: Iterable[Finding]) -> None:
        """Put findings beside their questions, in the order of the page."""
        self.full_clean()
        order = {name: place for place, name in enumerate(self.fields)}
        for one in sorted(found, key=lambda each: order.get(self.place(each.field) or "", -1)):
            self.add_error(self.place(one.field), one.message)

    def place(self, name: str) -> str | None:
        if name in self.fields:
            return name
        return f"{name}_none" if f"{name}_none" in self.fields else None

    def parts(self) -> Iterator[Part]:
        for group in Group:
            items = [item for item in self.items if item.group is group]
            if not items:
                continue
            cells = tuple(self._cell(item) for item in items if item.kind is not Kind.ROWS)
            tables = tuple(self._table(item) for item in items if item.kind is Kind.ROWS)
            yield Part(group.value, group.name.lower(), cells, tables)

    def _cell(self, item: Item) -> Cell:
        span = SPAN.get(item.name, WIDE.get(item.kind, 3))
        return Cell(item.name, self[item.name], span, self._asked(item), item.kind is Kind.CHOICES)

    def _asked(self, item: Item) -> bool:
        return item.name in self.asked or bool(self[item.name].errors)

    def _table(self, item: Item) -> RowsTable:
        none = self[f"{item.name}_none"]
        rows = tuple(
            tuple(self[f"{item.name}-{number}-{column.name}"] for column in item.columns)
            for number in range(self.row_counts[item.name])
        )
        headings = tuple(column.label for column in item.columns)
        asked = item.name in self.asked or bool(none.errors)
        return RowsTable(item.name, item.label, item.hint, none, headings, rows, asked, " ".join(none.errors))

    def required_left(self) -> int:
        """How many questions that must be answered are not, for the line that says how far one has come."""
        case = Case(self.answers, self.on, self.context)
        return sum(1 for item in self.items if is_required(item, case) and self.answers.get(item.name) in (None, ""))


QUICK = (
    ("weight", "How much does the patient weigh, and when were they weighed?", ("weight_kg", "weight_date")),
    ("diabetes", "Is the patient diabetic, and on which medicines?", ("diabetes", "diabetes_detail", "metformin")),
    ("treatment", "When was the last treatment, and when is the next?", ("treatment_history",)),
    ("biopsy", "When and where was the biopsy or operation?", ("surgery_or_biopsy_last_6w", "surgery_or_biopsy_date")),
    ("priors", "Where is the earlier imaging?", ("prior_imaging",)),
    ("pregnancy", "Could the patient be pregnant?", ("pregnancy_status", "pregnancy_lmp")),
    ("question", "What should the report answer, and what would it change?", ("clinical_question",)),
    ("indication", "Which commissioned indication is this?", ("indication_code",)),
)
"""Questions that a practitioner asks often: words and the items they are about."""


class AcceptForm(Form):
    """The plain case is filled in: two keys accept it."""

    version = forms.IntegerField(widget=forms.HiddenInput)
    proposed_for = forms.CharField(widget=forms.HiddenInput)
    """The tracer whose activity the page shows."""
    proposed_scheme = forms.CharField(widget=forms.HiddenInput, required=False)
    proposed_minutes = forms.CharField(widget=forms.HiddenInput, required=False)
    """The scheme and minutes per bed that the activity was computed with."""
    requested_tracer = forms.CharField(widget=forms.HiddenInput, required=False)
    tracer = forms.ChoiceField(label="Tracer")
    protocol = forms.ChoiceField(label="Protocol")
    scheme = forms.ChoiceField(label="Scheme", required=False)
    minutes_per_bed = NumberField(
        label="Minutes per bed", required=False, max_digits=4, decimal_places=1, min_value=0.5, max_value=10, width="3"
    )
    activity_mbq = NumberField(label="Prescribed activity", unit="MBq", max_digits=6, decimal_places=1, min_value=1)
    indication_row = forms.ChoiceField(label="Indication", required=False)
    sites = forms.MultipleChoiceField(
        label="Sites in play", required=False, widget=forms.CheckboxSelectMultiple(), help_text="None ticked means all"
    )
    contrast = forms.BooleanField(label="With intravenous contrast", required=False)
    change = forms.CharField(label="What you changed, for the referrer", required=False, max_length=500)
    justified = forms.BooleanField(label="I have justified this exposure", required=False)
    marks_optional = False

    def __init__(
        self,
        *args: Any,
        tracers: Sequence[tuple[str, str]],
        protocols: Sequence[tuple[str, str]],
        schemes: Sequence[tuple[str, str]],
        indications: Sequence[tuple[str, str]],
        sites: Sequence[tuple[str, str]],
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.fields["tracer"].choices = tracers
        self.fields["protocol"].choices = protocols
        self.fields["scheme"].choices = [*schemes, ("", "By hand")]
        self.fields["indication_row"].choices = [("", "None in the table"), *indications]
        self.fields["sites"].choices = sites


class AskForm(Form):
    version = forms.IntegerField(widget=forms.HiddenInput)
    quick = forms.MultipleChoiceField(
        label="Ask about",
        required=False,
        choices=[(key, words) for key, words, _ in QUICK],
        widget=forms.CheckboxSelectMultiple(),
    )
    question = forms.CharField(label="In your own words", required=False, widget=forms.Textarea(attrs={"rows": 2}))
    marks_optional = False

    def text(self) -> str:
        chosen = [words for key, words, _ in QUICK if key in self.cleaned_data["quick"]]
        return "\n".join([*chosen, self.cleaned_data["question"].strip()]).strip()

    def about(self) -> tuple[str, ...]:
        return tuple(name for key, _, names in QUICK if key in self.cleaned_data["quick"] for name in names)


REASONS = {
    RejectionReason.NOT_COMMISSIONED: "Not commissioned",
    RejectionReason.INSUFFICIENT_INFORMATION: "Not enough information",
    RejectionReason.DUPLICATE: "Asked for already",
    RejectionReason.NOT_INDICATED: "Not indicated",
    RejectionReason.UNSUITABLE_TIMING: "Wrong time",
    RejectionReason.PATIENT_UNFIT: "Patient not fit for it",
}


class RejectForm(Form):
    version = forms.IntegerField(widget=forms.HiddenInput)
    reason = forms.ChoiceField(
        label="Reason",
        choices=[("", ""), *((key.value, words) for key, words in REASONS.items())],
        error_messages={"required": "Choose the reason"},
    )
    explanation = forms.CharField(label="In words, for the referrer", widget=forms.Textarea(attrs={"rows": 2}))
    where_to = forms.CharField(
        label="What the referrer should do instead",
        max_length=300,
        error_messages={"required": "Say what the referrer should do instead"},
    )


class RedirectForm(Form):
    version = forms.IntegerField(widget=forms.HiddenInput)
    where_to = forms.CharField(label="Where it goes", max_length=300, error_messages={"required": "Say where it goes"})
    explanation = forms.CharField(label="Why", required=False, max_length=500)


class AnswerText(Form):
    """Words beside the fields of an answer."""

    text = forms.CharField(label="Answer in words", required=False, widget=forms.Textarea(attrs={"rows": 3}))


class WithdrawForm(Form):
    version = forms.IntegerField(widget=forms.HiddenInput)
    reason = forms.CharField(label="Why is it withdrawn?", max_length=300)


class HoldForm(Form):
    version = forms.IntegerField(widget=forms.HiddenInput)
    until = DateField(label="Until")
    reason = forms.CharField(label="Why does it wait?", max_length=300)

    def clean_until(self) -> date:
        """A hold without an end in sight is a patient out of sight."""
        until: date = self.cleaned_data["until"]
        if until > self.now.date() + LONGEST_HOLD:
            raise forms.ValidationError("Choose a day within a year: somebody must look again")
        if until <= self.now.date():
            raise forms.ValidationError("Choose a day after today")
        return until


class ReasonForm(Form):
    version = forms.IntegerField(widget=forms.HiddenInput)
    reason = forms.CharField(label="Why", max_length=300)


class UploadForm(Form):
    rows = forms.FileField(
        label="CSV file", help_text="One referral a row, with the headings of the template. 200 rows and 2 MB at most."
    )


def label_of(name: str) -> str:
    """A question's label, also for a cell of one of its rows."""
    root, _, rest = name.partition("-")
    item = ITEM.get(root)
    if item is None:
        return name.replace("_", " ")
    number, _, column = rest.partition("-")
    if not column:
        return item.label
    inner = next((one.label for one in item.columns if one.name == column), column)
    return f"{item.label}, row {int(number) + 1}: {inner}" if number.isdecimal() else item.label
