"""Tracer supply: the lifecycles of an order, a batch and a dose, and what stops a dose being given."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from gantry.domain.decay import Assay, Nuclide, fraction_left
from gantry.domain.lifecycle import Table


class OrderState(StrEnum):
    DRAFTED = "drafted"
    PLACED = "placed"
    CONFIRMED = "confirmed"
    FULFILLED = "fulfilled"
    CANCELLED = "cancelled"
    FAILED = "failed"


class OrderEvent(StrEnum):
    PLACE = "place"
    CONFIRM = "confirm"
    FULFIL = "fulfil"
    CANCEL = "cancel"
    FAIL = "fail"


ORDER: Table[OrderState, OrderEvent] = {
    (OrderState.DRAFTED, OrderEvent.PLACE): OrderState.PLACED,
    (OrderState.DRAFTED, OrderEvent.CANCEL): OrderState.CANCELLED,
    (OrderState.PLACED, OrderEvent.CONFIRM): OrderState.CONFIRMED,
    (OrderState.PLACED, OrderEvent.CANCEL): OrderState.CANCELLED,
    (OrderState.PLACED, OrderEvent.FAIL): OrderState.FAILED,
    (OrderState.PLACED, OrderEvent.FULFIL): OrderState.FULFILLED,
    (OrderState.CONFIRMED, OrderEvent.CANCEL): OrderState.CANCELLED,
    (OrderState.CONFIRMED, OrderEvent.FAIL): OrderState.FAILED,
    (OrderState.CONFIRMED, OrderEvent.FULFIL): OrderState.FULFILLED,
}


class BatchState(StrEnum):
    """Two releases by two people: the supplier's, then the site's acceptance for use."""

    EXPECTED = "expected"
    RECEIVED = "received"
    SUPPLIER_RELEASED = "supplier_released"
    ACCEPTED = "accepted"
    SPENT = "spent"
    EXPIRED = "expired"
    REJECTED = "rejected"
    FAILED = "failed"
    RECALLED = "recalled"


LOST = frozenset({BatchState.REJECTED, BatchState.FAILED, BatchState.RECALLED})
ENDED = LOST | {BatchState.SPENT, BatchState.EXPIRED}
"""Nothing more is meant to be taken from it: what was left was thrown away."""


class BatchEvent(StrEnum):
    RECEIVE = "receive"
    RELEASE = "release"
    ACCEPT = "accept"
    SPEND = "spend"
    EXPIRE = "expire"
    REJECT = "reject"
    FAIL = "fail"
    RECALL = "recall"


BATCH: Table[BatchState, BatchEvent] = {
    (BatchState.EXPECTED, BatchEvent.RECEIVE): BatchState.RECEIVED,
    (BatchState.EXPECTED, BatchEvent.FAIL): BatchState.FAILED,
    (BatchState.RECEIVED, BatchEvent.RELEASE): BatchState.SUPPLIER_RELEASED,
    (BatchState.RECEIVED, BatchEvent.REJECT): BatchState.REJECTED,
    (BatchState.RECEIVED, BatchEvent.FAIL): BatchState.FAILED,
    # Time runs in quarantine too: what nobody accepted in time is never used.
    (BatchState.RECEIVED, BatchEvent.EXPIRE): BatchState.EXPIRED,
    (BatchState.SUPPLIER_RELEASED, BatchEvent.EXPIRE): BatchState.EXPIRED,
    (BatchState.SUPPLIER_RELEASED, BatchEvent.ACCEPT): BatchState.ACCEPTED,
    (BatchState.SUPPLIER_RELEASED, BatchEvent.REJECT): BatchState.REJECTED,
    (BatchState.SUPPLIER_RELEASED, BatchEvent.FAIL): BatchState.FAILED,
    (BatchState.SUPPLIER_RELEASED, BatchEvent.RECALL): BatchState.RECALLED,
    (BatchState.ACCEPTED, BatchEvent.SPEND): BatchState.SPENT,
    (BatchState.ACCEPTED, BatchEvent.EXPIRE): BatchState.EXPIRED,
    (BatchState.ACCEPTED, BatchEvent.RECALL): BatchState.RECALLED,
    (BatchState.SPENT, BatchEvent.RECALL): BatchState.RECALLED,
    (BatchState.EXPIRED, BatchEvent.RECALL): BatchState.RECALLED,
}


class DoseState(StrEnum):
    """A syringe is prepared here, or received from the supplier as a unit dose."""

    PREPARED = "prepared"
    RECEIVED = "received"
    ASSIGNED = "assigned"
    ADMINISTERED = "administered"
    WASTED = "wasted"
    RETURNED_TO_SUPPLIER = "returned_to_supplier"


class DoseEvent(StrEnum):
    ASSIGN = "assign"
    REASSIGN = "reassign"
    ADMINISTER = "administer"
    WASTE = "waste"
    RETURN = "return"


DOSE: Table[DoseState, DoseEvent] = {
    (DoseState.PREPARED, DoseEvent.ASSIGN): DoseState.ASSIGNED,
    (DoseState.PREPARED, DoseEvent.WASTE): DoseState.WASTED,
    (DoseState.PREPARED, DoseEvent.RETURN): DoseState.RETURNED_TO_SUPPLIER,
    (DoseState.RECEIVED, DoseEvent.ASSIGN): DoseState.ASSIGNED,
    (DoseState.RECEIVED, DoseEvent.WASTE): DoseState.WASTED,
    (DoseState.RECEIVED, DoseEvent.RETURN): DoseState.RETURNED_TO_SUPPLIER,
    (DoseState.ASSIGNED, DoseEvent.REASSIGN): DoseState.ASSIGNED,
    (DoseState.ASSIGNED, DoseEvent.RETURN): DoseState.RETURNED_TO_SUPPLIER,
    (DoseState.ASSIGNED, DoseEvent.ADMINISTER): DoseState.ADMINISTERED,
    (DoseState.ASSIGNED, DoseEvent.WASTE): DoseState.WASTED,
}


IN_HAND = (DoseState.PREPARED, DoseState.RECEIVED, DoseState.ASSIGNED)
"""A syringe that is still here, and still holds what it held."""


@dataclass(frozen=True, slots=True)
class BatchFacts:
    """`product` is what is in the vial: FDG for the brain and for the body come from one."""

    number: str
    product: str
    state: BatchState
    expires_at: datetime
    accepted: bool = True
    """Somebody accepted it for use here, whatever became of it since."""


def why_not_usable(batch: BatchFacts, *, product: str, at: datetime) -> Iterator[str]:
    """Why this batch may not be drawn from or injected; empty means it may."""
    # A vial that is used up or expired since was still good when this dose was taken from it: its time says so below.
    good = (BatchState.ACCEPTED, BatchState.SPENT, BatchState.EXPIRED)
    if batch.state is BatchState.EXPIRED and not batch.accepted:
        yield f"Batch {batch.number} was never accepted for use"
    elif batch.state not in good:
        yield f"Batch {batch.number} is {batch.state.replace('_', ' ')}, not accepted for use"
    if batch.product != product:
        yield f"Batch {batch.number} is {batch.product}; this person is to have {product}"
    if at >= batch.expires_at:
        yield f"Batch {batch.number} expired at {batch.expires_at:%H:%M} UTC"


def why_not_ordered(*, now: datetime, cut_off_at: datetime, activity_mbq: float, free_mbq: float) -> Iterator[str]:
    """Why an order may not be placed for a run: too late, nothing asked for, or more than the run can bring."""
    if now > cut_off_at:
        yield f"The cut-off for this run was {cut_off_at:%H:%M on %-d %B %Y} UTC"
    if activity_mbq <= 0:
        yield "Order more than 0 MBq"
    if activity_mbq > free_mbq + 1e-9:
        yield f"The run can bring {free_mbq:,.0f} MBq more, not {activity_mbq:,.0f} MBq"


@dataclass(frozen=True, slots=True)
class Difference:
    """A measured activity against the one that was expected at the same instant."""

    measured_mbq: float
    expected_mbq: float
    tolerance_percent: float

    @property
    def percent(self) -> float:
        return (self.measured_mbq - self.expected_mbq) / self.expected_mbq * 100 if self.expected_mbq else 0.0

    @property
    def within(self) -> bool:
        return abs(self.percent) <= self.tolerance_percent + 1e-7

    def __str__(self) -> str:
        side = "more" if self.percent > 0 else "less"
        return (
            f"{abs(self.percent):.1f} % {side} than expected: {self.measured_mbq:,.0f} MBq measured, "
            f"{self.expected_mbq:,.0f} MBq expected; ±{self.tolerance_percent:g} % is accepted"
        )


def why_not_accepted(
    *,
    state: BatchState,
    number: str,
    released_by: str,
    accepted_by: str,
    difference: Difference,
    expires_at: datetime,
    at: datetime,
) -> Iterator[str]:
    """Why the site may not accept a batch for use. The supplier's release is another act by another person."""
    if state is not BatchState.SUPPLIER_RELEASED:
        yield f"Batch {number} is {state.replace('_', ' ')}: the supplier's release has to be recorded first"
    if same_name(released_by, accepted_by):
        yield "The person who released the batch cannot also accept it"
    if at >= expires_at:
        yield f"Batch {number} expired at {expires_at:%H:%M} UTC"
    if not difference.within:
        yield str(difference)


