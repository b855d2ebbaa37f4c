from django.apps import AppConfig


class Referrals(AppConfig):
    name = "gantry.apps.referrals"
    label = "referrals"

    def ready(self) -> None:
        from gantry.apps.ui import navigation
        from gantry.domain.access import Role

        navigation.register("Referrals", "referrals:list", order=10)
        navigation.register("Vetting", "referrals:vetting", roles={Role.PRACTITIONER.value}, order=12)
        navigation.register(
            "Refer", "referrals:new", roles={Role.REFERRER.value, Role.BOOKING_COORDINATOR.value}, order=14
        )
