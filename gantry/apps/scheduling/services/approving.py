"""Approves and withdraws what a recovery may do only by rule: a practitioner's for activity, the adviser's for transfers."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import IntegrityError, transaction
from django.db.models import Count, QuerySet

from gantry.apps.accounts.models import Appointee, Office, Person, PractitionerLicence
from gantry.apps.audit.ids import new_id
from gantry.apps.audit.models import Event
from gantry.apps.audit.services import Stale, append
from gantry.apps.booking.models import Appointment
from gantry.apps.estate.models import Site
from gantry.apps.referrals.services.covering import why_not_by_site
from gantry.apps.scheduling.models import LessActivityRule, TransferRule
from gantry.apps.scheduling.services.building import Built
from gantry.apps.scheduling.services.refusals import NotPossible
from gantry.domain.appointment import AppointmentState
from gantry.domain.events import Actor, EventKind
from gantry.domain.scan import Act
from gantry.domain.scheduling.approval import why_not_less, why_not_transfer
from gantry.domain.scheduling.failures import LengthenRule, Rules
from gantry.domain.scheduling.failures import TransferRule as Transfer
from gantry.reference.protocols import PROTOCOLS, product_of, protocol, usual_for
from gantry.reference.recovering import APPROVED
from gantry.reference.tracers import TRACERS


@dataclass(frozen=True, slots=True)
class Less:
    """What a practitioner is ready to approve."""

    protocol: str
    least_fraction: float
    children: bool
    sites: Sequence[Site]
    valid_from: date
    valid_to: date
    reason: str


@dataclass(frozen=True, slots=True)
class Taken:
    """What the adviser's letter says of one journey."""

    site: Site
    to_site: Site
    minutes: int
    adviser: str
    appointed_by: str
    """By which the letter of appointment is found."""
    letter: str
    conditions: str
    valid_from: date
    valid_to: date


def tracer_of(code: str) -> str:
    """The tracer that a protocol usually is for. Raises KeyError for one that gives several, or is not known."""
    return next(found for found in TRACERS if usual_for(found) == code)


def scans_of(code: str) -> int:
    return len(protocol(code).of(Act.ACQUIRE))


def may_be_shortened() -> list[str]:
    """Protocols of one tracer and one scan."""
    usual = {usual_for(found) for found in TRACERS}
    return [code for code in PROTOCOLS if code in usual and scans_of(code) == 1]


@transaction.atomic
def approve(less: Less, person: Person, *, now: datetime, by: Actor) -> list[LessActivityRule]:
    """One row for each site under one event. Raises NotPossible with every reason: also the licences'."""
    today = now.astimezone(ZoneInfo(less.sites[0].zone)).date() if less.sites else less.valid_from
    reasons = [] if less.sites else ["Choose a site"]
    reasons += why_not_less(
        least_fraction=less.least_fraction,
        scans=scans_of(less.protocol),
        valid_from=less.valid_from,
        valid_to=less.valid_to,
        today=today,
    )
    if not less.reason.strip():
        reasons.append("Say why the images are still good enough")
    if not reasons:
        refused = why_not_by_site(
            TRACERS[tracer_of(less.protocol)].value.procedure_code,
            sites=less.sites,
            window=(less.valid_from, less.valid_to),
            person=person,
        )
        reasons += dict.fromkeys(reason for each in refused.values() for reason in each)
    if reasons:
        raise NotPossible(*reasons)
    licence = PractitionerLicence.objects.filter(person=person, valid_to__gte=less.valid_from).order_by("-valid_to")
    rows = [
        LessActivityRule(
            pk=new_id(), site=site, protocol=less.protocol, least_fraction=less.least_fraction, children=less.children,
            practitioner=person, licence_number=licence[0].number, reason=less.reason.strip(),
            valid_from=less.valid_from, valid_to=less.valid_to, at=now, by_name=by.name,
        )
        for site in less.sites
    ]  # fmt: skip
    event = append(
        EventKind.RECOVERY_RULE_APPROVED,
        subjects={f"rule {number}": row.pk for number, row in enumerate(rows, start=1)},
        happened_at=now,
        recorded_at=now,
        by=by,
        site=less.sites[0].pk,
        data={
            "rule": "less activity",
            "protocol": less.protocol,
            "least_fraction": less.least_fraction,
            "children": less.children,
            "from": less.valid_from.isoformat(),
            "to": less.valid_to.isoformat(),
            "reason": less.reason.strip(),
        },
    )
    kept(rows, event, "You have approved this protocol here already: withdraw that rule first")
    return rows


