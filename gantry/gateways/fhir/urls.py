"""Addresses of the FHIR API: one door, which finds its own way."""

from django.urls import path

from gantry.gateways.fhir.api import api

app_name = "fhir"
urlpatterns = [path("", api, name="root"), path("<path:rest>", api, name="api")]
