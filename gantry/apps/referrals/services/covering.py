"""Decides whether an exposure may be authorised, and whether an authorisation still reaches a site and a day."""

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import transaction
from django.utils import timezone

from gantry.apps.accounts.models import Entitlement, Person, PractitionerLicence
from gantry.apps.audit.models import Event
from gantry.apps.estate.models import EmployerLicence, Site
from gantry.apps.referrals.models import Authorisation, Referral
from gantry.apps.referrals.services.moving import end_authorisations, locked, return_to_vetting
from gantry.domain import licence as law
from gantry.domain.events import Actor, EventKind, system
from gantry.domain.referral import ReferralState

NOON = time(12, 0)
UNDATED_WINDOW_DAYS = 28
"""The window where the referrer names no last day."""

STANDS_AFTER_WINDOW_DAYS = 28
"""How long past the referrer's window an authorisation stands, so that a late scan is not also an unauthorised one.

Ours; the licences and the entitlement are looked at again on the day itself.
"""


def window_of(referral: Referral, on: date) -> tuple[date, date]:
    """The days on which the scan may fall: the referrer's window, never before today."""
    first = max(on, referral.not_before or on)
    last = referral.needed_by or first + timedelta(days=UNDATED_WINDOW_DAYS)
    longest = first + law.LONGEST_WINDOW
    return first, min(max(first, last), longest)


def named(name: str, code: str) -> str:
    """How the law's reasons name an employer or a site: in words, and unmistakably."""
    return f"{name} ({code})"


def in_play(site: Site) -> law.SiteInPlay:
    employer = site.organisation
    shown = named(site.name, site.ods_code)
    return law.SiteInPlay(shown, named(employer.name, employer.ods_code), shown)


def register_for(person: Person, sites: Iterable[Site]) -> law.Register:
    """Every paper that could matter to this practitioner at these sites."""
    by_id = {site.pk: site for site in sites}
    employers = {site.organisation_id: in_play(site).employer for site in by_id.values()}
    me = str(person.pk)
    return law.Register(
        employer=tuple(
            law.EmployerLicence(
                row.number,
                in_play(by_id[row.site_id]).employer,
                in_play(by_id[row.site_id]).site,
                frozenset(row.procedures),
                row.valid_from,
                row.valid_to,
            )
            for row in EmployerLicence.objects.filter(site__in=by_id)
        ),
        practitioner=tuple(
            law.PractitionerLicence(row.number, me, frozenset(row.procedures), row.valid_from, row.valid_to)
            for row in PractitionerLicence.objects.filter(person=person)
        ),
        entitlements=tuple(
            law.Entitlement(
                me,
                employers[row.employer_id],
                law.Duty.PRACTITIONER,
                row.valid_from,
                row.valid_to,
                frozenset(row.procedures),
            )
            for row in Entitlement.objects.filter(
                person=person, employer__in=employers, duty=law.Duty.PRACTITIONER.value
            )
        ),
    )


def why_not_by_site(
    procedure_code: str, *, sites: Iterable[Site], window: tuple[date, date], person: Person
) -> dict[UUID, list[str]]:
    """For each site in play, why this practitioner may not authorise the procedure there; empty lists are yes."""
    sites = list(sites)
    register = register_for(person, sites)
    return {
        site.pk: law.why_not_authorised(
            procedure_code, sites=[in_play(site)], window=window, practitioner=str(person.pk), register=register
        )
        for site in sites
    }


def sites_of(referral: Referral) -> list[Site]:
    """The sites of the network that can do what this patient needs."""
    able = Site.objects.filter(network=referral.network, capabilities__contains=referral.capabilities)
    return list(able.select_related("organisation").order_by("name"))