@transaction.atomic
def allow_transfer(taken: Taken, *, now: datetime, by: Actor) -> TransferRule:
    """The adviser's written rule, as somebody here copies it from the letter. Raises NotPossible."""
    today = now.astimezone(ZoneInfo(taken.site.zone)).date()
    reasons = list(
        why_not_transfer(
            minutes=taken.minutes,
            same=taken.site.pk == taken.to_site.pk,
            valid_from=taken.valid_from,
            valid_to=taken.valid_to,
            today=today,
        )
    )
    for said, words in (
        (taken.adviser, "Name the adviser"),
        (taken.appointed_by, "Say where the letter of appointment is"),
        (taken.letter, "Say where the adviser's rule is written"),
        (taken.conditions, "Say on what conditions"),
    ):
        if not said.strip():
            reasons.append(words)
    if reasons:
        raise NotPossible(*reasons)
    adviser, _ = Appointee.objects.get_or_create(
        organisation=taken.site.organisation,
        office=Office.RPA,
        name=taken.adviser.strip(),
        letter=taken.appointed_by.strip(),
        defaults={"valid_from": taken.valid_from},
    )
    row = TransferRule(
        pk=new_id(), site=taken.site, to_site=taken.to_site, minutes=taken.minutes, adviser=adviser,
        letter=taken.letter.strip(), conditions=taken.conditions.strip(),
        valid_from=taken.valid_from, valid_to=taken.valid_to, at=now, by_name=by.name,
    )  # fmt: skip
    event = append(
        EventKind.RECOVERY_RULE_APPROVED,
        subjects={"rule": row.pk, "adviser": adviser.pk},
        happened_at=now,
        recorded_at=now,
        by=by,
        site=taken.site.pk,
        data={
            "rule": "transfer",
            "to": taken.to_site.pk,
            "minutes": taken.minutes,
            "adviser": adviser.name,
            "letter": row.letter,
            "conditions": row.conditions,
        },
    )
    kept([row], event, "A rule for this journey stands already: withdraw it first")
    return row


def kept(rows: Iterable[LessActivityRule | TransferRule], event: Event, otherwise: str) -> None:
    try:
        with transaction.atomic():
            for row in rows:
                row.event = event.pk
                row.save(force_insert=True)
    except IntegrityError as refused:
        raise NotPossible(otherwise) from refused


@transaction.atomic
def withdraw(row: LessActivityRule | TransferRule, *, reason: str, now: datetime, by: Actor) -> Event:
    """From this moment no option uses it; who was given less under it keeps its name. Raises NotPossible and Stale."""
    if not reason.strip():
        raise NotPossible("Say why it is withdrawn")
    ended = {"withdrawn_at": now, "withdrawn_by": by.name, "withdrawn_reason": reason.strip()[:200]}
    if not type(row).objects.filter(pk=row.pk, withdrawn_at=None).update(**ended):
        raise Stale(row.pk)
    return append(
        EventKind.RECOVERY_RULE_WITHDRAWN,
        subjects={"rule": row.pk},
        happened_at=now,
        recorded_at=now,
        by=by,
        site=row.site_id,
        data={"reason": reason.strip(), "approved_in": row.event},
    )


# What stands on a day


def rules_on(built: Built) -> Rules:
    """Approved, in date, not withdrawn, and the practitioner may still authorise here: nothing else is a rule."""
    return Rules(
        lengthen=tuple(
            LengthenRule(
                row.practitioner.name,
                product_of(tracer_of(row.protocol)),
                row.least_fraction,
                row.children,
                str(row.pk),
                covered(built, row),
            )
            for row in standing(LessActivityRule.objects.filter(site=built.site), built.on)
            .select_related("practitioner")
            .order_by("pk")
            if not why_not_now(row, built)
        ),
        transfer=transfers(built),
        fasting_before_min=APPROVED.value.fasting_before_min,
    )


def standing[R: (LessActivityRule, TransferRule)](rows: QuerySet[R], on: date) -> QuerySet[R]:
    return rows.filter(valid_from__lte=on, valid_to__gte=on, withdrawn_at=None)


def why_not_now(row: LessActivityRule, built: Built) -> list[str]:
    """Licences and entitlements end on their own days: the rule goes with them."""
    code = TRACERS[tracer_of(row.protocol)].value.procedure_code
    return why_not_by_site(code, sites=[built.site], window=(built.on, built.on), person=row.practitioner)[
        built.site.pk
    ]


def covered(built: Built, row: LessActivityRule) -> frozenset[str]:
    return frozenset(
        ref
        for ref, appointment in built.appointments.items()
        if (appointment.procedure.protocol or usual_for(appointment.procedure.tracer)) == row.protocol
    )


def transfers(built: Built) -> Transfer | None:
    """Every journey from here that the adviser allows, and whom to name; an adviser's own time may have ended."""
    rows = [
        row
        for row in standing(TransferRule.objects.filter(site=built.site), built.on).select_related("adviser")
        if row.adviser.valid_from <= built.on and (row.adviser.valid_to is None or built.on <= row.adviser.valid_to)
    ]
    if not rows:
        return None
    names = " and ".join(dict.fromkeys(f"{row.adviser.name} ({row.letter}: {row.conditions})" for row in rows))
    return Transfer(names, {(str(row.site_id), str(row.to_site_id)): row.minutes for row in rows})


def used(keys: Iterable[UUID]) -> dict[UUID, int]:
    """For how many people each rule is or was in use: moves that were undone or overtaken are none."""
    given = Appointment.objects.filter(given_under__in=list(keys)).exclude(state=AppointmentState.REPLACED)
    return {row["given_under"]: row["people"] for row in given.values("given_under").annotate(people=Count("pk"))}


def found(key: UUID, sites: Iterable[UUID]) -> LessActivityRule | TransferRule | None:
    mine = list(sites)
    less = LessActivityRule.objects.filter(pk=key, site__in=mine).select_related("site").first()
    return less or TransferRule.objects.filter(pk=key, site__in=mine).select_related("site").first()
