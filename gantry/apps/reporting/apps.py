from django.apps import AppConfig


class Reporting(AppConfig):
    name = "gantry.apps.reporting"
    label = "reporting"

    def ready(self) -> None:
        from gantry.apps.ui import navigation

        navigation.register("To read", "reporting:list", roles={"reporter", "practitioner"}, order=50)
        navigation.register("Reports", "reporting:issued", roles={"referrer", "manager", "reporter"}, order=51)
