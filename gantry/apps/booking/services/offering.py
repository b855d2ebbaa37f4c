"""Puts the network's best choices before a person, says why each stands where it does, and remembers the answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import transaction

from gantry.apps.audit.ids import new_id
from gantry.apps.audit.services import Stale, append
from gantry.apps.booking.calendar import network_calendar
from gantry.apps.booking.models import SlotOffer
from gantry.apps.booking.services.need import need_of, shape_for
from gantry.apps.estate.models import Scanner, Site
from gantry.apps.referrals.models import Authorisation, RequestedProcedure
from gantry.apps.referrals.services import authorisation_for
from gantry.domain.appointment import Planned, fit_in_words, planned
from gantry.domain.events import Actor, EventKind
from gantry.solvers import offers as search
from gantry.solvers.offers import NO_WISH, Wish


@dataclass(frozen=True, slots=True)
class Choice:
    """A place and a time that somebody may ask for."""

    site: UUID
    scanner: UUID
    arrival_at: datetime


@dataclass(frozen=True, slots=True)
class Offer:
    """A choice with everything a page says about it."""

    choice: Choice
    site_name: str
    scanner_name: str
    plan: Planned
    zone: str
    late: bool
    distance_km: float | None
    reason: str
    parts: tuple[str, ...]

    @property
    def arrival_at(self) -> datetime:
        return self.plan.arrival_at

    @property
    def scan_at(self) -> datetime:
        return self.plan.scan_at


def offers_for(
    procedure: RequestedProcedure, *, now: datetime, wish: Wish | None = None, limit: int = 10
) -> list[Offer]:
    """The best choices in order of fit; none when nobody has authorised the exposure."""
    authorisation = authorisation_for(procedure)
    if authorisation is None:
        return []
    calendar = network_calendar(now)
    need = need_of(procedure, authorisation, now=now)
    found = search.best_choices(calendar, need, wish or NO_WISH, limit=limit)
    if not found:
        return []
    km = (
        search.distances_km(calendar.places, need.latitude, need.longitude)
        if need.latitude is not None and need.longitude is not None
        else None
    )
    nearest = min((km[each.site] for each in found), default=0.0) if km else None
    scanners = Scanner.objects.in_bulk({calendar.rows[each.row] for each in found})
    zones = dict(Site.objects.filter(pk__in=calendar.sites).values_list("pk", "zone"))
    shape = shape_for(procedure)
    made = []
    for each in found:
        site = calendar.sites[each.site]
        arrival = datetime.fromtimestamp(search.arrival_at(calendar, each) * 60, UTC)
        zone = ZoneInfo(zones[site])
        soonest = min(found, key=lambda other: other.day).day
        away = km[each.site] if km else None
        parts = fit_in_words(
            on=arrival.astimezone(zone).date(),
            needed_by=need.needed_by,
            soonest=calendar.day(soonest),
            nearest=away is not None and nearest is not None and away <= nearest,
            km=away,
        )
        made.append(
            Offer(
                choice=Choice(site, calendar.rows[each.row], arrival),
                site_name=calendar.names[each.site],
                scanner_name=scanners[calendar.rows[each.row]].name,
                plan=planned(shape, arrival),
                zone=zones[site],
                late=each.late,
                distance_km=away,
                reason="; ".join(parts),
                parts=parts,
            )
        )
    return made


def one_each(
    wanted: Sequence[tuple[RequestedProcedure, Authorisation]], *, from_day: date, now: datetime
) -> list[Offer | None]:
    """The best choice for each from that day on, in this order: no two of them have the same place and time."""
    calendar = network_calendar(now)
    wish = Wish(from_day=from_day)
    needs = [need_of(procedure, authorisation, now=now) for procedure, authorisation in wanted]
    found = search.one_each(calendar, [(need, wish) for need in needs])
    rows = {calendar.rows[each.row] for each in found if each is not None}
    names = dict(Scanner.objects.filter(pk__in=rows).values_list("pk", "name"))
    zones = dict(Site.objects.filter(pk__in=calendar.sites).values_list("pk", "zone"))
    made: list[Offer | None] = []
    for each, (procedure, _) in zip(found, wanted, strict=True):
        if each is None:
            made.append(None)
            continue
        site, scanner = calendar.sites[each.site], calendar.rows[each.row]
        arrival = datetime.fromtimestamp(search.arrival_at(calendar, each) * 60, UTC)
        made.append(
            Offer(
                choice=Choice(site, scanner, arrival),
                site_name=calendar.names[each.site],
                scanner_name=names[scanner],
                plan=planned(shape_for(procedure), arrival),
                zone=zones[site],
                late=each.late,
                distance_km=None,
                reason="",
                parts=(),
            )
        )
    return made


@transaction.atomic
def make_offers(procedure: RequestedProcedure, offers: Sequence[Offer], *, now: datetime, by: Actor) -> list[SlotOffer]:
    """Write down what was put to somebody: the choices, their order and their reasons."""
    rows = [
        SlotOffer(
            pk=new_id(),
            procedure=procedure,
            site_id=offer.choice.site,
            scanner_id=offer.choice.scanner,
            arrival_at=offer.plan.arrival_at,
            scan_at=offer.plan.scan_at,
            rank=rank,
            distance_km=offer.distance_km,
            reason=offer.reason,
            made_at=now,
        )
        for rank, offer in enumerate(offers, start=1)
    ]
    if not rows:
        return []
    SlotOffer.objects.bulk_create(rows)
    append(
        EventKind.OFFER_MADE,
        subjects=subjects_of(procedure),
        happened_at=now,
        recorded_at=now,
        by=by,
        organisation=procedure.referral.provider_id,
        data={
            "choices": [
                {"offer": row.pk, "site": row.site_id, "arrival_at": row.arrival_at, "late": offer.late}
                for row, offer in zip(rows, offers, strict=True)
            ]
        },
    )
    return rows


@transaction.atomic
def decline(offer: SlotOffer, reason: str, *, now: datetime, by: Actor) -> SlotOffer:
    """They did not want it: kept, because the specification asks what was offered and refused. Raises Stale."""
    if not SlotOffer.objects.filter(pk=offer.pk, state="made").update(state="declined", declined_reason=reason):
        raise Stale(offer.procedure_id)
    append(
        EventKind.OFFER_DECLINED,
        subjects={**subjects_of(offer.procedure), "offer": offer.pk},
        happened_at=now,
        recorded_at=now,
        by=by,
        organisation=offer.procedure.referral.provider_id,
        site=offer.site_id,
        data={"reason": reason, "arrival_at": offer.arrival_at},
    )
    offer.state, offer.declined_reason = "declined", reason
    return offer


def settle_offers(procedure: RequestedProcedure, choice: Choice, state: str) -> None:
    """The offers of this choice that still stand were taken, or are gone."""
    SlotOffer.objects.filter(
        procedure=procedure, scanner=choice.scanner, arrival_at=choice.arrival_at, state="made"
    ).update(state=state)


def subjects_of(procedure: RequestedProcedure) -> dict[str, UUID]:
    referral = procedure.referral
    return {"procedure": procedure.pk, "referral": referral.pk, "patient": referral.patient_id}
