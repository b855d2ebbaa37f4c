"""Who is asking, for whom they act, and what they may see: what every view starts from."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import wraps

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.timezone import localdate

from gantry.apps.accounts.models import BreakGlass, Person, RoleGrant
from gantry.domain.access import Grant, Role, Scope, Verb, verbs, why_not_allowed
from gantry.domain.events import Actor


@dataclass(frozen=True, slots=True)
class Acting:
    """A signed-in person under the roles that stand today."""

    person: Person
    actor: Actor
    scope: Scope
    grants: tuple[Grant, ...]
    verbs: frozenset[Verb]

    def may(self, verb: Verb) -> bool:
        return verb in self.verbs

    @property
    def roles(self) -> frozenset[Role]:
        return frozenset(grant.role for grant in self.grants)


def acting_for(person: Person, *, now: datetime) -> Acting:
    """The person's standing grants and open break-glass, as one scope."""
    today = localdate(now)
    held = tuple(
        Grant(g.organisation_id, Role(g.role), g.valid_from, g.valid_to)
        for g in RoleGrant.objects.filter(person=person).order_by("valid_from", "pk")
    )
    grants = tuple(g for g in held if g.stands(today))
    opened = BreakGlass.objects.filter(person=person, from_at__lte=now, to_at__gt=now).values_list("patient", flat=True)
    home = grants[0].organisation if grants else None
    return Acting(
        person=person,
        actor=Actor(f"person:{person.pk}", person.name, home, person.pk),
        scope=Scope(frozenset(g.organisation for g in grants), frozenset(opened)),
        grants=grants,
        verbs=verbs(grants, today),
    )


type View = Callable[..., HttpResponse]


def requires(*needed: Verb) -> Callable[[View], View]:
    """Let in a person who may do any of `needed` today; say why not to anybody else."""

    def wrap(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
            acting: Acting | None = request.acting
            if acting is None:
                return redirect_to_login(request.get_full_path())
            if not any(acting.may(verb) for verb in needed):
                reason = why_not_allowed(acting.grants, needed[0], localdate(request.now))
                return render(request, "ui/403.html", {"reason": reason}, status=403)
            return view(request, *args, **kwargs)

        guarded.verbs = frozenset(needed)
        return guarded

    return wrap


def public(view: View) -> View:
    """Mark a view that anybody may open: a test fails for a view that has neither this nor `requires`."""
    view.verbs = frozenset()
    return view
