"""Decides what is said about the safe keeping of instances: storage commitment, asked and answered (PS3.4 annex J)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, build_role
from pynetdicom.dimse_primitives import N_EVENT_REPORT

from gantry.gateways.dicom.elements import encode, from_pydicom
from gantry.gateways.dicom.status import Refusal, Status, success

log = logging.getLogger(__name__)

STORAGE_COMMITMENT = UID("1.2.840.10008.1.20.1")
STORAGE_COMMITMENT_INSTANCE = UID("1.2.840.10008.1.20.1.1")

REQUEST_COMMITMENT = 1
ALL_COMMITTED, SOME_FAILED = 1, 2
ANSWER_S = 30.0
NO_SUCH_OBJECT, CLASS_CONFLICT = 0x0112, 0x0119
"""Failure Reason (0008,1197), PS3.3 C.14.1.1."""


@dataclass(frozen=True, slots=True)
class Address:
    host: str
    port: int
    ae_title: str


@dataclass(frozen=True, slots=True)
class Asked:
    """Instances someone wants to be sure of, as (SOP class UID, SOP instance UID)."""

    transaction_uid: str
    calling_ae_title: str
    instances: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Reported:
    """What a storage provider says: kept, or not kept and why (Failure Reason by instance)."""

    transaction_uid: str
    committed: tuple[tuple[str, str], ...]
    failed: tuple[tuple[str, str, int], ...]


@dataclass(frozen=True, slots=True)
class Commitment:
    """`check` looks each instance up; `address_of` says where an AE listens; `reported` takes in answers to us."""

    ae_title: str
    check: Callable[[Asked], Reported]
    address_of: Callable[[str], Address | None] = lambda ae_title: None
    reported: Callable[[Reported, str], None] = lambda report, calling_ae_title: None


def on_commitment_request(event: Any, commitment: Commitment) -> tuple[Dataset, Dataset | None]:
    if event.request.ActionTypeID != REQUEST_COMMITMENT:
        return Refusal(Status.NO_SUCH_ACTION, "Only action 1, request storage commitment").to_dataset(), None
    try:
        asked = read_asked(event.action_information, str(event.assoc.requestor.ae_title).strip())
        if isinstance(asked, Refusal):
            return asked.to_dataset(), None
        report = commitment.check(asked)
    except Exception:
        log.exception("storage commitment not answered")
        return Refusal(Status.PROCESSING_FAILURE, "The instances could not be looked up").to_dataset(), None
    event.assoc.afterwards.append(partial(answer, event.assoc, event.context.context_id, asked, report, commitment))
    return success(), None


def read_asked(information: Dataset, calling_ae_title: str) -> Asked | Refusal:
    transaction = str(information.get("TransactionUID") or "")
    instances = references(information.get("ReferencedSOPSequence"))
    if not transaction:
        return Refusal(Status.NO_SUCH_ARGUMENT, "Transaction UID is missing", (0x00081195,))
    if not instances:
        return Refusal(Status.NO_SUCH_ARGUMENT, "Referenced SOP Sequence is empty", (0x00081199,))
    return Asked(transaction, calling_ae_title, instances)


def references(sequence: Any) -> tuple[tuple[str, str], ...]:
    return tuple(
        (str(item.get("ReferencedSOPClassUID") or ""), str(item.get("ReferencedSOPInstanceUID") or ""))
        for item in sequence or []
    )


def answer(association: Any, context_id: int, asked: Asked, report: Reported, commitment: Commitment) -> None:
    """Reports on the association that asked while it is open, else on a new one to where the asker listens."""
    event_type, ds = to_report(report)
    if association.is_established:
        explicit = association._accepted_cx[context_id].transfer_syntax[0] == ExplicitVRLittleEndian
        if association.report(event_report(event_type, ds, explicit), context_id, ANSWER_S) == Status.SUCCESS:
            return
    address = commitment.address_of(asked.calling_ae_title)
    if address is None:
        log.warning("commitment report has nowhere to go", extra={"calling_ae": asked.calling_ae_title})
        return
    ae = AE(commitment.ae_title)
    ae.add_requested_context(STORAGE_COMMITMENT, [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
    role = build_role(STORAGE_COMMITMENT, scp_role=True)
    opened = ae.associate(address.host, address.port, ae_title=address.ae_title, ext_neg=[role])
    if not opened.is_established:
        log.warning("commitment report not delivered", extra={"calling_ae": asked.calling_ae_title})
        return
    try:
        opened.send_n_event_report(ds, event_type, STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE)
    finally:
        opened.release()


def event_report(event_type: int, ds: Dataset, explicit: bool) -> N_EVENT_REPORT:
    report = N_EVENT_REPORT()
    report.MessageID = 1
    report.AffectedSOPClassUID, report.AffectedSOPInstanceUID = STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE
    report.EventTypeID = event_type
    report.EventInformation = BytesIO(encode(from_pydicom(ds), explicit=explicit))
    return report


def to_request(asked: Asked) -> Dataset:
    ds = Dataset()
    ds.TransactionUID = asked.transaction_uid
    ds.ReferencedSOPSequence = [reference(*instance) for instance in asked.instances]
    return ds


def to_report(report: Reported) -> tuple[int, Dataset]:
    ds = Dataset()
    ds.TransactionUID = report.transaction_uid
    if report.committed:
        ds.ReferencedSOPSequence = [reference(*instance) for instance in report.committed]
    if not report.failed:
        return ALL_COMMITTED, ds
    ds.FailedSOPSequence = []
    for class_uid, instance_uid, reason in report.failed:
        item = reference(class_uid, instance_uid)
        item.FailureReason = reason
        ds.FailedSOPSequence.append(item)
    return SOME_FAILED, ds


def reference(class_uid: str, instance_uid: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = class_uid, instance_uid
    return item


def read_report(information: Dataset) -> Reported:
    failed = information.get("FailedSOPSequence") or []
    return Reported(
        transaction_uid=str(information.get("TransactionUID") or ""),
        committed=references(information.get("ReferencedSOPSequence")),
        failed=tuple(
            (*pair, int(item.get("FailureReason") or NO_SUCH_OBJECT))
            for pair, item in zip(references(failed), failed, strict=True)
        ),
    )


def on_commitment_report(event: Any, commitment: Commitment) -> tuple[Dataset, Dataset | None]:
    if event.request.EventTypeID not in {ALL_COMMITTED, SOME_FAILED}:
        return Refusal(Status.NO_SUCH_EVENT_TYPE, "Only events 1 and 2").to_dataset(), None
    try:
        commitment.reported(read_report(event.event_information), str(event.assoc.requestor.ae_title).strip())
    except Exception:
        log.exception("commitment report not kept")
        return Refusal(Status.PROCESSING_FAILURE, "The report could not be kept").to_dataset(), None
    return success(), None
