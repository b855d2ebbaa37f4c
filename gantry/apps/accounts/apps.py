from django.apps import AppConfig


class Accounts(AppConfig):
    name = "gantry.apps.accounts"
    label = "accounts"
