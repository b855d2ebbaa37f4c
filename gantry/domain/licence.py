"""Decides who may authorise what, where and until when: employer licences, practitioner licences, entitlement.

The day that counts is the day of administration, never that of referral or booking. Empty lists of reasons mean yes.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from enum import StrEnum
from zoneinfo import ZoneInfo

LONDON = ZoneInfo("Europe/London")
LONGEST_WINDOW = timedelta(days=366)


class Duty(StrEnum):
    """IR(ME)R duty holders."""

    REFERRER = "referrer"
    PRACTITIONER = "practitioner"
    OPERATOR = "operator"
    MPE = "medical physics expert"


@dataclass(frozen=True, slots=True)
class EmployerLicence:
    """ARSAC employer licence: one employer, one site, its procedures."""

    number: str
    employer: str
    site: str
    procedures: frozenset[str]
    valid_from: date
    valid_to: date

    def covers(self, procedure_code: str, on: date) -> bool:
        return procedure_code in self.procedures and self.valid_from <= on <= self.valid_to


@dataclass(frozen=True, slots=True)
class PractitionerLicence:
    """ARSAC practitioner licence: one doctor, their procedures."""

    number: str
    person: str
    procedures: frozenset[str]
    valid_from: date
    valid_to: date

    def covers(self, procedure_code: str, on: date) -> bool:
        return procedure_code in self.procedures and self.valid_from <= on <= self.valid_to


@dataclass(frozen=True, slots=True)
class Entitlement:
    """An employer's written word that a person may carry out a duty (IR(ME)R schedule 2). No scope means all."""

    person: str
    employer: str
    duty: Duty
    valid_from: date
    valid_to: date | None = None
    procedures: frozenset[str] = frozenset()

    def covers(self, procedure_code: str, on: date) -> bool:
        in_date = self.valid_from <= on and (self.valid_to is None or on <= self.valid_to)
        return in_date and (not self.procedures or procedure_code in self.procedures)


@dataclass(frozen=True, slots=True)
class SiteInPlay:
    """A site where the scan could be, and the employer whose licence and entitlement count there."""

    site: str
    employer: str
    name: str = ""

    @property
    def shown(self) -> str:
        return self.name or self.site


@dataclass(frozen=True, slots=True)
class Register:
    """What is on file: every licence and entitlement that could matter."""

    employer: tuple[EmployerLicence, ...] = ()
    practitioner: tuple[PractitionerLicence, ...] = ()
    entitlements: tuple[Entitlement, ...] = ()


def in_words(on: date) -> str:
    return f"{on:%-d %B %Y}"


def why_not_licensed(
    procedure_code: str,
    on: date,
    *,
    employer: Iterable[EmployerLicence],
    practitioner: Iterable[PractitionerLicence],
) -> list[str]:
    """Reasons the procedure is not covered on one day. Empty means it is."""
    reasons = []
    if not any(licence.covers(procedure_code, on) for licence in employer):
        reasons.append(f"No employer licence covers {procedure_code} on {in_words(on)}")
    if not any(licence.covers(procedure_code, on) for licence in practitioner):
        reasons.append(f"No practitioner licence covers {procedure_code} on {in_words(on)}")
    return reasons


def why_not_authorised(
    procedure_code: str,
    *,
    sites: Sequence[SiteInPlay],
    window: tuple[date, date],
    practitioner: str,
    register: Register,
) -> list[str]:
    """Why this practitioner cannot authorise the procedure at every site in play on every day of the window."""
    first, last = window
    if not sites:
        return ["No site is in play"]
    if last < first:
        return [f"The window ends on {in_words(last)}, before it starts on {in_words(first)}"]
    if last - first > LONGEST_WINDOW:
        return [f"The window is longer than {LONGEST_WINDOW.days} days"]
    own = [licence for licence in register.practitioner if licence.person == practitioner]
    reasons = [
        f"No licence of this practitioner covers {procedure_code} {span}"
        for span in gaps(own, procedure_code, first, last)
    ]
    for site in sites:
        held = [
            licence for licence in register.employer if (licence.site, licence.employer) == (site.site, site.employer)
        ]
        reasons += [
            f"No employer licence at {site.shown} covers {procedure_code} {span}"
            for span in gaps(held, procedure_code, first, last)
        ]
    for employer in dict.fromkeys(site.employer for site in sites):
        entitled = [
            entitlement
            for entitlement in register.entitlements
            if (entitlement.person, entitlement.employer, entitlement.duty)
            == (practitioner, employer, Duty.PRACTITIONER)
        ]
        reasons += [
            f"{employer} has not entitled this practitioner for {procedure_code} {span}"
            for span in gaps(entitled, procedure_code, first, last)
        ]
    return reasons


