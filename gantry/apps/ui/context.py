"""What every page knows: the navigation for this person, the demonstration bar, the moment it is drawn."""

from typing import Any

from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.functional import SimpleLazyObject

from gantry.apps.ui import demonstration, navigation
from gantry.apps.ui.wording import page_now


def page(request: HttpRequest) -> dict[str, Any]:
    return {
        "nav": SimpleLazyObject(lambda: navigation.links(request)),
        "demonstration": demonstration.is_on(),
        "demo_people": SimpleLazyObject(lambda: demonstration.people(request)),
        "demo_filling": SimpleLazyObject(demonstration.filling),
        "switch_person_url": _address("switch_person"),
        "sign_out_url": _address("account_logout"),
        "sign_in_url": _address("account_login"),
        "second_step_url": _address("mfa_index"),
        "now": page_now(),
    }


def _address(name: str) -> str:
    try:
        return reverse(name)
    except NoReverseMatch:
        return ""