def same_name(one: str, other: str) -> bool:
    return " ".join(one.casefold().split()) == " ".join(other.casefold().split())


@dataclass(frozen=True, slots=True)
class Wanted:
    """An injection that is to be served from a vial: how much, and when."""

    activity_mbq: float
    injection_at: datetime


def needed_mbq(wanted: Iterable[Wanted], nuclide: Nuclide, *, reference_at: datetime, loss: float = 0.0) -> float:
    """What a vial must hold at its reference time to serve these injections, with the share lost in dispensing."""
    return (1 + loss) * sum(w.activity_mbq / fraction_left(nuclide, w.injection_at - reference_at) for w in wanted)


def volume_ml(activity_mbq: float, vial: Assay, vial_volume_ml: float, at: datetime) -> float:
    """How much to draw for an activity at a moment, from a vial of even concentration."""
    return activity_mbq * vial_volume_ml / vial.activity_at(at)


def left_mbq(received: Assay, taken: Sequence[Assay], at: datetime) -> float:
    """What is left in a vial at a moment: what came, less what was taken, each decayed to then."""
    return received.activity_at(at) - sum(each.activity_at(at) for each in taken if each.at <= at)


@dataclass(frozen=True, slots=True)
class Balance:
    """Invariant 4 for one batch, every part decayed to one instant: in = given + residual + waste + out + left."""

    at: datetime
    received_mbq: float
    administered_mbq: float
    residual_mbq: float
    wasted_mbq: float
    in_syringes_mbq: float
    left_mbq: float

    @property
    def unexplained_mbq(self) -> float:
        parts = self.administered_mbq + self.residual_mbq + self.wasted_mbq + self.in_syringes_mbq + self.left_mbq
        return self.received_mbq - parts


