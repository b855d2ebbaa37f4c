"""The scan day: a visit's presence, a protocol as an ordered graph of steps, and the performed step."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from gantry.domain.lifecycle import Table


class VisitState(StrEnum):
    """Presence only; what was done is a list of protocol steps."""

    EXPECTED = "expected"
    PRESENT = "present"
    LEFT = "left"
    NOT_SEEN = "not_seen"


class VisitEvent(StrEnum):
    ARRIVE = "arrive"
    LEAVE = "leave"
    NOT_SEE = "not_see"


VISIT: Table[VisitState, VisitEvent] = {
    (VisitState.EXPECTED, VisitEvent.ARRIVE): VisitState.PRESENT,
    (VisitState.EXPECTED, VisitEvent.NOT_SEE): VisitState.NOT_SEEN,
    (VisitState.PRESENT, VisitEvent.LEAVE): VisitState.LEFT,
}


class StepState(StrEnum):
    """DICOM PS3.4 F.7.2: a performed procedure step."""

    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    DISCONTINUED = "discontinued"


class StepEvent(StrEnum):
    COMPLETE = "complete"
    DISCONTINUE = "discontinue"


PERFORMED_STEP: Table[StepState, StepEvent] = {
    (StepState.IN_PROGRESS, StepEvent.COMPLETE): StepState.COMPLETED,
    (StepState.IN_PROGRESS, StepEvent.DISCONTINUE): StepState.DISCONTINUED,
}


class Act(StrEnum):
    """What a step of a protocol is; the same act may come more than once (two injections, two acquisitions)."""

    IDENTIFY = "identify"
    PREPARE = "prepare"
    INJECT = "inject"
    UPTAKE = "uptake"
    VOID = "void"
    ACQUIRE = "acquire"
    CHECK_IMAGES = "check_images"
    RECOVER = "recover"
    ADVISE = "advise"


@dataclass(frozen=True, slots=True)
class ProtocolStep:
    """One node: `after` names the steps that must be done before this one is due.

    `minutes` is how long it is planned to take; `gap_min`..`gap_max` is the window, in minutes, between the end
    of the steps in `after` and the start of this one (uptake before acquisition).
    """

    key: str
    act: Act
    label: str
    after: tuple[str, ...] = ()
    minutes: int = 0
    gap_min: int | None = None
    gap_max: int | None = None
    tracer: str | None = None


@dataclass(frozen=True, slots=True)
class Protocol:
    """An ordered graph of steps: dynamic, cardiac and two-time-point scans need other graphs, not other states."""

    code: str
    version: str
    title: str
    steps: tuple[ProtocolStep, ...]

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for step in self.steps:
            if step.key in seen:
                raise ValueError(f"{self.code}: two steps are called {step.key}")
            if missing := set(step.after) - seen:
                raise ValueError(f"{self.code}: {step.key} comes after {', '.join(sorted(missing))}, not yet listed")
            seen.add(step.key)

    def step(self, key: str) -> ProtocolStep:
        return next(step for step in self.steps if step.key == key)

    def of(self, act: Act) -> tuple[ProtocolStep, ...]:
        return tuple(step for step in self.steps if step.act is act)


def due(protocol: Protocol, done: Iterable[str]) -> tuple[ProtocolStep, ...]:
    """The steps that may come next: not done, with everything before them done."""
    finished = set(done)
    return tuple(s for s in protocol.steps if s.key not in finished and finished.issuperset(s.after))


def out_of_order(protocol: Protocol, key: str, done: Iterable[str]) -> tuple[str, ...]:
    """Labels of the steps that should have come first. Recording is still allowed: it is kept as a breach."""
    finished = set(done)
    return tuple(protocol.step(k).label for k in protocol.step(key).after if k not in finished)


@dataclass(frozen=True, slots=True)
class InjectionFacts:
    """What is known at the vein. Each gate is a fact, not an opinion; `None` means nobody has said."""

    identity_checked: bool
    pregnancy_enquiry_needed: bool
    pregnancy_enquiry_made: bool
    not_authorised: Sequence[str]
    not_usable: Sequence[str]
    matched_to_person: bool
    out_of_tolerance: str | None
    scanner_unfit: str | None


def why_not_injected(facts: InjectionFacts) -> Iterator[str]:
    """Invariant 3: why nobody may authorise this injection. Empty means it may go ahead.

    It stops authorising, never recording: an injection that happened is recorded, and shown as the breach it is.
    """
    if not facts.identity_checked:
        yield "Identity has not been checked at this visit"
    if facts.pregnancy_enquiry_needed and not facts.pregnancy_enquiry_made:
        yield "The pregnancy enquiry has not been made at this visit"
    yield from facts.not_authorised
    yield from facts.not_usable
    if not facts.matched_to_person:
        yield "The dose has not been matched to this person"
    if facts.out_of_tolerance:
        yield facts.out_of_tolerance
    if facts.scanner_unfit:
        yield facts.scanner_unfit
