"""Issues a bearer token to a system: `manage.py fhir_token engine@trust.example --days 90`."""

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from gantry.apps.accounts.models import Person
from gantry.gateways.fhir.tokens import NotIssued, issue


class Command(BaseCommand):
    help = "A bearer token for the FHIR API, for a person with the interface role. Ending the role ends the token."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("email")
        parser.add_argument("--days", type=int, default=90)

    def handle(self, *args: Any, **options: Any) -> None:
        person = Person.objects.filter(email__iexact=options["email"]).first()
        if person is None:
            raise CommandError("Nobody has this email address")
        now = timezone.now()
        try:
            self.stdout.write(issue(person, until=now + timedelta(days=options["days"]), now=now))
        except NotIssued as why_not:
            raise CommandError(str(why_not)) from why_not
