from django.apps import AppConfig


class Desk(AppConfig):
    name = "gantry.apps.desk"
    label = "desk"
