"""What the page's bars need of accounts: the roles behind a request, and who a visitor may become."""

from django.core.cache import cache
from django.http import HttpRequest

from gantry.apps.accounts.models import RoleGrant
from gantry.apps.audit.models import InboxMessage
from gantry.apps.ui import demonstration
from gantry.apps.ui.demonstration import DemoPerson
from gantry.domain.access import Role

PEOPLE, FILLING = "accounts.demo_people", "accounts.demo_filling"
ORDER = list(Role)


def roles(request: HttpRequest) -> frozenset[str]:
    acting = getattr(request, "acting", None)
    return frozenset(role.value for role in acting.roles) if acting else frozenset()


def people(request: HttpRequest) -> list[DemoPerson]:
    """One line for each demonstration person under their first role; read once a minute."""
    found = cache.get(PEOPLE)
    if not found:
        grants = RoleGrant.objects.filter(person__is_demonstration=True, person__is_active=True)
        first: dict[str, tuple[str, str, str, str]] = {}
        for grant in grants.select_related("person", "organisation").order_by("person__name", "valid_from", "pk"):
            if grant.role != Role.INTERFACE:
                line = (str(grant.person_id), grant.person.name, grant.role, grant.organisation.name)
                first.setdefault(line[0], line)
        found = sorted(first.values(), key=lambda line: (ORDER.index(Role(line[2])), line[1]))
        cache.set(PEOPLE, found, 60)
    me = str(request.user.pk) if request.user.is_authenticated else ""
    return [
        DemoPerson(key, name, role.replace("_", " "), organisation, key == me)
        for key, name, role, organisation in found
    ]


def filling() -> bool:
    """Whether the demonstration's past weeks are being lived: looked up every few seconds, not by every page."""
    found = cache.get(FILLING)
    if found is None:
        found = InboxMessage.objects.filter(door=demonstration.DOOR, outcome=demonstration.LIVING).exists()
        cache.set(FILLING, found, 5 if found else 20)
    return bool(found)
