"""Signing in as a demonstration person, and break-glass: reasoned, timed, recorded, reviewed."""

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from gantry.apps.accounts.access import Acting
from gantry.apps.accounts.models import BreakGlass, Person, RoleGrant
from gantry.apps.audit.ids import new_id
from gantry.apps.audit.models import Event
from gantry.apps.audit.services import append
from gantry.domain.access import Role
from gantry.domain.events import Actor, EventKind

OPEN_FOR = timedelta(hours=4)
SHORTEST_REASON = 10


class ReasonMissing(Exception):
    """Break-glass needs a reason in words."""


@transaction.atomic
def signed_in(person: Person, *, now: datetime, how: str) -> None:
    """Record a sign-in; called once for each new session."""
    append(
        EventKind.PERSON_SIGNED_IN,
        subjects={"person": person.pk},
        happened_at=now,
        recorded_at=now,
        by=Actor(f"person:{person.pk}", person.name, None, person.pk),
        data={"how": how},
    )


def holder_of(organisation: UUID, roles: Iterable[Role], on: date) -> Person | None:
    """The person of this organisation who holds one of these roles that day: the one who has held it longest."""
    grant = (
        RoleGrant.objects.filter(
            organisation=organisation, role__in=[role.value for role in roles], person__is_active=True,
            valid_from__lte=on,
        )
        .filter(Q(valid_to=None) | Q(valid_to__gte=on))
        .select_related("person")
        .order_by("role", "valid_from", "pk")
        .first()
    )  # fmt: skip
    return grant.person if grant else None


def is_known(patient: UUID) -> bool:
    """Whether the id is a patient's: every patient came with an event. Nothing else can be opened."""
    return Event.objects.filter(subjects__contains=[patient], about__patient=str(patient)).exists()


@transaction.atomic
def break_glass(acting: Acting, patient: UUID, *, reason: str, now: datetime) -> BreakGlass:
    """Open one patient to one person for four hours. Raises ReasonMissing."""
    reason = reason.strip()
    if len(reason) < SHORTEST_REASON:
        raise ReasonMissing
    key = new_id()
    event = append(
        EventKind.BREAK_GLASS_USED,
        subjects={"patient": patient, "person": acting.person.pk, "break_glass": key},
        happened_at=now,
        recorded_at=now,
        by=acting.actor,
        data={"reason": reason},
    )
    return BreakGlass.objects.create(
        pk=key, person=acting.person, patient=patient, reason=reason, from_at=now, to_at=now + OPEN_FOR, event=event.pk
    )


@transaction.atomic
def review_break_glass(opened: BreakGlass, *, by: Person, now: datetime) -> bool:
    """Somebody else looks at why. False when it was reviewed already, or by the one who broke the glass."""
    reviewed = (
        BreakGlass.objects.filter(pk=opened.pk, reviewed_at=None)
        .exclude(person=by)
        .update(reviewed_at=now, reviewed_by=by)
    )
    if reviewed:
        append(
            EventKind.BREAK_GLASS_REVIEWED,
            subjects={"patient": opened.patient, "person": opened.person_id, "break_glass": opened.pk},
            happened_at=now,
            recorded_at=now,
            by=Actor(f"person:{by.pk}", by.name, None, by.pk),
        )
    return bool(reviewed)
