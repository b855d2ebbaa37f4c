"""Addresses of the booking pages."""

from django.urls import path

from gantry.apps.booking.views import calling, keeping, readying, worklist

app_name = "booking"
urlpatterns = [
    path("", worklist.worklist, name="list"),
    path("ready/", readying.ready, name="ready"),
    path("appointment/<uuid:appointment>/ready/", readying.readiness, name="readiness"),
    path("scan/<uuid:procedure>/", calling.book, name="book"),
    path("scan/<uuid:procedure>/hold", calling.hold, name="hold"),
    path("scan/<uuid:procedure>/decline", calling.decline, name="decline"),
    path("scan/<uuid:procedure>/attempt", calling.attempt, name="attempt"),
    path("appointment/<uuid:appointment>/", keeping.appointment, name="appointment"),
    path("appointment/<uuid:appointment>/confirm", keeping.confirm, name="confirm"),
    path("appointment/<uuid:appointment>/let-go", keeping.let_go, name="let_go"),
    path("appointment/<uuid:appointment>/tell", keeping.tell, name="tell"),
    path("appointment/<uuid:appointment>/move", keeping.move, name="move"),
    path("appointment/<uuid:appointment>/cancel", keeping.cancel, name="cancel"),
    path("appointment/<uuid:appointment>/not-attended", keeping.not_attended, name="not_attended"),
]
