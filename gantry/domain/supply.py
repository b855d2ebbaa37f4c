"""Tracer supply: the lifecycles of an order, a batch and a dose, and what stops a dose being given."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

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
    PREPARED = "prepared"
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
    (DoseState.ASSIGNED, DoseEvent.REASSIGN): DoseState.ASSIGNED,
    (DoseState.ASSIGNED, DoseEvent.ADMINISTER): DoseState.ADMINISTERED,
    (DoseState.ASSIGNED, DoseEvent.WASTE): DoseState.WASTED,
}


@dataclass(frozen=True, slots=True)
class BatchFacts:
    number: str
    tracer: str
    state: BatchState
    expires_at: datetime


def why_not_usable(batch: BatchFacts, *, tracer: str, at: datetime) -> Iterator[str]:
    """Why this batch may not be drawn from or injected; empty means it may."""
    if batch.state is not BatchState.ACCEPTED:
        yield f"Batch {batch.number} is {batch.state.replace('_', ' ')}, not accepted for use"
    if batch.tracer != tracer:
        yield f"Batch {batch.number} is {batch.tracer}; this person is to have {tracer}"
    if at >= batch.expires_at:
        yield f"Batch {batch.number} expired at {batch.expires_at:%H:%M} UTC"


def why_not_ordered(*, now: datetime, cut_off_at: datetime, activity_mbq: float) -> Iterator[str]:
    if now > cut_off_at:
        yield f"The cut-off for this run was {cut_off_at:%H:%M on %-d %B %Y} UTC"
    if activity_mbq <= 0:
        yield "Order more than 0 MBq"
