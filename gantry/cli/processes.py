"""Which processes make up a running Gantry, on which ports, and what each is told by its environment."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from gantry.cli.places import VAR, remembered_secret, var


class Process(StrEnum):
    WEB = "web"
    WORKER = "worker"
    DICOM = "dicom"
    MLLP = "mllp"


PORTS: Mapping[Process, tuple[str, int]] = {
    Process.WEB: ("GANTRY_WEB_PORT", 8000),
    Process.DICOM: ("GANTRY_DICOM_PORT", 11112),
    Process.MLLP: ("GANTRY_MLLP_PORT", 2575),
}
STOP_SECONDS = {Process.WEB: 10, Process.WORKER: 20, Process.DICOM: 10, Process.MLLP: 10}


@dataclass(frozen=True, slots=True)
class Address:
    host: str
    port: int
    variable: str


def address(process: Process) -> Address | None:
    """Loopback unless told otherwise: a hospital's listener is opened on purpose."""
    if process not in PORTS:
        return None
    variable, default = PORTS[process]
    return Address(os.environ.get("GANTRY_BIND", "127.0.0.1"), int(os.environ.get(variable) or default), variable)


def environment(database_url: str) -> dict[str, str]:
    # Where a release would collect them; here the pages' files are served from where they lie.
    (var() / "static").mkdir(exist_ok=True)
    ports = {PORTS[process][0]: str(found.port) for process in PORTS if (found := address(process))}
    return {
        **os.environ,
        **ports,
        "DATABASE_URL": database_url,
        "GANTRY_SECRET_KEY": os.environ.get("GANTRY_SECRET_KEY") or remembered_secret(var() / "secret_key"),
        "GANTRY_VAR": str(VAR),
        "DJANGO_SETTINGS_MODULE": os.environ.get("DJANGO_SETTINGS_MODULE", "gantry.config.settings"),
        "PYTHONUNBUFFERED": "1",
    }


def command(process: Process) -> list[str]:
    """What `gantry serve` turns itself into."""
    django = [sys.executable, "-m", "django"]
    where = address(process)
    match process:
        case Process.WEB:
            if where is None:
                raise LookupError(process)
            # No access log: an address may hold what somebody typed into a search.
            return [
                *(sys.executable, "-m", "granian", "--interface", "wsgi", "--no-access-log", "--log-level", "warning"),
                *("--host", where.host, "--port", str(where.port), "--workers", "2", "--blocking-threads", "4"),
                *("--respawn-failed-workers", "--workers-kill-timeout", "5", "gantry.config.wsgi:application"),
            ]
        case Process.WORKER:
            return [*django, "procrastinate", "worker", "--shutdown-graceful-timeout", "15"]
        case Process.DICOM:
            return [*django, "serve_dicom"]
        case Process.MLLP:
            return [*django, "serve_mllp"]
