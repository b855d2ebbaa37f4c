"""Addresses of the day plan and of recovery."""

from django.urls import path

from gantry.apps.scheduling.views import days, recovery

app_name = "scheduling"
urlpatterns = [
    path("", days.choose, name="choose"),
    path("<uuid:site>/<str:on>/", days.day, name="day"),
    path("recover/<uuid:event>/", recovery.recover, name="recover"),
]
