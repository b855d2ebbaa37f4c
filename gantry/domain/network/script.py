"""Decides who comes, what they meet and what the suppliers do: a seeded script of people and acts, told the time.

It holds intentions and misfortunes only. Which slot somebody gets, whether they may be injected and what that does to
others is for the services that perform it, or for the twin's arrays.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from random import Random

from gantry.domain.events import CauseCode, Initiator
from gantry.domain.network.people import Hospital, Kind, Person, answers, person
from gantry.domain.network.streams import stream

MINUTE = timedelta(minutes=1)
GROWTH = 2.0
"""How many more people are referred on the last day than on the first, as a multiple."""


class Course(StrEnum):
    """How far a referral is meant to go."""

    SCANNED = "scanned"
    PRIMARY_CARE = "primary_care"
    """Refused at the door, and told where to go."""
    OUTSIDE = "outside"
    """Redirected: from a hospital that another network serves."""
    REJECTED = "rejected"
    SILENT_REFERRER = "silent_referrer"
    """Something is missing, and nobody has answered yet."""
    ON_HOLD = "on_hold"


class Upset(StrEnum):
    """What happens to a booking besides being kept."""

    NONE = "none"
    PATIENT_CANCELS = "patient_cancels"
    PATIENT_MOVES = "patient_moves"
    NOT_ATTENDED = "not_attended"
    HYPERGLYCAEMIA = "hyperglycaemia"
    """Found at the glucose check: turned away."""
    ABANDONED = "abandoned"
    """Injected, and the scan not finished."""
    WE_MOVE = "we_move"
    """Moved by the service: somebody of the staff is away."""
    NOT_FASTED = "not_fasted"
    """Had eaten, found at the checks: turned away."""


TURNED_AWAY = frozenset({Upset.HYPERGLYCAEMIA, Upset.NOT_FASTED})
CAUSE: Mapping[Upset, tuple[CauseCode, Initiator]] = {
    Upset.PATIENT_CANCELS: (CauseCode.PATIENT_CANCELLED, Initiator.PATIENT),
    Upset.PATIENT_MOVES: (CauseCode.PATIENT_CANCELLED, Initiator.PATIENT),
    Upset.HYPERGLYCAEMIA: (CauseCode.HYPERGLYCAEMIA, Initiator.PROVIDER),
    Upset.ABANDONED: (CauseCode.CLAUSTROPHOBIA, Initiator.PATIENT),
    Upset.WE_MOVE: (CauseCode.STAFF_ABSENT, Initiator.PROVIDER),
    Upset.NOT_FASTED: (CauseCode.NOT_FASTED, Initiator.PROVIDER),
}


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the person says on the telephone: not sooner than, at about what hour, how near home."""

    in_days: int
    minute_of_day: int
    site_rank: float
    """From 0 to 1 along the sites in order of how many people they serve."""
    declines: int
    """Offers refused before one is taken."""
    calls: int
    """Calls that nobody answered first."""


@dataclass(frozen=True, slots=True)
class OnTheDay:
    """Minutes that this visit differs from its plan, and what is measured."""

    late_min: int
    slack_min: tuple[int, ...]
    """For each step in order: how much longer it took than planned."""
    glucose_mmol_per_l: float
    weight_change_kg: float
    dose_ratio: float
    """Drawn against prescribed."""
    residual_share: float
    typed: bool
    """Matched by two typed checks rather than by scanning."""


@dataclass(frozen=True, slots=True)
class Afterwards:
    """Delays from the scan to the report, its reading and the act that it led to; None: never, whoever reminds them."""

    reported: timedelta
    preliminary: bool
    read: timedelta | None
    acted: timedelta | None
    amended: timedelta | None


