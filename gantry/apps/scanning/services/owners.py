"""Who owns what could not be delivered: a person, always."""

from datetime import date
from uuid import UUID

from django.db.models import Q

from gantry.apps.accounts.models import Person, RoleGrant
from gantry.domain.access import VERBS, Verb


def owner_of_failures(organisation: UUID, on: date) -> Person | None:
    """The person of this organisation whose duty it is today: the one who has held it longest."""
    roles = [role.value for role, may in VERBS.items() if Verb.OWN_FAILURES in may]
    grant = (
        RoleGrant.objects.filter(organisation=organisation, role__in=roles, person__is_active=True, valid_from__lte=on)
        .filter(Q(valid_to=None) | Q(valid_to__gte=on))
        .select_related("person")
        .order_by("role", "valid_from", "pk")
        .first()
    )
    return grant.person if grant else None
