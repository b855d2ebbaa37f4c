"""Addresses: each room's pages, the doors over HTTP, and sign-in."""

from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, URLResolver, include, path

from gantry.apps.accounts.access import public


@public
def alive(request: HttpRequest) -> HttpResponse:
    return HttpResponse("alive\n", content_type="text/plain")


urlpatterns: list[URLPattern | URLResolver] = [
    path("healthz", alive, name="alive"),
    path("accounts/", include("allauth.urls")),
    path("people/", include("gantry.apps.accounts.urls")),
    path("ui/", include("gantry.apps.ui.urls")),
    path("referrals/", include("gantry.apps.referrals.urls")),
    path("measures/", include("gantry.apps.quality.urls")),
    path("booking/", include("gantry.apps.booking.urls")),
    path("messages/receipts/", include("gantry.gateways.messages.urls")),
    path("messages/", include("gantry.apps.correspondence.urls")),
    path("tracer/", include("gantry.apps.radiopharmacy.urls")),
    path("plan/", include("gantry.apps.scheduling.urls")),
    path("fhir/R4/", include("gantry.gateways.fhir.urls")),
    path("", include("gantry.apps.scanning.urls")),
    path("reports/", include("gantry.apps.reporting.urls")),
    path("", include("gantry.apps.desk.urls")),
]

handler400 = "gantry.apps.ui.views.bad_request"
handler403 = "gantry.apps.ui.views.forbidden"
handler404 = "gantry.apps.ui.views.not_found"
handler500 = "gantry.apps.ui.views.gone_wrong"
