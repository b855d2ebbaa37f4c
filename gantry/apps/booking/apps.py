from django.apps import AppConfig

from gantry.apps.ui import navigation


class Booking(AppConfig):
    name = "gantry.apps.booking"
    label = "booking"

    def ready(self) -> None:
        navigation.register("Booking", "booking:list", roles={"booking_coordinator", "session_lead"}, order=14)
