"""Addresses of the message pages."""

from django.urls import path

from gantry.apps.correspondence.views import listing, one

app_name = "correspondence"
urlpatterns = [
    path("", listing.messages_list, name="list"),
    path("<uuid:message>/", one.message, name="message"),
    path("<uuid:message>/rang", one.rang, name="rang"),
    path("<uuid:message>/again", one.again, name="again"),
    path("<uuid:message>/record", one.record, name="record"),
]
