"""Who owns what could not be delivered: a person, always."""

from datetime import date
from uuid import UUID

from gantry.apps.accounts.models import Person
from gantry.apps.accounts.services import holder_of
from gantry.domain.access import VERBS, Verb


def owner_of_failures(organisation: UUID, on: date) -> Person | None:
    """The person of this organisation whose duty it is today: the one who has held it longest."""
    return holder_of(organisation, [role for role, may in VERBS.items() if Verb.OWN_FAILURES in may], on)
