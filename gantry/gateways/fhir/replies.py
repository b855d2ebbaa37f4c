"""Writes the answer to a message: a message of its own, whose header names the one it answers."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from gantry.apps.audit.ids import new_id
from gantry.apps.booking.models import Appointment
from gantry.apps.referrals.models import Referral
from gantry.gateways.fhir import reads, slots
from gantry.gateways.fhir.issues import Issue
from gantry.gateways.fhir.message import Message
from gantry.gateways.fhir.outcomes import judged
from gantry.gateways.fhir.reading import Tree
from gantry.gateways.fhir.served import SERVED


def row(kind: str, key: UUID) -> Tree:
    return reads.tell(SERVED[kind], key)


def for_appointment(message: Message, appointment: Appointment, *, address: str, now: datetime) -> Tree:
    told = row("Appointment", appointment.pk)
    slot = slots.slot_of(appointment)
    told["slot"] = [{"reference": f"Slot/{slot['id']}"}]
    around = [
        row("ServiceRequest", appointment.referral_id),
        row("Patient", appointment.referral.patient_id),
        slot,
        slots.schedule_of(appointment),
        row("HealthcareService", appointment.site_id),
        row("Location", appointment.site_id),
    ]
    return answer(message, [told, *around], address=address, now=now)


def for_referral(message: Message, referral: Referral, issues: Iterable[Issue], *, address: str, now: datetime) -> Tree:
    about = [row("ServiceRequest", referral.pk), row("Patient", referral.patient_id)]
    return answer(message, about, issues=list(issues), address=address, now=now)


def answer(
    message: Message, resources: list[Tree], *, issues: list[Issue] | None = None, address: str, now: datetime
) -> Tree:
    header = message.header
    focus = resources[0]
    source = header.get("source") or {}
    said: Tree = {
        "resourceType": "MessageHeader",
        "id": str(new_id()),
        "eventCoding": header.get("eventCoding"),
        "destination": [{"endpoint": source.get("endpoint", "urn:unknown")}],
        "source": {"name": "Gantry", "software": "Gantry", "endpoint": address},
        "reason": header.get("reason"),
        "response": {"identifier": message.id, "code": "ok"},
        "focus": [{"reference": f"{focus['resourceType']}/{focus['id']}"}],
    }
    if issues:
        outcome = {**judged(issues), "id": str(new_id())}
        said["response"]["details"] = {"reference": f"OperationOutcome/{outcome['id']}"}
        resources = [*resources, outcome]
    return {
        "resourceType": "Bundle",
        "id": str(new_id()),
        "type": "message",
        "timestamp": now.isoformat(timespec="milliseconds"),
        "entry": [
            {"fullUrl": f"{address}{one['resourceType']}/{one['id']}", "resource": one}
            for one in [{name: value for name, value in said.items() if value is not None}, *resources]
        ],
    }
