"""Decides whether a study has reached a PACS: every instance sent, then every instance proved to be there."""

from __future__ import annotations

import logging
import socket
import threading
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import httpx
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, build_context, evt
from pynetdicom.association import Association

from gantry.gateways.dicom.commitment import (
    REQUEST_COMMITMENT,
    STORAGE_COMMITMENT,
    STORAGE_COMMITMENT_INSTANCE,
    Asked,
    Reported,
    read_report,
    to_request,
)
from gantry.gateways.dicom.status import Status, success

log = logging.getLogger(__name__)

STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
CONTEXTS_LIMIT = 128
"""PS3.8 9.3.2.2: odd identifiers from 1 to 255."""

WARNINGS = frozenset({0xB000, 0xB006, 0xB007})
"""C-STORE statuses that say: kept, with a remark (PS3.4 B.2.3)."""


class Phase(StrEnum):
    RESOLVE = "resolve"
    CONNECT = "connect"
    ASSOCIATE = "associate"
    STORE = "store"
    COMMIT = "commit"
    PROVE = "prove"


class Proof(StrEnum):
    """How the far end shows that it has an instance."""

    COMMITMENT = "storage commitment"
    FIND = "C-FIND"
    QIDO = "QIDO-RS"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pacs:
    """A destination. Proofs are tried in order until one answers for every instance."""

    host: str
    port: int
    ae_title: str
    calling_ae_title: str
    proofs: tuple[Proof, ...] = (Proof.COMMITMENT, Proof.FIND)
    qido_url: str = ""
    connect_s: float = 10.0
    answer_s: float = 60.0
    commitment_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One file to deliver."""

    sop_instance_uid: str
    path: Path


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one instance. Delivered means proved, never merely sent."""

    sop_instance_uid: str
    sent: bool = False
    proved_by: Proof | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Sending:
    """What became of a study. `failed` is the first phase that stopped it, None when all is proved."""

    outcomes: tuple[Outcome, ...]
    failed: Phase | None = None
    reason: str = ""

    @property
    def delivered(self) -> bool:
        return self.failed is None and all(outcome.proved_by for outcome in self.outcomes)


class Stopped(Exception):
    """A phase could not be passed."""

    def __init__(self, phase: Phase, reason: str) -> None:
        self.phase, self.reason = phase, reason
        super().__init__(f"{phase}: {reason}")


@dataclass(frozen=True, slots=True)
class Header:
    sop_class_uid: str
    transfer_syntax_uid: str
    study_uid: str
    series_uid: str


@dataclass(slots=True)
class Ledger:
    """What is known so far of each instance."""

    headers: dict[str, Header] = field(default_factory=dict)
    sent: set[str] = field(default_factory=set)
    proved: dict[str, Proof] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)

    def missing(self) -> list[str]:
        return [uid for uid in self.headers if uid not in self.proved]


def send_study(files: Iterable[Outgoing], to: Pacs) -> Sending:
    """Sends what the PACS does not yet show it has, then proves all. Safe to call again: only the missing go out."""
    wanted = list({file.sop_instance_uid: file for file in files}.values())
    ledger = Ledger()
    failed, reason = None, ""
    try:
        for file in wanted:
            ledger.headers[file.sop_instance_uid] = read_file_header(file)
        resolve_and_connect(to)
        look_first(ledger, to)
        if ledger.missing():
            deliver(wanted, ledger, to)
    except Stopped as stop:
        failed, reason = stop.phase, stop.reason
    outcomes = tuple(
        Outcome(
            file.sop_instance_uid,
            sent=file.sop_instance_uid in ledger.sent,
            proved_by=ledger.proved.get(file.sop_instance_uid),
            reason=ledger.reasons.get(file.sop_instance_uid, ""),
        )
        for file in wanted
    )
    return Sending(outcomes, failed, reason)


def read_file_header(file: Outgoing) -> Header:
    try:
        ds = dcmread(
            file.path,
            stop_before_pixels=True,
            specific_tags=["SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"],
        )
    except (OSError, InvalidDicomError) as fault:
        raise Stopped(Phase.STORE, f"{file.sop_instance_uid}: the file cannot be read") from fault
    if str(ds.get("SOPInstanceUID")) != file.sop_instance_uid:
        raise Stopped(Phase.STORE, f"{file.sop_instance_uid}: the file holds another instance")
    return Header(
        str(ds.SOPClassUID), str(ds.file_meta.TransferSyntaxUID), str(ds.StudyInstanceUID), str(ds.SeriesInstanceUID)
    )