def why_not_covered_now(authorisation: Authorisation | None, *, site: Site, on: date) -> list[str]:
    """Why nobody may be injected under this authorisation at this site on this day: booking, moves, the day before,
    injection all ask here."""
    if authorisation is None:
        return ["Nobody has authorised this exposure"]
    procedure = authorisation.procedure
    referral = procedure.referral
    reasons = []
    if authorisation.state != "valid":
        reasons.append(f"The authorisation has {'lapsed' if authorisation.state == 'lapsed' else 'been withdrawn'}")
    if referral.state != ReferralState.ACCEPTED:
        reasons.append(f"The referral is {referral.state.replace('_', ' ')}")
    if on < authorisation.valid_from:
        reasons.append(f"The authorisation starts on {law.in_words(authorisation.valid_from)}")
    sites = {row.pk: row for row in Site.objects.filter(pk__in=authorisation.sites).select_related("organisation")}
    zone = ZoneInfo(site.zone)
    kept = law.Authorisation(
        practitioner=str(authorisation.practitioner_id),
        employers=frozenset(in_play(row).employer for row in sites.values()),
        sites=frozenset(in_play(row).site for row in sites.values()),
        tracer=authorisation.tracer,
        procedure=authorisation.procedure_code,
        authorised_at=authorisation.at,
        valid_to=authorisation.valid_to,
    )
    here = in_play(site)
    return reasons + law.why_not_administered(
        kept,
        register_for(authorisation.practitioner, [site]),
        site=here,
        tracer=procedure.tracer,
        procedure=procedure.procedure_code,
        # A day is asked about: its noon, but never a moment before the authorisation was given that same day.
        at=max(datetime.combine(on, NOON, tzinfo=zone), authorisation.at)
        if authorisation.at.astimezone(zone).date() <= on
        else datetime.combine(on, NOON, tzinfo=zone),
        zone=zone,
    )


def authorisation_for(procedure: object) -> Authorisation | None:
    """The one that stands for a requested procedure."""
    return Authorisation.objects.filter(procedure=procedure, state="valid").order_by("-at").first()


@transaction.atomic
def withdraw_authorisation(authorisation: Authorisation, *, reason: str, now: datetime, by: Actor) -> Referral:
    """The practitioner takes it back: somebody must decide again before anything else happens."""
    row = locked(authorisation.procedure.referral)
    if row.state in (ReferralState.ACCEPTED, ReferralState.ON_HOLD):
        return return_to_vetting(row, reason, now=now, by=by)
    end_authorisations(row, reason=reason, now=now, by=by, only=authorisation)
    return row


def lapse_due(now: datetime) -> list[UUID]:
    """Let every authorisation lapse whose time has passed or whose every site has lost its cover; patients not yet
    injected go back to be decided again. Each in its own transaction, safe to run twice."""
    lapsed = []
    today = timezone.localdate(now)
    standing = Authorisation.objects.filter(state="valid", valid_from__lte=today)
    for authorisation in standing.select_related("procedure__referral", "practitioner"):
        reason = why_lapsed(authorisation, today)
        if reason:
            lapse(authorisation, reason, now=now)
            lapsed.append(authorisation.pk)
    return lapsed


def why_lapsed(authorisation: Authorisation, today: date) -> str:
    if authorisation.valid_to < today:
        return f"The authorisation ended on {law.in_words(authorisation.valid_to)}"
    sites = Site.objects.filter(pk__in=authorisation.sites).select_related("organisation")
    by_site = why_not_by_site(
        authorisation.procedure_code, sites=sites, window=(today, today), person=authorisation.practitioner
    )
    if by_site and all(by_site.values()):
        return "; ".join(dict.fromkeys(reason for reasons in by_site.values() for reason in reasons))
    return ""


@transaction.atomic
def lapse(authorisation: Authorisation, reason: str, *, now: datetime) -> None:
    by = system("authorisation check")
    row = locked(authorisation.procedure.referral)
    if not end_authorisations(row, reason=reason, now=now, by=by, lapsed=True, only=authorisation):
        return
    if row.state in (ReferralState.ACCEPTED, ReferralState.ON_HOLD) and not was_injected(authorisation):
        return_to_vetting(row, reason, now=now, by=by)


def was_injected(authorisation: Authorisation) -> bool:
    return Event.objects.filter(
        subjects__contains=[authorisation.procedure_id], kind=EventKind.DOSE_INJECTED.value
    ).exists()
