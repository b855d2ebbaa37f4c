"""What other systems have stated, in their own terms."""

from django.apps import AppConfig


class Exchange(AppConfig):
    name = "gantry.apps.exchange"
    label = "exchange"
