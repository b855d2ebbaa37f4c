"""Finds the free times of the network and tells them as the searchset of BaRS: slots with all that they point at."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Q
from django.utils import timezone

from gantry.apps.accounts.models import RoleGrant
from gantry.apps.booking import services as booking
from gantry.apps.booking.calendar import network_calendar
from gantry.apps.booking.models import Appointment, Reservation
from gantry.apps.estate.models import Deployment, Session, Site
from gantry.apps.referrals import services as referrals
from gantry.apps.referrals.models import Referral, RequestedProcedure
from gantry.domain.access import Role, Scope
from gantry.domain.activity import prescribe
from gantry.domain.appointment import planned
from gantry.gateways.fhir import reads, slot
from gantry.gateways.fhir.outcomes import Errors, Refusal
from gantry.gateways.fhir.reading import Tree
from gantry.gateways.fhir.served import SERVED
from gantry.reference.protocols import product_of
from gantry.reference.schemes import SCHEMES, scheme
from gantry.reference.tracers import tracer
from gantry.solvers import offers as search
from gantry.solvers.offers import Need, Wish

USUAL_TRACER, USUAL_WEIGHT_KG = "FDG", 75.0
"""What a slot is sized for where nobody has said whom it is for."""
WIDEST = timedelta(days=42)
CATEGORY = {
    "coding": [
        {
            "system": "http://terminology.hl7.org/CodeSystem/service-category",
            "code": "33",
            "display": "Specialist Medical",
        }
    ]
}


@dataclass(frozen=True, slots=True)
class SlotQuery:
    since: datetime
    until: datetime
    site: UUID | None = None
    referral: UUID | None = None
    limit: int = 20


@dataclass(frozen=True, slots=True)
class Free:
    site: UUID
    scanner: UUID
    starts_at: datetime
    ends_at: datetime


def searchset(query: SlotQuery, scope: Scope, *, now: datetime, address: str, self_url: str) -> Tree:
    """Raises Refusal."""
    found = free(query, scope, now=now)
    slots = [tree(one) for one in found]
    beside = {(one["resourceType"], one["id"]): one for one in around(found, now=now)}
    entries = [(one, "match") for one in slots] + [(one, "include") for one in beside.values()]
    return {
        "resourceType": "Bundle",
        "type": "searchset",
        "timestamp": now.isoformat(timespec="milliseconds"),
        "total": len(slots),
        "link": [{"relation": "self", "url": self_url}],
        **(
            {
                "entry": [
                    {
                        "fullUrl": f"{address}{one['resourceType']}/{one['id']}",
                        "resource": one,
                        "search": {"mode": mode},
                    }
                    for one, mode in entries
                ]
            }
            if entries
            else {}
        ),
    }


def free(query: SlotQuery, scope: Scope, *, now: datetime) -> list[Free]:
    """Times that would hold a visit now: of one referral as its authorisation allows, or of a usual one."""
    if query.until - query.since > WIDEST:
        raise Refusal(Errors.TOO_WIDE, text=f"At most {WIDEST.days} days at once")
    wish = Wish(
        sites=frozenset([query.site]) if query.site else frozenset(),
        from_day=timezone.localdate(max(query.since, now)),
        to_day=timezone.localdate(query.until),
    )
    if wish.from_day and wish.to_day and wish.to_day < wish.from_day:
        return []
    need = need_for(query.referral, scope, now=now) if query.referral else usual_need(now=now)
    found = []
    for one in fits(need, wish, now=now):
        if query.since <= one.starts_at < query.until:
            found.append(one)
        if len(found) == query.limit:
            break
    return sorted(found, key=lambda one: (one.starts_at, str(one.scanner)))


def fits(need: Need | None, wish: Wish, *, now: datetime) -> Iterator[Free]:
    """Day by day, each scanner's times that a visit fits, one after another: two slots of one scanner never overlap."""
    calendar = network_calendar(now)
    asked = search.query(calendar, need, wish) if need else None
    if need is None or asked is None:
        return
    for day in range(asked.first, asked.last + 1):
        for site in sorted(int(each) for each in asked.sites):
            for line in range(int(calendar.row_from[site]), int(calendar.row_from[site + 1])):
                time = 0
                while time < search.SLOTS:
                    if not search.plain_fit(calendar, asked, day, site, time, line):
                        time += 1
                        continue
                    arrival = datetime.fromtimestamp(
                        (int(calendar.midnight[site, day]) + time * search.GRID_MIN) * 60, UTC
                    )
                    plan = planned(need.shape, arrival)
                    yield Free(calendar.sites[site], calendar.rows[line], arrival, plan.ends_at)
                    time += asked.scan_slots


def procedure_of(referral: UUID, scope: Scope) -> RequestedProcedure:
    found = RequestedProcedure.objects.for_user(scope).filter(referral=referral).order_by("pk").first()
    if found is None:
        known = Referral.objects.for_user(scope).filter(pk=referral).exists()
        said = "That referral has nothing to book yet" if known else "That ServiceRequest is not here"
        raise Refusal(Errors.UNPROCESSABLE if known else Errors.NOT_FOUND, text=said)
    return found


