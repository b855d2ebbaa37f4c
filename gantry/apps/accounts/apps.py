from django.apps import AppConfig


class Accounts(AppConfig):
    name = "gantry.apps.accounts"
    label = "accounts"

    def ready(self) -> None:
        from gantry.apps.accounts import bar
        from gantry.apps.ui import demonstration, navigation

        navigation.roles_from(bar.roles)
        demonstration.people_from(bar.people)
        demonstration.filling_from(bar.filling)
