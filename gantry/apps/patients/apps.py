from django.apps import AppConfig


class Patients(AppConfig):
    name = "gantry.apps.patients"
    label = "patients"