def resolve_and_connect(to: Pacs) -> None:
    """Tells a wrong name from a closed door before DICOM hides the difference."""
    try:
        found = socket.getaddrinfo(to.host, to.port, type=socket.SOCK_STREAM)
    except OSError as fault:
        raise Stopped(Phase.RESOLVE, f"{to.host}: {fault.strerror or fault}") from None
    fault_text = ""
    for family, kind, protocol, _, address in found:
        with socket.socket(family, kind, protocol) as probe:
            probe.settimeout(to.connect_s)
            try:
                probe.connect(address)
            except OSError as fault:
                fault_text = fault.strerror or str(fault)
            else:
                return
    raise Stopped(Phase.CONNECT, f"{to.host}:{to.port}: {fault_text}")


@contextmanager
def opened(to: Pacs, contexts: list[Any], handlers: list[Any] | None = None) -> Iterator[Association]:
    """An association, released at the end; its socket is closed whoever hung up first."""
    connections: list[socket.socket] = []

    def on_open(event: Any) -> None:
        connections.append(event.assoc.dul.socket.socket)
        connections[-1].setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    ae = AE(to.calling_ae_title)
    ae.connection_timeout = to.connect_s
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = to.answer_s
    association = ae.associate(
        to.host,
        to.port,
        contexts=contexts,
        ae_title=to.ae_title,
        max_pdu=0,
        evt_handlers=[(evt.EVT_CONN_OPEN, on_open), *(handlers or [])],
    )
    try:
        if association.is_rejected:
            answer = association.acceptor.primitive
            raise Stopped(Phase.ASSOCIATE, f"rejected: {answer.reason_str if answer else 'no reason given'}")
        if not association.is_established:
            raise Stopped(Phase.ASSOCIATE, "aborted or not answered")
        yield association
    finally:
        if association.is_established:
            association.release()
        for connection in connections:
            connection.close()


def deliver(wanted: list[Outgoing], ledger: Ledger, to: Pacs) -> None:
    missing = set(ledger.missing())
    queue = [file for file in wanted if file.sop_instance_uid in missing]
    for batch in by_contexts(queue, ledger):
        store_batch(batch, ledger, to)
    refused = [uid for uid in ledger.missing() if uid not in ledger.sent]
    for proof in to.proofs:
        if ledger.missing():
            prove(proof, ledger, to)
    if refused:
        raise Stopped(Phase.STORE, f"{len(refused)} of {len(ledger.headers)} not taken: {ledger.reasons[refused[0]]}")
    if ledger.missing():
        asked_for = Phase.COMMIT if to.proofs == (Proof.COMMITMENT,) else Phase.PROVE
        raise Stopped(asked_for, f"{len(ledger.missing())} of {len(ledger.headers)} not shown by the PACS")


def by_contexts(files: list[Outgoing], ledger: Ledger) -> Iterator[list[Outgoing]]:
    """Batches whose SOP classes and transfer syntaxes fit one association."""
    batch: list[Outgoing] = []
    pairs: set[tuple[str, str]] = set()
    for file in files:
        header = ledger.headers[file.sop_instance_uid]
        pair = (header.sop_class_uid, header.transfer_syntax_uid)
        if pair not in pairs and len(pairs) == CONTEXTS_LIMIT:
            yield batch
            batch, pairs = [], set()
        pairs.add(pair)
        batch.append(file)
    if batch:
        yield batch


def store_batch(batch: list[Outgoing], ledger: Ledger, to: Pacs) -> None:
    pairs = {(h.sop_class_uid, h.transfer_syntax_uid) for h in (ledger.headers[f.sop_instance_uid] for f in batch)}
    with opened(to, [build_context(cls, syntax) for cls, syntax in sorted(pairs)]) as association:
        for number, file in enumerate(batch):
            uid = file.sop_instance_uid
            header = ledger.headers[uid]
            if not accepts(association, header):
                ledger.reasons[uid] = f"{header.sop_class_uid} in {header.transfer_syntax_uid} is not accepted"
                continue
            try:
                status = association.send_c_store(file.path, msg_id=number % 65535 + 1)
            except (RuntimeError, ValueError, OSError) as fault:
                raise Stopped(Phase.STORE, f"{uid}: {fault}") from fault
            if "Status" not in status:
                raise Stopped(Phase.STORE, f"{uid}: the association ended or timed out")
            if status.Status == Status.SUCCESS or status.Status in WARNINGS:
                ledger.sent.add(uid)
            else:
                ledger.reasons[uid] = f"0x{status.Status:04X} {status.get('ErrorComment') or ''}".strip()


def accepts(association: Association, header: Header) -> bool:
    return any(
        context.abstract_syntax == header.sop_class_uid
        and header.transfer_syntax_uid in (context.transfer_syntax or [])
        for context in association.accepted_contexts
    )


def prove(proof: Proof, ledger: Ledger, to: Pacs) -> None:
    if proof is Proof.COMMITMENT:
        prove_by_commitment(ledger, to)
    else:
        prove_by_query(ledger, to, only=proof)


