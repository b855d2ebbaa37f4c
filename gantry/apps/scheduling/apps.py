from django.apps import AppConfig


class Scheduling(AppConfig):
    name = "gantry.apps.scheduling"
    label = "scheduling"

    def ready(self) -> None:
        from gantry.apps.ui import navigation

        navigation.register(
            "Day plan", "scheduling:choose", roles={"session_lead", "manager", "clinical_lead"}, order=35
        )
        navigation.register("Weights", "scheduling:weights", roles={"clinical_lead"}, order=36)
        navigation.register("Rules for a bad day", "scheduling:rules", roles={"practitioner"}, order=60)
