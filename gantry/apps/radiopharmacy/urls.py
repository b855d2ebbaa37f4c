"""Addresses of the hot lab."""

from django.urls import path

from gantry.apps.radiopharmacy.views import batches, doses, today

app_name = "tracer"
urlpatterns = [
    path("", today.today, name="today"),
    path("runs/<uuid:run>/order/", today.order, name="order"),
    path("orders/<uuid:key>/", today.one_order, name="one_order"),
    path("orders/<uuid:order>/receive/", batches.receive, name="receive"),
    path("batches/<uuid:key>/", batches.batch, name="batch"),
    path("batches/<uuid:key>/draw/", doses.draw, name="draw"),
    path("doses/<uuid:key>/", doses.dose, name="dose"),
    path("doses/<uuid:key>/label/", doses.label, name="label"),
]
