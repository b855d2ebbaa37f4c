"""Names a free time of a scanner as a FHIR Slot: its id is the scanner and the minute, so nothing is stored for it."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from gantry.gateways.fhir.resource import Resource

RESOURCE = Resource(type="Slot", columns={"status": "status", "start": "starts", "end": "ends"}, creates=True)
ID = re.compile(r"([0-9a-f]{32})-(\d{1,9})")


@dataclass(frozen=True, slots=True)
class SlotId:
    scanner: UUID
    arrival_at: datetime


def id_of(scanner: UUID, arrival_at: datetime) -> str:
    return f"{scanner.hex}-{int(arrival_at.timestamp()) // 60}"


def read_id(said: str) -> SlotId | None:
    found = ID.fullmatch(said)
    if found is None:
        return None
    return SlotId(UUID(found[1]), datetime.fromtimestamp(0, UTC) + timedelta(minutes=int(found[2])))
