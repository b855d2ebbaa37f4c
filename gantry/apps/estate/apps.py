from django.apps import AppConfig


class Estate(AppConfig):
    name = "gantry.apps.estate"
    label = "estate"
