"""Addresses of reports. They carry opaque ids, never an NHS number."""

from django.urls import path

from gantry.apps.reporting.views import listing, reading, writing

app_name = "reporting"
urlpatterns = [
    path("", listing.reports, name="list"),
    path("issued/", listing.issued, name="issued"),
    path("write/<uuid:key>/", writing.write, name="write"),
    path("write/<uuid:key>/check/", writing.check, name="check"),
    path("<uuid:key>/", reading.read, name="read"),
    path("<uuid:key>/draft/", writing.draft, name="draft"),
    path("<uuid:key>/leave/", writing.leave, name="leave"),
    path("<uuid:key>/withdraw/", writing.withdraw, name="withdraw"),
    path("<uuid:key>/reopen/", writing.reopen, name="reopen"),
    path("<uuid:key>/act/", reading.act, name="act"),
    path("versions/<uuid:key>.pdf", reading.pdf, name="pdf"),
    path("dispatches/<uuid:key>/again/", reading.again, name="again"),
]