def need_for(referral: UUID, scope: Scope, *, now: datetime) -> Need | None:
    """Raises Refusal."""
    procedure = procedure_of(referral, scope)
    authorisation = referrals.authorisation_for(procedure)
    return booking.need_of(procedure, authorisation, now=now) if authorisation else None


def usual_need(*, now: datetime) -> Need:
    """What a usual scan asks of the network."""
    kind, today = tracer(USUAL_TRACER), timezone.localdate(now)
    # Nobody is prescribed this: before the first edition, it says well enough how much a usual scan takes of a run.
    edition = scheme(kind.scheme, max(today, min(fact.valid_from for fact in SCHEMES[kind.scheme])))
    return Need(
        tracer=product_of(USUAL_TRACER),
        procedure_code=kind.procedure_code,
        activity_mbq=float(prescribe(edition.value, USUAL_WEIGHT_KG).prescribed_mbq),
        half_life=kind.nuclide.half_life,
        shape=booking.shape_for(RequestedProcedure(tracer=USUAL_TRACER)),
        earliest=now,
        authorised_from=today,
        authorised_to=today + WIDEST,
        sites=frozenset(network_calendar(now).sites),
    )


def tree(one: Free, status: str = "free") -> Tree:
    diary = deployment(one.scanner, one.site, one.starts_at)
    return {
        "resourceType": "Slot",
        "id": slot.id_of(one.scanner, one.starts_at),
        "serviceCategory": [CATEGORY],
        "schedule": {"reference": f"Schedule/{diary}"},
        "status": status,
        "start": one.starts_at.isoformat(timespec="milliseconds"),
        "end": one.ends_at.isoformat(timespec="milliseconds"),
    }


def at(said: slot.SlotId, *, now: datetime) -> Tree:
    """A slot by its id: free while the scanner is open and not promised then. Raises Refusal."""
    row_of = Deployment.objects.filter(
        Q(to_at=None) | Q(to_at__gt=said.arrival_at), scanner=said.scanner, from_at__lte=said.arrival_at
    ).first()
    if row_of is None:
        raise Refusal(Errors.NOT_FOUND, text="No Slot with this id is here")
    visit = booking.shape_for(RequestedProcedure(tracer=USUAL_TRACER))
    plan = planned(visit, said.arrival_at)
    promised = Reservation.objects.filter(
        active=True, resource=said.scanner, during__overlap=(plan.scanner.start, plan.scanner.end)
    ).exists()
    opened = Session.objects.filter(
        scanner=said.scanner, starts_at__lte=plan.arrival_at, ends_at__gte=plan.scanner.end
    ).exists()
    found = Free(row_of.site_id, said.scanner, plan.arrival_at, plan.ends_at)
    if promised or plan.arrival_at <= now:
        return tree(found, "busy")
    return tree(found, "free" if opened else "busy-unavailable")


def deployment(scanner: UUID, site: UUID, at: datetime) -> UUID | None:
    standing = Deployment.objects.filter(Q(to_at=None) | Q(to_at__gt=at), scanner=scanner, site=site, from_at__lte=at)
    return standing.order_by("-from_at").values_list("pk", flat=True).first()


def slot_of(appointment: Appointment) -> Tree:
    held = Free(appointment.site_id, appointment.scanner_id, appointment.arrival_at, appointment.ends_at)
    return tree(held, "busy")


def schedule_of(appointment: Appointment) -> Tree:
    key = deployment(appointment.scanner_id, appointment.site_id, appointment.arrival_at)
    return row("Schedule", key)


def row(kind: str, key: Any) -> Tree:
    return reads.tell(SERVED[kind], key)


def around(found: Iterable[Free], *, now: datetime) -> Iterable[Tree]:
    """Diaries, services, places, and who answers for the exposures there."""
    for scanner, site in dict.fromkeys((one.scanner, one.site) for one in found):
        at = next(one.starts_at for one in found if (one.scanner, one.site) == (scanner, site))
        diary = row("Schedule", deployment(scanner, site, at))
        grant = practitioner_at(site, now)
        if grant is not None:
            diary["actor"] += [
                {"reference": f"Practitioner/{grant.person_id}"},
                {"reference": f"PractitionerRole/{grant.pk}"},
            ]
        yield diary
        yield row("HealthcareService", site)
        if grant is not None:
            yield row("Practitioner", grant.person_id)
            yield row("PractitionerRole", grant.pk)
        yield row("Location", site)


def practitioner_at(site: UUID, now: datetime) -> RoleGrant | None:
    """A practitioner whom the site's employer, or the network's provider, has today."""
    place = Site.objects.select_related("network").get(pk=site)
    today = timezone.localdate(now)
    standing = RoleGrant.objects.filter(
        Q(valid_to=None) | Q(valid_to__gte=today),
        valid_from__lte=today,
        role=Role.PRACTITIONER,
        organisation__in=[place.organisation_id, place.network.provider_id],
        person__is_active=True,
    )
    return standing.exclude(person__registration="").order_by("pk").first()
