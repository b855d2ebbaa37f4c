"""Puts `request.now` and `request.acting` on each request, once."""

from collections.abc import Callable

from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.functional import SimpleLazyObject

from gantry.apps.accounts.access import acting_for


class ActingMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.now = timezone.now()
        if "%00" in request.META.get("QUERY_STRING", ""):
            # PostgreSQL keeps no NUL, so such an address asks for nothing that can be.
            raise BadRequest("NUL in the address")
        if request.user.is_authenticated:
            request.acting = SimpleLazyObject(lambda: acting_for(request.user, now=request.now))
        else:
            request.acting = None
        return self.get_response(request)
