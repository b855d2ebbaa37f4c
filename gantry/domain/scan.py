"""The scan day: a visit's presence, a protocol as an ordered graph of steps, and the performed step."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum

from gantry.domain.appointment import VisitShape
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
    ENQUIRE = "enquire"
    """The pregnancy enquiry: at the visit, and only where it applies."""
    WEIGH = "weigh"
    GLUCOSE = "glucose"
    PREPARE = "prepare"
    """Cannulated and settled."""
    INJECT = "inject"
    VOID = "void"
    ACQUIRE = "acquire"
    CHECK_IMAGES = "check_images"


class Phase(StrEnum):
    """An acquisition takes time and has a start; every other step is simply done."""

    START = "start"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Window:
    """Minutes from an earlier step to the start of this one: planned, and the range that is acceptable."""

    since: str
    planned: int
    least: int
    most: int

    def __post_init__(self) -> None:
        if not 0 <= self.least <= self.planned <= self.most:
            raise ValueError(f"the window after {self.since} is not in order")


@dataclass(frozen=True, slots=True)
class ProtocolStep:
    """One node. `after` names steps that must be done first, `once_begun` steps that must at least be under way.

    `minutes` is how long it is planned to take. A dynamic scan injects once the acquisition has begun.
    """

    key: str
    act: Act
    label: str
    after: tuple[str, ...] = ()
    once_begun: tuple[str, ...] = ()
    minutes: int = 0
    window: Window | None = None
    tracer: str | None = None

    @property
    def has_start(self) -> bool:
        return self.act is Act.ACQUIRE


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
            needs = {*step.after, *step.once_begun, *((step.window.since,) if step.window else ())}
            if missing := needs - seen:
                raise ValueError(f"{self.code}: {step.key} comes after {', '.join(sorted(missing))}, not yet listed")
            seen.add(step.key)

    def step(self, key: str) -> ProtocolStep:
        """Raises KeyError for a step that this protocol does not have."""
        for step in self.steps:
            if step.key == key:
                return step
        raise KeyError(key)

    def of(self, act: Act) -> tuple[ProtocolStep, ...]:
        return tuple(step for step in self.steps if step.act is act)

    def without(self, act: Act) -> "Protocol":
        """The same graph where steps of this act do not apply; what came after them comes after what was before."""
        dropped = {step.key: step.after for step in self.of(act)}

        def kept(keys: tuple[str, ...]) -> tuple[str, ...]:
            found: list[str] = []
            for key in keys:
                found += kept(dropped[key]) if key in dropped else [key]
            return tuple(dict.fromkeys(found))

        return replace(
            self, steps=tuple(replace(s, after=kept(s.after)) for s in self.steps if s.key not in dropped)
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Done:
    """What has been recorded of one step; an acquisition under way has only begun."""

    began_at: datetime | None = None
    done_at: datetime | None = None

    @property
    def reached_at(self) -> datetime | None:
        return self.began_at or self.done_at


type Progress = Mapping[str, Done]
NOTHING = Done()


def _reached(step: ProtocolStep, progress: Progress) -> bool:
    return all(progress.get(k, NOTHING).done_at for k in step.after) and all(
        progress.get(k, NOTHING).reached_at for k in step.once_begun
    )


def due(protocol: Protocol, progress: Progress) -> tuple[ProtocolStep, ...]:
    """The steps that may come next: not done, with all that they wait for done or under way."""
    return tuple(
        s for s in protocol.steps if not progress.get(s.key, NOTHING).done_at and _reached(s, progress)
    )  # fmt: skip


def out_of_order(protocol: Protocol, key: str, progress: Progress) -> tuple[str, ...]:
    """Labels of the steps that should have come first. Recording is still allowed: it is kept as a breach."""
    step = protocol.step(key)
    return tuple(
        [protocol.step(k).label for k in step.after if not progress.get(k, NOTHING).done_at]
        + [protocol.step(k).label for k in step.once_begun if not progress.get(k, NOTHING).reached_at]
    )


@dataclass(frozen=True, slots=True)
class DueWindow:
    """When a step should start, and between which moments it still may."""

    planned: datetime
    least: datetime
    most: datetime


def window(protocol: Protocol, key: str, progress: Progress) -> DueWindow | None:
    """The moments that a step's window means for this person; None where it has none or its clock has not started."""
    within = protocol.step(key).window
    began = progress.get(within.since, NOTHING).reached_at if within else None
    if within is None or began is None:
        return None
    planned, least, most = (began + timedelta(minutes=m) for m in (within.planned, within.least, within.most))
    return DueWindow(planned, least, most)


def outside_window(protocol: Protocol, key: str, progress: Progress, at: datetime) -> str | None:
    """Said of a step that starts too early or too late after the step that its window counts from."""
    within, moments = protocol.step(key).window, window(protocol, key, progress)
    if within is None or moments is None or moments.least <= at <= moments.most:
        return None
    since = protocol.step(within.since).label.lower()
    minutes = round((at - (moments.planned - timedelta(minutes=within.planned))).total_seconds() / 60)
    wanted = f"{within.least} to {within.most} minutes are accepted"
    return f"{protocol.step(key).label} began {minutes} minutes after {since}; {wanted}"


