"""The doors as a Django app without tables, so that they can hold commands and jobs."""

from django.apps import AppConfig


class Gateways(AppConfig):
    name = "gantry.gateways"
    label = "gateways"
