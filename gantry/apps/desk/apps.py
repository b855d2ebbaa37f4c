from django.apps import AppConfig


class Desk(AppConfig):
    name = "gantry.apps.desk"
    label = "desk"

    def ready(self) -> None:
        from gantry.apps.ui import navigation

        navigation.register("Needs somebody", "desk:watch", roles={"session_lead", "manager"}, order=70)
        navigation.register("Search", "desk:search", order=90)
