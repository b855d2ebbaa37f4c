"""Decides which DICOM services this node gives, and passes each request to the function that carries it out."""

from __future__ import annotations

import logging
import struct
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from typing import Any
from zoneinfo import ZoneInfo

from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, AllStoragePresentationContexts, evt

from gantry.gateways.dicom.commitment import STORAGE_COMMITMENT, Commitment, on_commitment_report, on_commitment_request
from gantry.gateways.dicom.index import WorklistIndex
from gantry.gateways.dicom.matching import Unmatchable
from gantry.gateways.dicom.performed_step import PerformedSteps, read_begun, read_reported
from gantry.gateways.dicom.query import WorklistQuery, to_query
from gantry.gateways.dicom.reactor import PromptServer, command_set
from gantry.gateways.dicom.status import Refusal, Status, success
from gantry.gateways.dicom.storage import (
    IMPLEMENTATION_CLASS_UID,
    IMPLEMENTATION_VERSION,
    Kept,
    Sent,
    Store,
    store,
)

log = logging.getLogger(__name__)

VERIFICATION = "1.2.840.10008.1.1"
WORKLIST_FIND = "1.2.840.10008.5.1.4.31"
PERFORMED_STEP = "1.2.840.10008.3.1.2.3.3"

LARGEST_PDU_BYTES = 1 << 18
ANSWERS_PER_WRITE = 32
LITTLE_ENDIAN = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]

COMPRESSED = [
    "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51", "1.2.840.10008.1.2.4.57",
    "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81", "1.2.840.10008.1.2.4.90",
    "1.2.840.10008.1.2.4.91", "1.2.840.10008.1.2.4.100", "1.2.840.10008.1.2.4.102", "1.2.840.10008.1.2.4.103",
]  # fmt: skip
"""RLE, JPEG, JPEG-LS, JPEG 2000 and MPEG: kept as they come, never decoded."""

STORAGE_SYNTAXES = [*LITTLE_ENDIAN, "1.2.840.10008.1.2.2", *COMPRESSED]


@dataclass(frozen=True, slots=True)
class Doors:
    """What this node serves; a service left None is not offered."""

    zone: ZoneInfo
    worklist: WorklistIndex | None = None
    performed_steps: PerformedSteps | None = None
    storage: Store | None = None
    commitment: Commitment | None = None
    verified: Callable[[str], None] | None = None
    require_called_ae_title: bool = False
    calling_ae_titles: tuple[str, ...] = ()
    """When given, only these may associate."""
    largest_associations: int = 64
    idle_s: float = 60.0
    greeting_s: float = 10.0
    """A connection that asks for no association by then is closed (ARTIM, PS3.8 9.1.5): it may not hold a place."""


class Server:
    """A running listener. `port` is the one it got when 0 was asked for."""

    def __init__(self, server: PromptServer) -> None:
        self._server = server
        self._thread = threading.Thread(
            target=server.serve_forever, kwargs={"poll_interval": 0.1}, name="dicom listener", daemon=True
        )
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def active(self) -> int:
        return len(self._server.active_associations)

    @property
    def orphaned(self) -> bool:
        return self._server.orphaned

    def stop(self) -> None:
        """Takes no more connections, aborts what is still open, and returns when all is down."""
        self._server.shutdown()
        for association in self._server.active_associations:
            association.abort()
        self._thread.join()


def serve(ae_title: str, address: tuple[str, int], doors: Doors, *, channel: Any = None) -> Server:
    """Starts the services in threads of this process; `processes.serve_forever` runs several of these."""
    ae = AE(ae_title)
    ae.implementation_class_uid = IMPLEMENTATION_CLASS_UID
    ae.implementation_version_name = IMPLEMENTATION_VERSION
    ae.maximum_pdu_size = LARGEST_PDU_BYTES
    ae.maximum_associations = doors.largest_associations
    ae.network_timeout = doors.idle_s
    ae.acse_timeout = doors.greeting_s
    ae.require_called_aet = doors.require_called_ae_title
    ae.require_calling_aet = list(doors.calling_ae_titles)
    handlers = offered(ae, doors)
    limit = doors.storage.limit_bytes if doors.storage else 1 << 24
    return Server(PromptServer(ae, address, handlers, limit_bytes=limit + (1 << 20), channel=channel))


def offered(ae: AE, doors: Doors) -> list[Any]:
    ae.add_supported_context(VERIFICATION, LITTLE_ENDIAN)
    handlers: list[Any] = [(evt.EVT_C_ECHO, on_echo, [doors])]
    if doors.worklist is not None:
        ae.add_supported_context(WORKLIST_FIND, LITTLE_ENDIAN)
        handlers.append((evt.EVT_C_FIND, on_find, [doors.worklist]))
    if doors.performed_steps is not None:
        ae.add_supported_context(PERFORMED_STEP, LITTLE_ENDIAN)
        handlers.append((evt.EVT_N_CREATE, on_create, [doors.performed_steps, doors.zone]))
        handlers.append((evt.EVT_N_SET, on_set, [doors.performed_steps, doors.zone]))
    if doors.storage is not None:
        for context in AllStoragePresentationContexts:
            ae.add_supported_context(context.abstract_syntax or "", STORAGE_SYNTAXES)
        handlers.append((evt.EVT_C_STORE, on_store, [doors.storage]))
    if doors.commitment is not None:
        ae.add_supported_context(STORAGE_COMMITMENT, LITTLE_ENDIAN, scu_role=True, scp_role=True)
        handlers.append((evt.EVT_N_ACTION, on_commitment_request, [doors.commitment]))
        handlers.append((evt.EVT_N_EVENT_REPORT, on_commitment_report, [doors.commitment]))
    return handlers


