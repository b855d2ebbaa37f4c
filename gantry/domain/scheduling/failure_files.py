"""A failure as people exchange it: what happened to which thing and when, and what is known of each patient."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from gantry.domain.scheduling.failures import (
    Circumstances,
    Failure,
    FailureKind,
    LengthenRule,
    OtherDay,
    OtherTracer,
    Rules,
    Situation,
    Standing,
    TransferRule,
)
from gantry.domain.scheduling.files import Fault, Reader, Refused
from gantry.domain.scheduling.problem import Day, Plan

VERSION = 1


@dataclass(frozen=True, slots=True)
class PersonOnPaper:
    standing: str = ""
    journey_min: int = 60
    child: bool = False
    anaesthetic: bool = False
    insulin: bool = False
    inpatient: bool = False
    clock: str = ""
    authorised_places: frozenset[str] | None = None
    elsewhere: Mapping[str, int] = field(default_factory=dict)
    other_tracers: tuple[OtherTracer, ...] = ()
    other_day: OtherDay | None = None
    fraction: float = 1.0
    """Of what was authorised, as they are booked already."""
    travel_min: Mapping[str, int] = field(default_factory=dict)
    given_mbq: float | None = None
    prescribed_mbq: float | None = None


@dataclass(frozen=True, slots=True)
class TransferOnPaper:
    approved_by: str
    start: str
    end: str
    minutes: int


@dataclass(frozen=True, slots=True)
class EventOnPaper:
    kind: str
    subject: str
    """The delivery, scanner, place or patient that it hits, as the day names it."""
    known: datetime
    since: datetime | None = None
    until: datetime | None = None
    """A late batch: its new arrival. A patient: when they come, or may be injected. Without it: not today."""
    mbq: float = 0.0
    also: tuple[str, ...] = ()
    """Other deliveries that it hits."""
    shut: bool = False
    """Snow: the place closes too."""
    people: Mapping[str, PersonOnPaper] = field(default_factory=dict)
    lengthen: tuple[LengthenRule, ...] = ()
    transfer: tuple[TransferOnPaper, ...] = ()
    cut_offs: Mapping[str, datetime] = field(default_factory=dict)


SUBJECTS = {
    FailureKind.BATCH_LATE: "deliveries",
    FailureKind.BATCH_SHORT: "deliveries",
    FailureKind.BATCH_LOST: "deliveries",
    FailureKind.SCANNER_DOWN: "scanners",
    FailureKind.ANAESTHETIST_ABSENT: "places",
    FailureKind.SNOW: "places",
    FailureKind.PATIENT_LATE: "patients",
    FailureKind.HYPERGLYCAEMIA: "patients",
}


def read_event(day: Day, plan: Plan, data: object) -> Situation | Refused:
    """The situation of that day and plan, or every fault of the file at its JSON pointer."""
    reader = Reader(day.origin)
    event = reader.one(EventOnPaper, data, "", beside=frozenset({"version"}))
    if isinstance(data, dict) and data.get("version") != VERSION:
        reader.wrong("/version", f"must be {VERSION}")
    if event is not None:
        name_faults(reader, day, event)
    if reader.faults or event is None:
        return Refused(tuple(reader.faults))
    failure = Failure(
        FailureKind(event.kind),
        event.subject,
        known_min=day.minute(event.known),
        from_min=day.minute(event.since or event.known),
        to_min=None if event.until is None else day.minute(event.until),
        mbq=event.mbq,
        also=event.also,
        shut=event.shut,
    )
    transfer = None
    if event.transfer:
        minutes = {(t.start, t.end): t.minutes for t in event.transfer}
        transfer = TransferRule(event.transfer[0].approved_by, minutes)
    return Situation(
        day,
        plan,
        failure,
        {ref: about(person) for ref, person in event.people.items()},
        Rules(event.lengthen, transfer),
        {ref: day.minute(at) for ref, at in event.cut_offs.items()},
    )


def about(person: PersonOnPaper) -> Circumstances:
    return Circumstances(
        standing=Standing(person.standing) if person.standing else None,
        journey_min=person.journey_min,
        child=person.child,
        anaesthetic=person.anaesthetic,
        insulin=person.insulin,
        inpatient=person.inpatient,
        clock=person.clock,
        authorised_places=person.authorised_places,
        elsewhere=person.elsewhere,
        other_tracers=person.other_tracers,
        other_day=person.other_day,
        fraction=person.fraction,
        travel_min=person.travel_min,
        given_mbq=person.given_mbq,
        prescribed_mbq=person.prescribed_mbq,
    )


def name_faults(reader: Reader, day: Day, event: EventOnPaper) -> None:
    kinds = {kind.value: kind for kind in FailureKind}
    if event.kind not in kinds:
        reader.wrong("/kind", f"must be one of {', '.join(kinds)}")
        return
    of = SUBJECTS[kinds[event.kind]]
    refs = {getattr(each, "ref", "") for each in getattr(day, of)}
    if event.subject not in refs:
        reader.wrong("/subject", f"is none of the day's {of}")
    for ref in event.also:
        if ref not in refs:
            reader.wrong("/also", f"{ref} is none of the day's {of}")
    patients = {p.ref for p in day.patients}
    for ref, person in event.people.items():
        if ref not in patients:
            reader.wrong(f"/people/{ref}", "is not a patient of the day")
        if person.standing and person.standing not in {s.value for s in Standing}:
            reader.wrong(f"/people/{ref}/standing", f"must be one of {', '.join(Standing)}")
    if kinds[event.kind] in (FailureKind.BATCH_LATE, FailureKind.PATIENT_LATE) and event.until is None:
        reader.wrong("", "lacks “until”: when it comes")


__all__ = ["EventOnPaper", "Fault", "PersonOnPaper", "read_event"]
