from django.apps import AppConfig


class Referrals(AppConfig):
    name = "gantry.apps.referrals"
    label = "referrals"
