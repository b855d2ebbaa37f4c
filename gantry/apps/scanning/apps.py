from django.apps import AppConfig


class Scanning(AppConfig):
    name = "gantry.apps.scanning"
    label = "scanning"
