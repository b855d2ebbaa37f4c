"""Addresses of the day plan and of recovery."""

from django.urls import path

from gantry.apps.scheduling.views import days, fairness, orders, reckons, recovery, rules, telling, visits, weights

app_name = "scheduling"
urlpatterns = [
    path("", days.choose, name="choose"),
    path("weights/", weights.weights, name="weights"),
    path("visit/<uuid:appointment>/", visits.visit, name="visit"),
    path("rules/", rules.rules, name="rules"),
    path("moved/", fairness.fairness, name="fairness"),
    path("<uuid:site>/<str:on>/", days.day, name="day"),
    path("<uuid:site>/<str:on>/orders/", orders.orders, name="orders"),
    path("<uuid:site>/<str:on>/reckons/", reckons.reckons, name="reckons"),
    path("<uuid:site>/<str:on>/wrong/", telling.tell, name="tell"),
    path("recover/<uuid:event>/", recovery.recover, name="recover"),
    path("recover/<uuid:event>/<uuid:site>/", recovery.recover, name="recover_site"),
]
