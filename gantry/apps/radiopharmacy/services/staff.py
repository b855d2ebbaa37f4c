"""What the people of a hot lab receive: each badge's reading, the year so far against its limits, and who looked."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import transaction

from gantry.apps.accounts.models import Person
from gantry.apps.audit.ids import new_id
from gantry.apps.audit.services import append
from gantry.apps.estate.models import Site
from gantry.apps.radiopharmacy.models import LedgerEntry, StaffDose, StaffDoseReview
from gantry.apps.radiopharmacy.services.refusals import NotDone
from gantry.domain.events import Actor, EventKind
from gantry.domain.ledger import Way
from gantry.domain.staff_dose import Part, Reading, of_year, why_look, why_not_kept, why_year
from gantry.reference.staff_dose import staff_limits


def standing_doses(person: Person | UUID) -> list[StaffDose]:
    """The readings that hold for a person, wherever they work: a limit knows no site."""
    key = person if isinstance(person, UUID) else person.pk
    return list(StaffDose.objects.filter(person=key, corrected_by=None).order_by("last", "pk"))


def as_reading(row: StaffDose) -> Reading:
    return Reading(Part(row.part), row.first, row.last, row.msv)


@transaction.atomic
def record_staff_dose(
    site: Site,
    person: Person,
    reading: Reading,
    *,
    corrects: StaffDose | None = None,
    now: datetime,
    by: Actor,
) -> StaffDose:
    """One badge's period. Raises NotDone for a time that has a reading already. A year above its limit is a breach."""
    Person.objects.select_for_update().get(pk=person.pk)
    others = [row for row in standing_doses(person) if corrects is None or row.pk != corrects.pk]
    known = [as_reading(row) for row in others]
    if why := list(why_not_kept(reading, known)):
        raise NotDone(why)
    limits = staff_limits(reading.part, reading.last).value
    year = reading.last.year
    total = of_year([*known, reading], reading.part, year)
    over = total > limits.limit
    asks = [*why_look(reading, limits), *why_year(total, limits, year)]
    row = StaffDose(
        pk=new_id(), site=site, person=person, part=reading.part, first=reading.first, last=reading.last, msv=reading.msv,
        asks=asks, by_name=by.name, recorded_at=now, corrects=corrects,
    )  # fmt: skip
    subjects = {"staff_dose": row.pk, "person": person.pk}
    told = {"happened_at": now, "recorded_at": now, "by": by, "site": site.pk}
    data = {"part": reading.part, "msv": reading.msv, "first": reading.first, "last": reading.last, "asks": asks}
    row.event = append(EventKind.STAFF_DOSE_RECORDED, subjects=subjects, data=data, **told).pk
    row.save(force_insert=True)
    if over:
        append(EventKind.BREACH_RECORDED, subjects=subjects, data={"act": "staff_dose", "reasons": asks}, **told)
    return row


@transaction.atomic
def review_staff_dose(row: StaffDose, *, finding: str, now: datetime, by: Actor) -> StaffDoseReview:
    """Raises NotDone without words, or when somebody has looked already."""
    if not finding.strip():
        raise NotDone(["Say what you found"])
    StaffDose.objects.select_for_update().get(pk=row.pk)
    if StaffDoseReview.objects.filter(reading=row).exists():
        raise NotDone(["Somebody has looked at it already"])
    event = append(
        EventKind.STAFF_DOSE_REVIEWED,
        subjects={"staff_dose": row.pk, "person": row.person_id},
        happened_at=now,
        recorded_at=now,
        by=by,
        site=row.site_id,
        data={"finding": finding.strip()},
    )
    return StaffDoseReview.objects.create(
        reading=row, finding=finding.strip(), by_name=by.name, at=now, event=event.pk
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class PartYear:
    """One part of one person's year."""

    part: Part
    msv: float
    limit_msv: float
    asks: tuple[str, ...]

    @property
    def percent(self) -> float:
        return self.msv / self.limit_msv * 100


@dataclass(frozen=True, slots=True)
class PersonYear:
    person: Person
    parts: tuple[PartYear, ...]
    readings: tuple[StaffDose, ...]
    """Newest first."""
    drawn_mbq: float
    """Handled in the month so far: whoever draws and injects most is relieved."""
    given_mbq: float


def year_of(people: Iterable[Person], site: Site, *, now: datetime) -> list[PersonYear]:
    on = now.astimezone(ZoneInfo(site.zone)).date()
    drawn, given = handled(site, on)
    found = []
    for person in people:
        rows = standing_doses(person)
        readings = [as_reading(row) for row in rows]
        parts = []
        for part in Part:
            limits = staff_limits(part, on).value
            msv = of_year(readings, part, on.year)
            parts.append(PartYear(part, msv, limits.limit, tuple(why_year(msv, limits, on.year))))
        found.append(
            PersonYear(
                person, tuple(parts), tuple(reversed(rows)), drawn.get(person.name, 0.0), given.get(person.name, 0.0)
            )
        )
    return found


def handled(site: Site, on: date) -> tuple[dict[str, float], dict[str, float]]:
    """MBq drawn and given by each name since the month began, each as it was at its own moment."""
    first = datetime.combine(on.replace(day=1), time(), tzinfo=ZoneInfo(site.zone))
    sums: dict[str, dict[str, float]] = {Way.DRAWN: defaultdict(float), Way.ADMINISTERED: defaultdict(float)}
    replaced = LedgerEntry.objects.filter(site=site, at__gte=first, corrects__isnull=False).values("corrects")
    rows = LedgerEntry.objects.filter(site=site, at__gte=first, way__in=list(sums)).exclude(pk__in=replaced)
    for way, name, mbq in rows.values_list("way", "by_name", "activity_mbq"):
        sums[way][name] += mbq
    return sums[Way.DRAWN], sums[Way.ADMINISTERED]


def to_look_at(site: Site) -> list[StaffDose]:
    """Readings that ask for a look, and that nobody has looked at."""
    rows = StaffDose.objects.filter(site=site, review=None, corrected_by=None).exclude(asks=[])
    return list(rows.select_related("person").order_by("last"))
