"""Writes an injection's dose report to a file that any archive can take."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from gantry.apps.scanning.models import Injection
from gantry.gateways.dicom import dose_report
from gantry.gateways.dicom.dose_wiring import report_of


class Command(BaseCommand):
    help = "Write the radiopharmaceutical dose report of one injection."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("injection", type=UUID)
        parser.add_argument("--out", type=Path, required=True)

    def handle(self, *args: Any, **options: Any) -> None:
        row = (
            Injection.objects.select_related(
                "visit__site", "visit__appointment__procedure", "visit__appointment__referral__patient",
                "dose__container", "dose__batch",
            ).filter(pk=options["injection"]).first()
        )  # fmt: skip
        if row is None:
            raise CommandError(f"There is no injection {options['injection']}")
        report = dose_report.write(report_of(row, now=timezone.now()))
        report.save_as(options["out"], enforce_file_format=True)
        self.stdout.write(f"{options['out']}: {report.SOPInstanceUID}")
