"""Decides what an order for tracer costs, and what stops a run being opened or an order cancelled."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

LONGEST_JOURNEY = timedelta(hours=24)
"""Between the reference time and the door: further apart than this, one of the two was mistyped."""


class Payer(StrEnum):
    """Who bears the price of an order that is cancelled."""

    NOBODY = "nobody"
    PROVIDER = "provider"
    SUPPLIER = "supplier"


@dataclass(frozen=True, slots=True)
class Tariff:
    """What a run costs: a sum for its coming at all, and one for each GBq at its reference time."""

    run_pence: int = 0
    pence_per_gbq: int = 0

    def __post_init__(self) -> None:
        if min(self.run_pence, self.pence_per_gbq) < 0:
            raise ValueError("a price is never below 0")

    def of(self, activity_mbq: float, *, first: bool = True) -> int:
        """In pence. Only the first order of a run pays for its coming."""
        return (self.run_pence if first else 0) + round(activity_mbq / 1000 * self.pence_per_gbq)


def why_not_opened(
    *, now: datetime, cut_off_at: datetime, reference_at: datetime, due_at: datetime, capacity_mbq: float
) -> Iterator[str]:
    """Why a run may not be opened for orders: its times are out of order, or there is nothing to order."""
    if cut_off_at <= now:
        yield "The cut-off has passed: nothing could be ordered"
    if cut_off_at >= due_at:
        yield "The cut-off is before the run is due"
    if abs(reference_at - due_at) > LONGEST_JOURNEY:
        yield "The reference time is more than a day away from the time that the run is due"
    if capacity_mbq <= 0:
        yield "A run brings more than 0 MBq"


def why_not_cancelled(
    *, now: datetime, cut_off_at: datetime, reason: str, payer: Payer, agreed: str, left_without: int
) -> Iterator[str]:
    """Why an order may not be cancelled. After the cut-off the supplier is making it: somebody pays, and says so."""
    if not reason.strip():
        yield "Say why it is cancelled"
    if now <= cut_off_at:
        if payer is not Payer.NOBODY:
            yield "Until the cut-off nobody pays for a cancelled order"
        return
    said = f"The cut-off was {cut_off_at:%H:%M on %-d %B %Y} UTC"
    if payer is Payer.NOBODY:
        yield f"{said}: say who pays for what the supplier is making"
    elif payer is Payer.SUPPLIER and not agreed.strip():
        yield "Say who at the supplier agreed to bear the price"
    if left_without:
        people = "1 person has" if left_without == 1 else f"{left_without} people have"
        yield f"{people} activity of this run that no other order brings: move them first, or record that it will not come"
