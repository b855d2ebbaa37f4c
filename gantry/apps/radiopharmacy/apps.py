from django.apps import AppConfig


class Radiopharmacy(AppConfig):
    name = "gantry.apps.radiopharmacy"
    label = "radiopharmacy"
