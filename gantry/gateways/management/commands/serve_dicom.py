"""Decides how the DICOM listener runs: a listening process and several that serve, each with its own connections."""

import os
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import connections

from gantry.gateways.dicom.processes import serve_forever
from gantry.gateways.dicom.wiring import make_doors


class Command(BaseCommand):
    help = "Serve the worklist, performed steps, storage and storage commitment."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default=os.environ.get("GANTRY_BIND", "127.0.0.1"))
        parser.add_argument("--port", type=int, default=settings.DICOM_PORT)
        parser.add_argument("--ae-title", default=settings.DICOM_AE_TITLE)
        parser.add_argument("--processes", type=int, default=int(os.environ.get("GANTRY_DICOM_PROCESSES", "2")))

    def handle(self, *args: Any, **options: Any) -> None:
        Path(settings.IMAGES_ROOT).mkdir(parents=True, exist_ok=True)
        # A connection must never be shared across a fork.
        connections.close_all()
        serve_forever(
            options["ae_title"],
            (options["host"], options["port"]),
            make_doors,
            processes=options["processes"],
            listening=lambda port: self.stdout.write(f"DICOM {options['ae_title']} listens on port {port}"),
        )
