"""Addresses of the hot lab."""

from django.urls import path

from gantry.apps.radiopharmacy.views import batches, doses, holdings, instruments, today

app_name = "tracer"
urlpatterns = [
    path("", today.today, name="today"),
    path("runs/<uuid:run>/order/", today.order, name="order"),
    path("orders/<uuid:key>/", today.one_order, name="one_order"),
    path("orders/<uuid:order>/receive/", batches.receive, name="receive"),
    path("batches/<uuid:key>/", batches.batch, name="batch"),
    path("batches/<uuid:key>/draw/", doses.draw, name="draw"),
    path("batches/<uuid:key>/recall/", batches.recall, name="recall"),
    path("holdings/", holdings.holdings, name="holdings"),
    path("instruments/", instruments.instruments, name="instruments"),
    path("doses/<uuid:key>/", doses.dose, name="dose"),
    path("doses/<uuid:key>/label/", doses.label, name="label"),
]
