"""Notes what a day is reckoned with: doors, people's sessions, fittings, terms, patients' own times; and who signed the weights."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime, time
from uuid import UUID

from django.db import transaction

from gantry.apps.accounts.models import Person
from gantry.apps.audit.ids import new_id
from gantry.apps.audit.models import Event
from gantry.apps.audit.services import Stale, append
from gantry.apps.estate.models import Organisation, Scanner, Site
from gantry.apps.referrals.models import Referral
from gantry.apps.scheduling.models import (
    DayFacts,
    PeopleSession,
    ScannerFittings,
    StatedTimes,
    SupplierTerms,
    WeightsSigned,
)
from gantry.apps.scheduling.services.refusals import NotPossible
from gantry.domain.events import Actor, EventKind
from gantry.domain.scheduling.weights import Signature, Unsigned, Weights, digest, signature_on
from gantry.reference.day_plans import weights_on


@dataclass(frozen=True, slots=True)
class Doors:
    """Local times of day; None is not said."""

    doors_open: time | None = None
    doors_close: time | None = None
    paid_until: time | None = None
    injectors: int | None = None

    def wrong(self) -> list[str]:
        if self.doors_open and self.doors_close and self.doors_close <= self.doors_open:
            return ["The doors close before they open"]
        return []


@dataclass(frozen=True, slots=True)
class Times:
    """When a patient can come, and when a scan suits them; None is not said."""

    arrive_from: time | None = None
    arrive_by: time | None = None
    suits_from: time | None = None
    suits_to: time | None = None

    def wrong(self) -> list[str]:
        found = []
        if self.arrive_from and self.arrive_by and self.arrive_by < self.arrive_from:
            found.append("They would have to arrive by a time before they can come")
        if self.suits_from and self.suits_to and self.suits_to < self.suits_from:
            found.append("The scan would suit them until a time before it first does")
        return found


@transaction.atomic
def note_doors(site: Site, doors: Doors, *, now: datetime, by: Actor) -> DayFacts:
    """Raises NotPossible."""
    refuse(doors.wrong())
    row, _ = DayFacts.objects.update_or_create(site=site, defaults={**asdict(doors), "by_name": by.name, "at": now})
    _append(EventKind.DAY_FACTS_RECORDED, {"facts": row.pk}, site, now, by, {"of": "doors", **asdict(doors)})
    return row


@transaction.atomic
def note_session(
    site: Site, *, kind: str, starts_at: datetime, ends_at: datetime, people: int, now: datetime, by: Actor
) -> PeopleSession:
    """Raises NotPossible."""
    refuse(["The session ends before it starts"] if ends_at <= starts_at else [])
    refuse(["At least one person is there in a session"] if people < 1 else [])
    row = PeopleSession.objects.create(
        site=site, kind=kind, starts_at=starts_at, ends_at=ends_at, people=people, by_name=by.name, at=now
    )
    data = {"of": kind, "starts_at": starts_at, "ends_at": ends_at, "people": people}
    _append(EventKind.DAY_FACTS_RECORDED, {"people_session": row.pk}, site, now, by, data)
    return row


@transaction.atomic
def call_off_session(row: PeopleSession, *, now: datetime, by: Actor) -> None:
    """Raises Stale when it was called off already."""
    if not PeopleSession.objects.filter(pk=row.pk, called_off_at=None).update(called_off_at=now):
        raise Stale(row.pk)
    data = {"of": row.kind, "starts_at": row.starts_at, "called_off": True}
    _append(EventKind.DAY_FACTS_RECORDED, {"people_session": row.pk}, row.site, now, by, data)


@transaction.atomic
def note_fittings(scanner: Scanner, has: Iterable[str], site: Site, *, now: datetime, by: Actor) -> ScannerFittings:
    fitted = sorted(set(has))
    row, _ = ScannerFittings.objects.update_or_create(
        scanner=scanner, defaults={"has": fitted, "by_name": by.name, "at": now}
    )
    _append(EventKind.DAY_FACTS_RECORDED, {"scanner": scanner.pk}, site, now, by, {"of": "fittings", "has": fitted})
    return row


@transaction.atomic
def note_terms(
    site: Site,
    supplier: Organisation,
    tracer: str,
    *,
    least_mbq: float,
    price_pence: int,
    price_pence_per_gbq: int,
    now: datetime,
    by: Actor,
) -> SupplierTerms:
    facts = {"least_mbq": least_mbq, "price_pence": price_pence, "price_pence_per_gbq": price_pence_per_gbq}
    row, _ = SupplierTerms.objects.update_or_create(
        site=site, supplier=supplier, tracer=tracer, defaults={**facts, "by_name": by.name, "at": now}
    )
    _append(EventKind.DAY_FACTS_RECORDED, {"terms": row.pk}, site, now, by, {"of": "terms", "tracer": tracer, **facts})
    return row


@transaction.atomic
def note_times(referral: Referral, times: Times, *, why: str, now: datetime, by: Actor) -> StatedTimes:
    """What they said last is what holds; the history keeps what they said before. Raises NotPossible."""
    refuse(times.wrong())
    row, _ = StatedTimes.objects.update_or_create(
        referral=referral, defaults={**asdict(times), "why": why, "by_name": by.name, "at": now}
    )
    about = {"referral": referral.pk, "patient": referral.patient_id}
    _append(EventKind.PATIENT_TIMES_STATED, about, None, now, by, {**asdict(times), "reason": why})
    return row


# The weights


def standing_on(organisation: UUID, on: date) -> Signature | Unsigned:
    """Who signed the weights that count on a day for this provider."""
    given = [
        Signature(row.digest, row.by_name, row.at.date(), row.valid_from)
        for row in WeightsSigned.objects.filter(organisation=organisation).order_by("at")
    ]
    return signature_on(weights_on(on).value, given, on)


def as_values(weights: Weights) -> dict[str, list[list[int]]]:
    return {"priority": [list(each) for each in weights.priority], "near": [list(each) for each in weights.near]}


@transaction.atomic
def sign_weights(
    organisation: Organisation, shown: str, *, valid_from: date, person: Person, now: datetime, by: Actor
) -> WeightsSigned:
    """`shown` is the digest of what the page showed: nobody signs values that they have not seen. Raises NotPossible, Stale."""
    weights = weights_on(valid_from).value
    if digest(weights) != shown:
        raise Stale(organisation.pk)
    if WeightsSigned.objects.filter(organisation=organisation, digest=shown, valid_from=valid_from).exists():
        raise NotPossible(f"These values are signed already from {valid_from:%-d %B %Y}")
    key = new_id()
    event = append(
        EventKind.WEIGHTS_SIGNED,
        subjects={"weights": key},
        happened_at=now,
        recorded_at=now,
        by=by,
        organisation=organisation.pk,
        data={"digest": shown, "valid_from": valid_from.isoformat(), **as_values(weights)},
    )
    return WeightsSigned.objects.create(
        pk=key, organisation=organisation, digest=shown, values=as_values(weights), valid_from=valid_from,
        person=person, by_name=by.name, registration=person.registration, at=now, event=event.pk,
    )  # fmt: skip


def refuse(reasons: list[str]) -> None:
    if reasons:
        raise NotPossible(*reasons)


def _append(
    kind: EventKind, subjects: Mapping[str, UUID], site: Site | None, now: datetime, by: Actor, data: Mapping[str, object]
) -> Event:  # fmt: skip
    said = {name: value.isoformat() if isinstance(value, time) else value for name, value in data.items()}
    return append(
        kind, subjects=subjects, happened_at=now, recorded_at=now, by=by, site=site.pk if site else None, data=said
    )
