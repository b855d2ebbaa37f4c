from django.apps import AppConfig


class Quality(AppConfig):
    name = "gantry.apps.quality"
    label = "quality"
