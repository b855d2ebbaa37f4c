"""Sealed sources: here from their receipt until they have gone, held against the permit, wiped for leaks in time."""

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from django.db import transaction

from gantry.apps.audit.models import Event
from gantry.apps.audit.services import Stale, append
from gantry.apps.estate.models import Site
from gantry.apps.radiopharmacy.models import SealedSource
from gantry.apps.radiopharmacy.services.permits import permit_for, terms_of
from gantry.apps.radiopharmacy.services.refusals import NotDone
from gantry.domain.decay import Assay, Nuclide
from gantry.domain.events import Actor, EventKind
from gantry.domain.permit import why_not_held
from gantry.reference.nuclides import NUCLIDES
from gantry.reference.staff_dose import LEAK_TEST_EVERY


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """What its certificate says."""

    nuclide: str
    serial: str
    what: str
    activity_mbq: float
    reference_at: datetime
    kept_in: str = ""


def now_mbq(source: SealedSource, at: datetime) -> float:
    return Assay(NUCLIDES[source.nuclide].value, source.activity_mbq, source.reference_at).activity_at(at)


def sealed_mbq(site: Site, nuclide: Nuclide, *, at: datetime) -> float:
    """Every sealed source of a nuclide that is here."""
    here = SealedSource.objects.filter(site=site, nuclide=nuclide.symbol, received_at__lte=at).exclude(gone_at__lte=at)
    return sum(now_mbq(one, at) for one in here)


@transaction.atomic
def receive_source(
    site: Site, facts: SourceFacts, *, at: datetime, now: datetime, by: Actor, already_happened: bool = False
) -> SealedSource:
    """Raises NotDone for one that the permit does not allow; what is here already is recorded, as the breach it is."""
    serial = facts.serial.strip()
    if SealedSource.objects.filter(site=site, serial=serial).exists():
        raise NotDone([f"Source {serial} is recorded already"])
    nuclide = NUCLIDES[facts.nuclide].value
    coming = Assay(nuclide, facts.activity_mbq, facts.reference_at).activity_at(at)
    on = at.astimezone(ZoneInfo(site.zone)).date()
    terms = terms_of(permit_for(site, facts.nuclide, on, sealed=True))
    held = sealed_mbq(site, nuclide, at=at)
    reasons = list(why_not_held(terms, held_mbq=held, more_mbq=coming, on=on))
    if reasons and not already_happened:
        raise NotDone(reasons)
    row = SealedSource.objects.create(
        site=site, nuclide=facts.nuclide, serial=serial, what=facts.what.strip(), activity_mbq=facts.activity_mbq,
        reference_at=facts.reference_at, kept_in=facts.kept_in.strip(), received_at=at, breach=reasons,
    )  # fmt: skip
    data = {"nuclide": row.nuclide, "serial": serial, "mbq": round(coming, 3)}
    record(row, EventKind.SOURCE_RECEIVED, data, at=at, now=now, by=by)
    if reasons:
        record(row, EventKind.BREACH_RECORDED, {"act": "source", "reasons": reasons}, at=at, now=now, by=by)
    return row


@transaction.atomic
def leak_test(source: SealedSource, *, passed: bool, at: datetime, now: datetime, by: Actor) -> SealedSource:
    """A wipe. One that fails is a breach: the source leaks."""
    SealedSource.objects.filter(pk=source.pk).update(leak_tested_at=at, leak_passed=passed)
    source.refresh_from_db()
    record(source, EventKind.SOURCE_TESTED, {"serial": source.serial, "passed": passed}, at=at, now=now, by=by)
    if not passed:
        reasons = [f"Source {source.serial} failed its leak test"]
        record(source, EventKind.BREACH_RECORDED, {"act": "source", "reasons": reasons}, at=at, now=now, by=by)
    return source


@transaction.atomic
def source_gone(source: SealedSource, *, to: str, at: datetime, now: datetime, by: Actor) -> SealedSource:
    """To whoever is allowed to have it. Raises NotDone without a recipient, Stale when it has gone already."""
    if not to.strip():
        raise NotDone(["Say who has taken it"])
    if not SealedSource.objects.filter(pk=source.pk, gone_at=None).update(gone_at=at, gone_to=to.strip()):
        raise Stale(source.pk)
    source.refresh_from_db()
    data = {"serial": source.serial, "to": source.gone_to, "mbq": round(now_mbq(source, at), 3)}
    record(source, EventKind.SOURCE_GONE, data, at=at, now=now, by=by)
    return source


def why_wiped(source: SealedSource, *, at: datetime) -> str | None:
    """Why its leak test is asked for, or None."""
    if not source.leak_passed:
        return "failed its leak test"
    since = source.leak_tested_at or source.received_at
    return "leak test is overdue" if since + LEAK_TEST_EVERY.value < at else None


def record(
    row: SealedSource, kind: EventKind, data: dict[str, object], *, at: datetime, now: datetime, by: Actor
) -> Event:
    return append(
        kind, subjects={"source": row.pk}, happened_at=at, recorded_at=now, by=by, site=row.site_id, data=data
    )  # fmt: skip
