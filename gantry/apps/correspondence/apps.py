from django.apps import AppConfig

from gantry.apps.ui import navigation


class Correspondence(AppConfig):
    name = "gantry.apps.correspondence"
    label = "correspondence"

    def ready(self) -> None:
        roles = {"booking_coordinator", "session_lead", "manager"}
        navigation.register("Messages", "correspondence:list", roles=roles, order=15)
