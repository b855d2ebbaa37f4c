from django.apps import AppConfig


class Reporting(AppConfig):
    name = "gantry.apps.reporting"
    label = "reporting"