@dataclass(frozen=True, slots=True)
class Story:
    """One person from the referral on. Delays are from the act before."""

    person: Person
    hospital: str
    refers_at: datetime
    answers: Mapping[str, object]
    course: Course
    answered: timedelta
    """How long the referrer takes to answer what is missing."""
    vetted: timedelta
    booked: timedelta
    told: timedelta
    wishes: Wishes
    upset: Upset
    upset_before: timedelta
    """How long before arrival a cancellation or a move is asked for."""
    day: OnTheDay
    after: Afterwards
    missing: tuple[str, ...] = ()
    """What the referrer forgot; `answers` lacks them and `forgotten` has them."""
    forgotten: Mapping[str, object] = field(default_factory=dict)
    asked_for: bool = False
    """Their day was chosen so that somebody is there when something happens."""
    chased: bool = True
    """Somebody goes after what went otherwise than planned; of the few others a list has to tell."""

    def next_time(self) -> "Story":
        """The same person at another visit: what went wrong once does not go wrong again."""
        usual = min(self.day.glucose_mmol_per_l, 7.0)
        return replace(self, upset=Upset.NONE, day=replace(self.day, glucose_mmol_per_l=usual))


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a supplier brings for one run of a site's day."""

    late_min: int
    measured_ratio: float
    fails: bool = False


@dataclass(frozen=True, slots=True)
class Breakdown:
    """A scanner out of use for part of one day."""

    site_rank: int
    day: int
    """Counted from the first day of the script."""
    from_min: int
    for_min: int


@dataclass(frozen=True, slots=True)
class Script:
    """A whole run: the same seed and start give the same people and the same misfortunes."""

    seed: int
    run: int
    starts_at: datetime
    days: int
    stories: tuple[Story, ...]
    failed_batch_day: int
    """On which day, counted from the first, the busiest site's first batch fails; the only one that does."""
    breakdowns: tuple[Breakdown, ...]

    def delivery(self, site_rank: int, day: int, run_of_day: int) -> Delivery:
        """The busiest site is rank 0. Asked for as needed: a run that nobody ordered never comes."""
        chance = stream(self.seed, self.run, f"delivery {site_rank} {day} {run_of_day}")
        late = chance.choice((0, 0, 0, 2, 4, 6, 9)) if chance.random() < 0.94 else chance.randint(25, 55)
        ratio = chance.gauss(1.0, 0.02)
        fails = day == self.failed_batch_day and site_rank == 0 and run_of_day == 0
        return Delivery(late, min(max(ratio, 0.94), 1.06), fails)