@dataclass(frozen=True, slots=True)
class Match:
    """How a dose was matched to a person: the syringe's barcode scanned, or two of three facts typed."""

    barcode: str = ""
    nhs_number: str = ""
    date_of_birth: date | None = None
    family_name: str = ""

    @property
    def kind(self) -> str:
        return "scan" if self.barcode else "typed"


@dataclass(frozen=True, slots=True)
class Person:
    """What we hold of the person in front of us, to compare what is typed with."""

    nhs_number: str
    date_of_birth: date | None
    family_name: str


def why_not_matched(match: Match, *, barcode: str, person: Person, for_this_person: bool) -> Iterator[str]:
    """Why this dose is not surely this person's; empty means it is. A check that disagrees always counts."""
    if not for_this_person:
        yield "This dose is for another person"
    if match.barcode and not same_code(match.barcode, barcode):
        yield f"The scanned barcode is {match.barcode[:40]}; this dose is {barcode}"
    checks = (
        ("NHS number", same_code(match.nhs_number, person.nhs_number), bool(match.nhs_number)),
        ("date of birth", match.date_of_birth == person.date_of_birth, match.date_of_birth is not None),
        ("family name", same_name(match.family_name, person.family_name), bool(match.family_name.strip())),
    )
    for name, agrees, typed in checks:
        if typed and not agrees:
            yield f"The {name} that was typed is not this person's"
    if not match.barcode and sum(typed for _, _, typed in checks) < 2:
        yield "Scan the syringe's barcode, or type two of NHS number, date of birth and family name"


def why_not_named(labelled_for: str, family_name: str) -> list[str]:
    """Why a syringe that its supplier labelled for somebody is not this person's. A label without a name says nothing."""
    words = labelled_for.casefold().replace(",", " ").split()
    family = family_name.casefold().split()
    if not words or any(words[at : at + len(family)] == family for at in range(len(words))):
        return []
    return [f"the label says {labelled_for.strip()}, which is not the name of the person chosen"]


def same_code(one: str, other: str) -> bool:
    """Barcodes and numbers as scanners and people give them: without spaces, in any case. Nothing equals nothing."""
    stripped = "".join(one.split()).casefold()
    return bool(stripped) and stripped == "".join(other.split()).casefold()


@dataclass(frozen=True, slots=True)
class Promise:
    """Activity promised to an appointment, at its allotment's reference time."""

    appointment: str
    activity_mbq: float
    injection_at: datetime


def displaced(promises: Iterable[Promise], remaining_mbq: float) -> tuple[Promise, ...]:
    """Whom the activity that remains cannot serve, taking people in the order of their injections."""
    out = []
    for promise in sorted(promises, key=lambda p: (p.injection_at, p.appointment)):
        if promise.activity_mbq <= remaining_mbq + 1e-9:
            remaining_mbq -= promise.activity_mbq
        else:
            out.append(promise)
    return tuple(out)
