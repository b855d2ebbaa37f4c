from django.apps import AppConfig


class Scanning(AppConfig):
    name = "gantry.apps.scanning"
    label = "scanning"

    def ready(self) -> None:
        from gantry.apps.ui import navigation

        roles = {"radiographer", "session_lead", "radiopharmacist", "physicist", "practitioner", "booking_coordinator"}
        navigation.register("Board", "scanning:choose", roles=roles | {"manager"}, order=30)
        deciders = {"radiographer", "session_lead", "reporter", "manager"}
        navigation.register("Images held", "scanning:reconcile", roles=deciders, order=40)
        navigation.register("Doses to look at", "scanning:dose_reviews", roles={"physicist"}, order=60)
