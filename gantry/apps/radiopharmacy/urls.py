"""Addresses of the hot lab."""

from django.urls import path

from gantry.apps.radiopharmacy.views import (
    batches,
    carriage,
    doses,
    generators,
    holdings,
    instruments,
    investigations,
    orders,
    staff,
    statements,
    today,
    unit_doses,
)

app_name = "tracer"
urlpatterns = [
    path("", today.today, name="today"),
    path("runs/open/", orders.open_run, name="open_run"),
    path("runs/<uuid:run>/order/", orders.order, name="order"),
    path("orders/<uuid:key>/", orders.one_order, name="one_order"),
    path("orders/<uuid:order>/receive/", batches.receive, name="receive"),
    path("orders/<uuid:order>/receive-doses/", unit_doses.receive_doses, name="receive_doses"),
    path("batches/<uuid:key>/", batches.batch, name="batch"),
    path("batches/<uuid:key>/draw/", doses.draw, name="draw"),
    path("batches/<uuid:key>/recall/", batches.recall, name="recall"),
    path("batches/<uuid:key>/consign/", carriage.consign, name="consign"),
    path("papers/<uuid:key>/", carriage.paper, name="paper"),
    path("generators/", generators.generators, name="generators"),
    path("generators/<uuid:key>/", generators.generator, name="generator"),
    path("holdings/", holdings.holdings, name="holdings"),
    path("disposals/", holdings.disposals, name="disposals"),
    path("ledger/", statements.statement, name="statement"),
    path("containers/<uuid:key>/", statements.container, name="container"),
    path("waste/", statements.waste, name="waste"),
    path("investigations/", investigations.investigations, name="investigations"),
    path("investigations/<uuid:key>/", investigations.investigation, name="investigation"),
    path("staff/", staff.staff, name="staff"),
    path("staff/<uuid:key>/", staff.look, name="look"),
    path("batches/<uuid:key>/arrived/", batches.receive_sent, name="receive_sent"),
    path("instruments/", instruments.instruments, name="instruments"),
    path("doses/<uuid:key>/", doses.dose, name="dose"),
    path("doses/<uuid:key>/label/", doses.label, name="label"),
]
