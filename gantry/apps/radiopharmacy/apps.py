from django.apps import AppConfig


class Radiopharmacy(AppConfig):
    name = "gantry.apps.radiopharmacy"
    label = "radiopharmacy"

    def ready(self) -> None:
        from gantry.apps.ui import navigation

        roles = {"radiopharmacist", "physicist", "radiographer", "session_lead"}
        navigation.register("Hot lab", "tracer:today", roles=roles, order=40)
