"""Error pages in plain words, and the page that shows every component."""

from django.core.exceptions import RequestDataTooBig
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string

from gantry.apps.ui import demonstration, showcase
from gantry.apps.ui.wording import page_now

SECRET_FIELDS = ("password", "token", "secret", "code")


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    if isinstance(exception, RequestDataTooBig):
        return _without_database(request, "ui/413.html", 413)
    return _without_database(request, "ui/400.html", 400)


def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return render(request, "ui/403.html", {"reason": str(exception or "")}, status=403)


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return render(request, "ui/404.html", status=404)


def gone_wrong(request: HttpRequest) -> HttpResponse:
    return _without_database(request, "ui/500.html", 500)


def stale_csrf(request: HttpRequest, reason: str = "") -> HttpResponse:
    """A page drawn before a new sign-in: refuse the save, but give back what was typed."""
    typed = [
        (name.replace("_", " ").replace("-", " "), value)
        for name, values in request.POST.lists()
        for value in values
        if value and not name.startswith(("csrf", "initial-")) and not any(s in name.lower() for s in SECRET_FIELDS)
    ]
    return render(request, "ui/csrf.html", {"typed": typed}, status=403)


def _without_database(request: HttpRequest, template: str, status: int) -> HttpResponse:
    """Drawn without context processors: who is signed in may be just what cannot be read."""
    context = {"request": request, "now": page_now(), "demonstration": demonstration.is_on()}
    return HttpResponse(render_to_string(template, context), status=status)


def components(request: HttpRequest, part: str = "") -> HttpResponse:
    """Each component with invented content: for looking, for screenshots, for the accessibility tests."""
    if not demonstration.is_on():
        raise Http404
    template, context = showcase.part(request, part)
    if template is None:
        raise Http404
    return render(request, template, context)


# Anybody may open it: accounts, which lies above this room, tests that every view says who may.
components.verbs = frozenset()
