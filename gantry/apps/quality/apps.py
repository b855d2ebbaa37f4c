from django.apps import AppConfig


class Quality(AppConfig):
    name = "gantry.apps.quality"
    label = "quality"

    def ready(self) -> None:
        from gantry.apps.ui import navigation

        navigation.register("Measures", "quality:measures", roles={"manager", "physicist", "session_lead"}, order=80)