def breaches(protocol: Protocol, key: str, phase: Phase, progress: Progress, at: datetime) -> list[str]:
    """Why a step should not have happened yet; empty means that it came when the protocol allows."""
    step = protocol.step(key)
    found = [f"{label} was not recorded first" for label in out_of_order(protocol, key, progress)]
    if (phase is Phase.START or not step.has_start) and (said := outside_window(protocol, key, progress, at)):
        found.append(said)
    return found


class Stage(StrEnum):
    """Where a person is, as a room speaks of it: derived from what was done, never stored."""

    EXPECTED = "expected"
    PREPARING = "preparing"
    UPTAKE = "uptake"
    SCANNING = "scanning"
    FINISHING = "finishing"
    LEFT = "left"
    NOT_SEEN = "not_seen"


def stage(protocol: Protocol, state: VisitState, progress: Progress) -> Stage:
    away = {VisitState.EXPECTED: Stage.EXPECTED, VisitState.LEFT: Stage.LEFT, VisitState.NOT_SEEN: Stage.NOT_SEEN}
    if state in away:
        return away[state]
    scans = [progress.get(s.key, NOTHING) for s in protocol.of(Act.ACQUIRE)]
    if any(s.began_at and not s.done_at for s in scans):
        return Stage.SCANNING
    if scans and all(s.done_at for s in scans):
        return Stage.FINISHING
    waiting = next(s for s in protocol.of(Act.ACQUIRE) if not progress.get(s.key, NOTHING).done_at)
    injected = any(progress.get(s.key, NOTHING).done_at for s in protocol.of(Act.INJECT))
    begun = window(protocol, waiting.key, progress)
    return Stage.UPTAKE if injected and begun else Stage.PREPARING


def planned_minutes(protocol: Protocol) -> dict[str, tuple[int, int]]:
    """When each step starts and ends, in minutes from arrival, if all goes to plan."""
    plan: dict[str, tuple[int, int]] = {}
    for step in protocol.steps:
        starts = max(
            [plan[k][1] for k in step.after]
            + [plan[k][0] for k in step.once_begun]
            + ([plan[step.window.since][0] + step.window.planned] if step.window else []),
            default=0,
        )
        plan[step.key] = starts, starts + step.minutes
    return plan


def shape(protocol: Protocol) -> VisitShape:
    """The appointment that this graph needs: what booking reserves."""
    plan = planned_minutes(protocol)
    scans, injections = (
        [plan[s.key] for s in protocol.of(act)] for act in (Act.ACQUIRE, Act.INJECT)
    )  # fmt: skip
    first_scan, last_scan = min(starts for starts, _ in scans), max(ends for _, ends in scans)
    first_injection = min((starts for starts, _ in injections), default=first_scan)
    return VisitShape(
        preparation_min=min(first_injection, first_scan),
        uptake_min=max(0, first_scan - first_injection),
        scan_min=last_scan - first_scan,
        recovery_min=max(10, max(ends for _, ends in plan.values()) - last_scan),
    )


def pregnancy_enquiry_applies(
    sex_at_birth: str, organs: str, age: int, *, from_age: int, to_age: int
) -> bool:  # fmt: skip
    """By organs and age, never by gender; what is not known is asked (IR(ME)R Schedule 2(c))."""
    return from_age <= age <= to_age and sex_at_birth != "male" and organs != "no"


def age_in_years(born: date, on: date) -> int:
    return on.year - born.year - ((on.month, on.day) < (born.month, born.day))


@dataclass(frozen=True, slots=True)
class Waiting:
    """Somebody injected who has to be scanned inside a window."""

    least: datetime
    most: datetime
    length: timedelta


@dataclass(frozen=True, slots=True)
class InjectionFacts:
    """What is known at the vein. Each gate is a fact, not an opinion; `None` means nobody has said."""

    identity_checked: bool
    pregnancy_enquiry_needed: bool
    pregnancy_enquiry_made: bool
    may_be_pregnant: bool
    not_authorised: Sequence[str]
    not_usable: Sequence[str]
    not_matched: Sequence[str]
    out_of_tolerance: str | None
    no_scanner: Sequence[str]
    """Why neither their scanner nor a named fallback can scan them in time (`gantry.domain.injecting`)."""
    not_yet: Sequence[str] = ()
    """Steps of the protocol that should have come first."""
    not_for_a_child: Sequence[str] = ()
    """Why this child has no individual authorisation for this dose. Nobody's override lifts it."""
    glucose: str | None = None
    """Why the glucose that was measured is too high for this tracer."""


def why_not_injected(facts: InjectionFacts) -> Iterator[str]:
    """Invariant 3: why nobody may authorise this injection. Empty means it may go ahead.

    It stops authorising, never recording: an injection that happened is recorded, and shown as the breach it is.
    """
    if not facts.identity_checked:
        yield "Identity has not been checked at this visit"
    if facts.pregnancy_enquiry_needed and not facts.pregnancy_enquiry_made:
        yield "The pregnancy enquiry has not been made at this visit"
    if facts.may_be_pregnant:
        yield "This person is or may be pregnant: a practitioner decides whether to go on"
    if facts.glucose:
        yield facts.glucose
    yield from facts.not_authorised
    yield from facts.not_for_a_child
    yield from facts.not_usable
    yield from facts.not_matched
    if facts.out_of_tolerance:
        yield facts.out_of_tolerance
    yield from facts.no_scanner
    yield from (f"{label} has not been recorded" for label in facts.not_yet)
