from django.apps import AppConfig


class Audit(AppConfig):
    name = "gantry.apps.audit"
    label = "audit"