def sites_authorised(
    procedure_code: str,
    *,
    sites: Sequence[SiteInPlay],
    window: tuple[date, date],
    practitioner: str,
    register: Register,
) -> list[SiteInPlay]:
    """Those of the sites where nothing is missing: what the practitioner may authorise now."""
    return [
        site
        for site in sites
        if not why_not_authorised(
            procedure_code, sites=[site], window=window, practitioner=practitioner, register=register
        )
    ]


type Paper = EmployerLicence | PractitionerLicence | Entitlement


def gaps(papers: Sequence[Paper], procedure_code: str, first: date, last: date) -> Iterator[str]:
    """The spans of days, in words, that none of the papers covers; several papers may cover a window in turn."""
    return spans(lambda on: any(paper.covers(procedure_code, on) for paper in papers), first, last)


def spans(covered: Callable[[date], bool], first: date, last: date) -> Iterator[str]:
    start: date | None = None
    on = first
    while on <= last:
        if not covered(on):
            start = start or on
        elif start:
            yield span(start, on - timedelta(days=1))
            start = None
        on += timedelta(days=1)
    if start:
        yield span(start, last)


def span(first: date, last: date) -> str:
    return f"on {in_words(first)}" if first == last else f"from {in_words(first)} to {in_words(last)}"


@dataclass(frozen=True, slots=True)
class Authorisation:
    """What a practitioner (or an operator under their guideline) authorised: nothing else is covered by it."""

    practitioner: str
    employers: frozenset[str]
    sites: frozenset[str]
    tracer: str
    procedure: str
    authorised_at: datetime
    valid_to: date
    withdrawn_at: datetime | None = None
    under_guideline: str = ""

    def __post_init__(self) -> None:
        if self.authorised_at.tzinfo is None or (self.withdrawn_at and self.withdrawn_at.tzinfo is None):
            raise ValueError("an authorisation needs timezone-aware times")


def why_not_covered(
    authorisation: Authorisation | None,
    *,
    site: str,
    employer: str,
    tracer: str,
    procedure: str,
    at: datetime,
    zone: tzinfo = LONDON,
) -> list[str]:
    """Why the authorisation does not reach this site, employer, tracer, procedure and moment.

    Asked at booking, at every move, the day before and at injection; `at` is the moment of administration.
    """
    if authorisation is None:
        return ["Nobody has authorised this exposure"]
    reasons = []
    on = at.astimezone(zone).date()
    if authorisation.withdrawn_at and authorisation.withdrawn_at <= at:
        reasons.append(
            f"The authorisation was withdrawn on {in_words(authorisation.withdrawn_at.astimezone(zone).date())}"
        )
    if at < authorisation.authorised_at:
        reasons.append(
            f"The authorisation was given on {in_words(authorisation.authorised_at.astimezone(zone).date())}, after this time"
        )
    if on > authorisation.valid_to:
        reasons.append(f"The authorisation ended on {in_words(authorisation.valid_to)}; this is on {in_words(on)}")
    if employer not in authorisation.employers:
        reasons.append(f"The authorisation does not cover the employer {employer}")
    if site not in authorisation.sites:
        reasons.append(f"The authorisation does not cover the site {site}")
    if tracer != authorisation.tracer:
        reasons.append(f"The authorisation is for {authorisation.tracer}, not {tracer}")
    if procedure != authorisation.procedure:
        reasons.append(f"The authorisation is for procedure {authorisation.procedure}, not {procedure}")
    return reasons


def why_not_administered(
    authorisation: Authorisation | None,
    register: Register,
    *,
    site: SiteInPlay,
    tracer: str,
    procedure: str,
    at: datetime,
    zone: tzinfo = LONDON,
) -> list[str]:
    """The authorisation and, on the same day, the licences and the entitlement that it rests on."""
    reasons = why_not_covered(
        authorisation, site=site.site, employer=site.employer, tracer=tracer, procedure=procedure, at=at, zone=zone
    )
    if authorisation is None:
        return reasons
    on = at.astimezone(zone).date()
    return reasons + why_not_authorised(
        procedure, sites=[site], window=(on, on), practitioner=authorisation.practitioner, register=register
    )