def prove_by_commitment(ledger: Ledger, to: Pacs) -> None:
    """Asks the PACS to answer for the instances and waits on the same association (PS3.4 J.3)."""
    transaction = f"2.25.{uuid.uuid4().int}"
    came = threading.Event()
    reports: list[Reported] = []

    def on_report(event: Any) -> tuple[Dataset, None]:
        report = read_report(event.event_information)
        if report.transaction_uid == transaction:
            reports.append(report)
            came.set()
        return success(), None

    context = build_context(STORAGE_COMMITMENT, [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
    pairs = tuple((ledger.headers[uid].sop_class_uid, uid) for uid in ledger.missing() if uid in ledger.sent)
    request = to_request(Asked(transaction, to.calling_ae_title, pairs))
    try:
        with opened(to, [context], [(evt.EVT_N_EVENT_REPORT, on_report)]) as association:
            status, _ = association.send_n_action(
                request, REQUEST_COMMITMENT, STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE
            )
            if "Status" in status and status.Status == Status.SUCCESS:
                came.wait(to.commitment_s)
    except (Stopped, RuntimeError, ValueError) as fault:
        log.info("no storage commitment", extra={"ae_title": to.ae_title, "reason": str(fault)})
    for report in reports:
        ledger.proved.update({uid: Proof.COMMITMENT for _, uid in report.committed if uid in ledger.headers})
        for _, uid, reason in report.failed:
            ledger.reasons[uid] = f"commitment refused: 0x{reason:04X}"


def look_first(ledger: Ledger, to: Pacs) -> None:
    """What an earlier attempt brought there need not go again; a PACS that cannot say so gets all of it."""
    try:
        prove_by_query(ledger, to)
    except Stopped as stop:
        log.info("nothing known before sending", extra={"ae_title": to.ae_title, "reason": stop.reason})


def prove_by_query(ledger: Ledger, to: Pacs, only: Proof | None = None) -> None:
    """Looks every missing instance up, series by series."""
    for proof in (only,) if only else to.proofs:
        series = {(ledger.headers[uid].study_uid, ledger.headers[uid].series_uid) for uid in ledger.missing()}
        if proof is Proof.FIND and series:
            shown = found_by_c_find(series, to)
        elif proof is Proof.QIDO and series:
            shown = found_by_qido(series, to)
        else:
            continue
        ledger.proved.update({uid: proof for uid in ledger.missing() if uid in shown})


def found_by_c_find(series: set[tuple[str, str]], to: Pacs) -> set[str]:
    context = build_context(STUDY_ROOT_FIND, [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
    shown: set[str] = set()
    try:
        with opened(to, [context]) as association:
            for study_uid, series_uid in sorted(series):
                shown.update(found_in_series(association, study_uid, series_uid))
    except Stopped as stop:
        reason = f"no association for C-FIND: {stop.reason}" if stop.phase is Phase.ASSOCIATE else stop.reason
        raise Stopped(Phase.PROVE, reason) from None
    except (RuntimeError, ValueError) as fault:
        raise Stopped(Phase.PROVE, str(fault)) from fault
    return shown


def found_in_series(association: Association, study_uid: str, series_uid: str) -> Iterator[str]:
    query = Dataset()
    query.QueryRetrieveLevel = "IMAGE"
    query.StudyInstanceUID, query.SeriesInstanceUID, query.SOPInstanceUID = study_uid, series_uid, ""
    for status, answer in association.send_c_find(query, STUDY_ROOT_FIND):
        if "Status" not in status:
            raise Stopped(Phase.PROVE, "the association ended or timed out")
        if status.Status in {Status.PENDING, Status.PENDING_KEYS_UNSUPPORTED} and answer is not None:
            yield str(answer.get("SOPInstanceUID"))
        elif status.Status != Status.SUCCESS:
            raise Stopped(Phase.PROVE, f"C-FIND answered 0x{status.Status:04X}")


def found_by_qido(series: set[tuple[str, str]], to: Pacs) -> set[str]:
    shown: set[str] = set()
    try:
        with httpx.Client(timeout=to.answer_s, headers={"Accept": "application/dicom+json"}) as client:
            for study_uid, series_uid in sorted(series):
                url = f"{to.qido_url.rstrip('/')}/studies/{study_uid}/series/{series_uid}/instances"
                answer = client.get(url)
                if answer.status_code in {204, 404}:
                    continue
                answer.raise_for_status()
                shown |= {value for each in answer.json() for value in each.get("00080018", {}).get("Value", [])}
    except (httpx.HTTPError, ValueError, AttributeError) as fault:
        raise Stopped(Phase.PROVE, f"QIDO-RS: {fault}") from fault
    return shown