def caller(event: Any) -> str:
    return str(event.assoc.requestor.ae_title).strip()


def on_echo(event: Any, doors: Doors) -> int:
    """Success only while `verified` raises nothing: pynetdicom would answer a handler that fails with success."""
    try:
        if doors.verified is not None:
            doors.verified(caller(event))
    except Exception:
        log.exception("verification failed", extra={"calling_ae": caller(event)})
        return int(Status.UNABLE_TO_PROCESS)
    return int(Status.SUCCESS)


def on_find(event: Any, worklist: WorklistIndex) -> Iterator[tuple[Any, Dataset | None]]:
    """Sends the pending answers itself, already encoded, in few writes; pynetdicom sends the last one."""
    try:
        explicit = event.context.transfer_syntax == ExplicitVRLittleEndian
        answer = worklist.find(read_query(event.request.Identifier.getvalue(), explicit), explicit=explicit)
    except Unmatchable as fault:
        yield Refusal(Status.DOES_NOT_MATCH_CLASS, str(fault), (fault.tag,)).to_dataset(), None
        return
    except Exception:
        log.exception("worklist query failed", extra={"calling_ae": caller(event)})
        yield Refusal(Status.UNABLE_TO_PROCESS, "The worklist could not be read").to_dataset(), None
        return
    status = Status.PENDING if answer.all_keys_supported else Status.PENDING_KEYS_UNSUPPORTED
    command = command_set(WORKLIST_FIND, 0x8020, event.request.MessageID, has_data_set=True, status=status)
    size = event.assoc.requestor.maximum_length or LARGEST_PDU_BYTES
    for at in range(0, len(answer.data_sets), ANSWERS_PER_WRITE):
        if event.is_cancelled:
            yield int(Status.CANCEL), None
            return
        if not event.assoc.is_established or event.assoc.dul.socket is None:
            return
        parts: list[bytes] = []
        for data_set in answer.data_sets[at : at + ANSWERS_PER_WRITE]:
            parts += data_pdus(event.context.context_id, command, True, size)
            parts += data_pdus(event.context.context_id, data_set, False, size)
        event.assoc.dul.socket.send(b"".join(parts))


@lru_cache(maxsize=256)
def read_query(identifier: bytes, explicit: bool) -> WorklistQuery:
    """A scanner asks the same each time, byte for byte."""
    return to_query(read_dataset(BytesIO(identifier), is_implicit_VR=not explicit, is_little_endian=True))


def data_pdus(context_id: int, data: bytes, command: bool, largest: int) -> Iterator[bytes]:
    """P-DATA-TF PDUs, each within what the peer takes (PS3.8 9.3.5 and annex E.2)."""
    piece = max(largest - 6, 1)
    for at in range(0, len(data), piece):
        part = data[at : at + piece]
        control = (0x01 if command else 0x00) | (0x02 if at + piece >= len(data) else 0x00)
        yield struct.pack(">BxLLBB", 0x04, len(part) + 6, len(part) + 2, context_id, control) + part


def on_create(event: Any, steps: PerformedSteps, zone: ZoneInfo) -> tuple[Dataset, Dataset | None]:
    uid = str(event.request.AffectedSOPInstanceUID or f"2.25.{uuid.uuid4().int}")
    try:
        begun = read_begun(uid, event.attribute_list, zone)
        refusal = begun if isinstance(begun, Refusal) else steps.begin(begun, caller(event))
    except Exception:
        log.exception("performed step not created", extra={"calling_ae": caller(event), "sop_instance_uid": uid})
        refusal = Refusal(Status.PROCESSING_FAILURE, "The step could not be kept")
    if refusal is not None:
        return refusal.to_dataset(), None
    created = success()
    created.AffectedSOPInstanceUID = uid
    return created, None


def on_set(event: Any, steps: PerformedSteps, zone: ZoneInfo) -> tuple[Dataset, Dataset | None]:
    uid = str(event.request.RequestedSOPInstanceUID or "")
    try:
        reported = read_reported(uid, event.modification_list, steps.status_of(uid), zone)
        refusal = reported if isinstance(reported, Refusal) else steps.report(reported, caller(event))
    except Exception:
        log.exception("performed step not updated", extra={"calling_ae": caller(event), "sop_instance_uid": uid})
        refusal = Refusal(Status.PROCESSING_FAILURE, "The step could not be kept")
    return (refusal.to_dataset() if refusal else success()), None


def on_store(event: Any, into: Store) -> Dataset | int:
    request = event.request
    sent = Sent(
        sop_class_uid=str(request.AffectedSOPClassUID),
        sop_instance_uid=str(request.AffectedSOPInstanceUID),
        transfer_syntax_uid=str(event.context.transfer_syntax),
        data_set=request.DataSet.getbuffer(),
        calling_ae_title=caller(event),
    )
    try:
        answer = store(sent, into)
    except Exception:
        log.exception("image not kept", extra={"calling_ae": caller(event), "sop_instance_uid": sent.sop_instance_uid})
        answer = Refusal(Status.UNABLE_TO_PROCESS, "The image could not be kept")
    finally:
        sent.data_set.release()
    if isinstance(answer, Kept):
        return int(Status.SUCCESS)
    return answer.to_dataset()