def script(
    starts_at: datetime,
    *,
    seed: int,
    patients: int,
    days: int,
    hospitals: Sequence[Hospital],
    outside: Hospital,
    practice: str,
    today_from_min: int = 8 * 60,
    today_to_min: int = 17 * 60,
    failed_batch_day: int,
    breakdown_day: int,
    next_day: int | None = None,
    run: int = 0,
) -> Script:
    """People referred over `days` local days from midnight at `starts_at`, and who of them is to be seen on the last.

    `today_from_min` to `today_to_min` is when the people of the last day are wanted, so that they are at every stage.
    `next_day`, counted as the others, has a full list too: somebody orders tracer for it and rings its people.
    """
    arrivals = stream(seed, run, "arrivals")
    on_the_last_day = min(max(patients // 8, 3), 26)
    moments = sorted(referred_at(starts_at, days, arrivals) for _ in range(patients))
    stories = []
    for number, at in enumerate(moments):
        chance = stream(seed, run, f"person {number}")
        course = course_of(number, patients, chance)
        kind = kind_of(number, patients, chance)
        home = hospital_of(kind, hospitals, outside if course is Course.OUTSIDE else None, chance)
        who = person(number, kind, at.date(), stream(seed, run, f"who {number}"))
        given = answers(who, home, at=at, within_days=chance.choice((7, 10, 14, 14)), chance=chance)
        if course is Course.PRIMARY_CARE:
            given |= {"referring_org_ods": practice, "report_to": (practice,), "referrer_role": "gp"}
            given |= {"pathway_issuer": practice} if "pathway_issuer" in given else {}
        stories.append(told_of(who, home, at, given, course, upset_of(number, patients, chance), chance))
    hit = min(max(patients // 40, 2), 6)
    wanted: tuple[Wanted, ...] = (
        Wanted(days - 1, on_the_last_day, today_from_min, today_to_min, 0.0, 0.999),
        Wanted(failed_batch_day, hit, 8 * 60, 12 * 60, 0.0, 0.0),
        Wanted(breakdown_day, hit, 12 * 60 + 10, 15 * 60 + 30, 0.5, 0.5),
    )
    if next_day is not None:
        wanted += (Wanted(next_day, on_the_last_day, 8 * 60, 16 * 60, 0.0, 0.999),)
    for one in wanted:
        stories = ask_for(one, stories, starts_at)
    breakdown = Breakdown(1, breakdown_day, 13 * 60 + 30, 150)
    return Script(seed, run, starts_at, days, tuple(stories), failed_batch_day, (breakdown,))


@dataclass(frozen=True, slots=True)
class Wanted:
    """So many people are to ask for one day, between two hours and along a part of the sites' list."""

    day: int
    count: int
    from_min: int
    to_min: int
    from_rank: float
    to_rank: float


def referred_at(starts_at: datetime, days: int, chance: Random) -> datetime:
    """On a weekday, in working hours, more often lately."""
    while True:
        share = chance.random()
        if chance.random() > (1 + GROWTH * share) / (1 + GROWTH):
            continue
        at = starts_at + timedelta(days=int(share * days), minutes=chance.randint(8 * 60, 17 * 60 + 30))
        if at.weekday() < 5:
            return at


def course_of(number: int, patients: int, chance: Random) -> Course:
    """Each rare course is there at least once, however few people there are."""
    fixed = {
        patients // 3: Course.PRIMARY_CARE,
        patients // 2: Course.OUTSIDE,
        patients - 2: Course.SILENT_REFERRER,
        patients * 2 // 3: Course.ON_HOLD,
    }
    if number in fixed:
        return fixed[number]
    return chance.choices(list(Course), weights=(93, 1, 1, 2, 1.5, 1.5))[0]


def upset_of(number: int, patients: int, chance: Random) -> Upset:
    """Causes of both measures are there, and of neither: the two numbers are not the same one."""
    drawn = chance.choices(list(Upset), weights=(84, 3, 4, 2, 2, 1, 3, 1))[0]
    fixed = {patients // 4: Upset.WE_MOVE, patients * 3 // 5: Upset.WE_MOVE, patients * 2 // 5: Upset.NOT_FASTED}
    return fixed.get(number, drawn)


def kind_of(number: int, patients: int, chance: Random) -> Kind:
    first = patients // 8
    fixed = {first: Kind.CHILD, first + 1: Kind.INSULIN, first + 2: Kind.INPATIENT}
    if number in fixed:
        return fixed[number]
    return chance.choices(list(Kind), weights=(88, 3, 5, 4))[0]


def hospital_of(kind: Kind, hospitals: Sequence[Hospital], outside: Hospital | None, chance: Random) -> Hospital:
    if outside is not None:
        return outside
    able = [one for one in hospitals if one.children_only == (kind is Kind.CHILD)]
    return chance.choice(able or list(hospitals))


FORGETTABLE = ("weight_kg", "clinical_question", "mdt_date", "lie_flat_30min")


def told_of(
    who: Person, home: Hospital, at: datetime, given: dict[str, object], course: Course, upset: Upset, chance: Random
) -> Story:
    """The delays and the misfortunes of one person."""
    forgets = course is Course.SILENT_REFERRER or (course is Course.SCANNED and chance.random() < 0.12)
    missing = (chance.choice(FORGETTABLE),) if forgets else ()
    forgotten = {name: given.pop(name) for name in missing}
    slow = chance.random() < 0.05
    reported = timedelta(hours=chance.uniform(18, 70) if not slow else chance.uniform(130, 200))
    return Story(
        person=who,
        hospital=home.ods,
        refers_at=at,
        answers=given,
        course=course,
        answered=timedelta(hours=chance.uniform(3, 50)),
        vetted=timedelta(hours=chance.uniform(30, 90) if slow else chance.uniform(1, 26)),
        booked=timedelta(hours=chance.uniform(1, 24)),
        told=timedelta(minutes=chance.choice((0, 1, 2, 90, 600))),
        wishes=Wishes(
            in_days=chance.choice((1, 2, 2, 3, 3, 4, 5, 7)),
            minute_of_day=chance.randint(8 * 60, 16 * 60 + 30),
            site_rank=chance.random(),
            declines=chance.choices((0, 1, 2), weights=(80, 15, 5))[0],
            calls=chance.choices((0, 1, 2), weights=(70, 22, 8))[0],
        ),
        upset=upset if course is Course.SCANNED else Upset.NONE,
        upset_before=timedelta(hours=chance.choice((3, 20) if upset is Upset.WE_MOVE else (3, 20, 26, 44, 70))),
        day=on_the_day(who, upset, chance),
        after=Afterwards(
            reported=reported,
            preliminary=chance.random() < 0.1,
            read=sooner_or_later(chance, soon=0.93, hours=30),
            acted=sooner_or_later(chance, soon=0.85, hours=72),
            amended=timedelta(hours=chance.uniform(20, 60)) if chance.random() < 0.03 else None,
        ),
        missing=missing,
        forgotten=forgotten,
        chased=chance.random() < 0.9,
    )


def sooner_or_later(chance: Random, *, soon: float, hours: float) -> timedelta | None:
    """By themselves within hours; else, but for one in eight of the rest, when they have been reminded."""
    if chance.random() < soon:
        return timedelta(hours=chance.uniform(1, hours))
    return timedelta(days=chance.uniform(4, 8)) if chance.random() < 0.88 else None


def on_the_day(who: Person, upset: Upset, chance: Random) -> OnTheDay:
    late = chance.choices((-6, 0, 4, 12, 25), weights=(25, 45, 18, 9, 3))[0]
    usual = chance.gauss(7.6 if who.kind is Kind.INSULIN else 5.6, 0.8)
    return OnTheDay(
        late_min=late,
        slack_min=tuple(chance.choice((-1, 0, 0, 0, 1, 2)) for _ in range(12)),
        glucose_mmol_per_l=round(14.6 if upset is Upset.HYPERGLYCAEMIA else min(max(usual, 3.9), 10.6), 1),
        weight_change_kg=round(chance.gauss(-0.3, 0.9) * (who.weight_kg / 80 if who.kind is Kind.CHILD else 1), 1),
        dose_ratio=chance.uniform(1.03, 1.08) if chance.random() < 0.03 else chance.uniform(0.92, 0.985),
        residual_share=chance.uniform(0.005, 0.025),
        typed=chance.random() < 0.08,
    )


def ask_for(wanted: Wanted, stories: list[Story], starts_at: datetime) -> list[Story]:
    """People of the week before ask for the day, at moments spread over it: something happens to somebody then."""
    midnight = starts_at + timedelta(days=wanted.day)
    plain = [
        index
        for index, story in enumerate(stories)
        if story.course is Course.SCANNED
        and not story.asked_for
        and story.upset not in (Upset.WE_MOVE, Upset.NOT_FASTED)
        and story.person.kind is not Kind.CHILD
        and story.person.illness.tracer == "FDG"
        and timedelta(days=2) <= midnight - story.refers_at <= timedelta(days=12)
    ]
    stories = list(stories)
    chosen = spread(plain, wanted.count)
    for place, index in enumerate(chosen):
        story = stories[index]
        share = (place * 7 % len(chosen)) / len(chosen)
        along = place / len(chosen)
        stories[index] = replace(
            story,
            asked_for=True,
            wishes=Wishes(
                in_days=(midnight.date() - story.refers_at.date()).days,
                minute_of_day=int(wanted.from_min + (wanted.to_min - wanted.from_min) * share),
                site_rank=wanted.from_rank + (wanted.to_rank - wanted.from_rank) * along,
                declines=0,
                calls=story.wishes.calls,
            ),
            vetted=timedelta(hours=2),
            booked=timedelta(hours=2),
            told=timedelta(minutes=2),
            upset=Upset.NONE,
            missing=(),
            forgotten={},
            answers={**story.answers, **story.forgotten},
        )
    return stories


def spread(rows: Sequence[int], count: int) -> list[int]:
    if len(rows) <= count:
        return list(rows)
    return [rows[index * len(rows) // count] for index in range(count)]
