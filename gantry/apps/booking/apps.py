from django.apps import AppConfig


class Booking(AppConfig):
    name = "gantry.apps.booking"
    label = "booking"
