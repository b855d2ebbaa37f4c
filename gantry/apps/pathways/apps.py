from django.apps import AppConfig


class Pathways(AppConfig):
    name = "gantry.apps.pathways"
    label = "pathways"
