"""Issues and reads the bearer tokens of systems: a person with the interface role, until a moment, signed."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.core.signing import BadSignature, Signer

from gantry.apps.accounts.access import Acting, acting_for
from gantry.apps.accounts.models import Person
from gantry.domain.access import Role, Scope, verbs
from gantry.domain.events import Actor

LONGEST = timedelta(days=400)


def signer() -> Signer:
    return Signer(salt="gantry.fhir.bearer", sep=".")


class NotIssued(Exception):
    """The person may not hold a token; the words say why."""


class Expired(Exception):
    """It was ours, and its time is up."""


class Invalid(Exception):
    """It is none of ours."""


def issue(person: Person, *, until: datetime, now: datetime) -> str:
    """A token that speaks for the person. Its rights are asked afresh each time: ending the role ends them."""
    grants = acting_for(person, now=now).grants
    if not person.is_active or not any(grant.role is Role.INTERFACE for grant in grants):
        raise NotIssued(f"{person} has no interface role today")
    if not now < until <= now + LONGEST:
        raise NotIssued(f"A token lasts at most {LONGEST.days} days")
    return signer().sign(f"{person.pk.hex}-{int(until.timestamp())}")


def holder(token: str, *, now: datetime) -> UUID:
    """The person a token speaks for. Raises Expired or Invalid."""
    try:
        person, _, until = signer().unsign(token).partition("-")
        ends = datetime.fromtimestamp(int(until), UTC)
        key = UUID(person)
    except (BadSignature, ValueError, OverflowError, OSError):
        raise Invalid from None
    if ends <= now:
        raise Expired
    return key


def person(key: UUID, now: datetime) -> Acting | None:
    """A signed-in person under all their roles."""
    found = Person.objects.filter(pk=key, is_active=True).first()
    return acting_for(found, now=now) if found else None


def acting_as(key: UUID, *, now: datetime) -> Acting | None:
    """The holder under the interface roles that stand today; other roles of the same person are not the token's."""
    found = Person.objects.filter(pk=key, is_active=True).first()
    if found is None:
        return None
    acting = acting_for(found, now=now)
    grants = tuple(grant for grant in acting.grants if grant.role is Role.INTERFACE)
    if not grants:
        return None
    return Acting(
        person=found,
        actor=Actor(acting.actor.id, acting.actor.name, grants[0].organisation, found.pk),
        scope=Scope(frozenset(grant.organisation for grant in grants)),
        grants=grants,
        verbs=verbs(grants, now.date()),
    )
