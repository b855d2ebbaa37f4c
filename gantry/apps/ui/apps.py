from django.apps import AppConfig


class Ui(AppConfig):
    name = "gantry.apps.ui"
    label = "ui"
