"""Runs the MLLP listener until it is told to stop."""

import signal
import threading
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from gantry.gateways.hl7.wiring import serve


class Command(BaseCommand):
    help = "Listen for HL7 v2 orders over MLLP"

    def handle(self, *args: Any, **options: Any) -> None:
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        listener = serve((settings.BIND, settings.MLLP_PORT))
        self.stdout.write(f"HL7 v2 over MLLP on {settings.BIND}:{listener.port}")
        stop.wait()
        listener.stop()
        listener.join(10)
