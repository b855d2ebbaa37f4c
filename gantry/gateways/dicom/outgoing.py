"""Decides how a study leaves for a hospital's PACS: which files, under whose name, and what the answer means."""

import logging
import tempfile
from datetime import datetime
from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.db import DatabaseError

from gantry.apps.audit import outbox
from gantry.apps.estate.models import Endpoint, EndpointKind
from gantry.apps.scanning.models import ImageDispatch, Instance, Study
from gantry.apps.scanning.services import images
from gantry.gateways.dicom.rewriting import Identity, rewritten
from gantry.gateways.dicom.send import Outgoing, Pacs, Phase, Proof, Sending, send_study
from gantry.gateways.dicom.worklist import Name

log = logging.getLogger(__name__)

DICOM_SEX = {"1": "M", "2": "F", "9": "O"}


def send(message_id: UUID, *, now: datetime) -> None:
    """Send one study to one PACS and say what became of it. Safe to call again: only what is missing goes out."""
    message = outbox.take(message_id, now=now)
    if message is None:
        return
    dispatch = ImageDispatch.objects.select_related("endpoint", "study__procedure__referral__patient").get(
        message=message
    )
    study = dispatch.study
    held = list(study.instances.order_by("series", "sop_instance_uid"))
    try:
        with tempfile.TemporaryDirectory(prefix="outgoing-") as folder:
            sending = attempt(study, held, pacs_of(dispatch.endpoint), Path(folder), now=now)
    except DatabaseError:
        raise
    except Exception as fault:
        # Raised on, it would be tried for ever, and nobody would own it.
        log.exception("images not sent", extra={"outbox": str(message.pk)})
        sending = Sending((), Phase.STORE, f"Not sent: {type(fault).__name__}")
    proved = sum(1 for outcome in sending.outcomes if outcome.proved_by)
    if sending.delivered and proved == len(held):
        images.images_proved(message, proved=proved, proof=proofs_in(sending), now=now)
        return
    images.images_failed(
        message,
        phase=sending.failed or Phase.PROVE,
        reason=sending.reason or f"{len(held) - proved} of {len(held)} not shown by the PACS",
        proved=proved,
        instances=len(held),
        now=now,
    )


def attempt(study: Study, held: list[Instance], to: Pacs, folder: Path, *, now: datetime) -> Sending:
    try:
        files = files_of(study, held, folder, now=now)
    except OSError as fault:
        return Sending((), Phase.STORE, f"A file cannot be read: {fault.strerror or type(fault).__name__}")
    except (ValueError, AttributeError, TypeError) as fault:
        return Sending((), Phase.STORE, f"A file cannot be rewritten: {type(fault).__name__}")
    return send_study(files, to)


def files_of(study: Study, held: list[Instance], folder: Path, *, now: datetime) -> list[Outgoing]:
    """The files as they came; where a person said whose they are, copies that say it too."""
    root = Path(settings.IMAGES_ROOT)
    identity = identity_of(study)
    if not says_another(study, identity):
        return [Outgoing(row.sop_instance_uid, root / row.path) for row in held]
    return [
        Outgoing(
            row.sop_instance_uid,
            rewritten(
                root / row.path,
                folder / f"{row.sop_instance_uid}.dcm",
                identity,
                at=now,
                system=settings.DICOM_AE_TITLE,
            ),
        )
        for row in held
    ]


def identity_of(study: Study) -> Identity:
    procedure = study.procedure
    if procedure is None:
        raise images.NotThePerson(study.pk)
    patient = procedure.referral.patient
    return Identity(
        patient_name=Name(patient.family_name, patient.given_name, prefix=patient.title).text(),
        patient_id=patient.nhs_number,
        patient_id_issuer="NHS" if patient.nhs_number else "",
        birth_date=f"{patient.date_of_birth:%Y%m%d}" if patient.date_of_birth else "",
        sex=DICOM_SEX.get(patient.stated_gender, ""),
        accession_number=procedure.accession_number,
    )


def says_another(study: Study, identity: Identity) -> bool:
    """Whether the files name another person, number or request than ours: then only a person can have matched them.

    Files that carry a hospital number as their patient id are rewritten too: the NHS number goes on every image.
    """
    wanted = (identity.patient_id or study.patient_id, identity.accession_number)
    if (study.patient_id.replace(" ", ""), study.accession_number) != wanted:
        return True
    family = study.patient_name.split("^")[0].split("=")[0]
    ours = identity.patient_name.split("^")[0]
    born = (study.birth_date, identity.birth_date)
    return family.casefold() != ours.casefold() or (all(born) and born[0] != born[1])


def pacs_of(endpoint: Endpoint) -> Pacs:
    """C-FIND answers at once where it is offered; storage commitment may take its time."""
    web = Endpoint.objects.filter(
        organisation=endpoint.organisation_id, kind=EndpointKind.DICOMWEB, active=True
    ).order_by("pk")
    qido = web.values_list("address", flat=True).first() or ""
    return Pacs(
        host=endpoint.host,
        port=endpoint.port,
        ae_title=endpoint.ae_title,
        calling_ae_title=settings.DICOM_AE_TITLE,
        proofs=(Proof.FIND, *((Proof.QIDO,) if qido else ()), Proof.COMMITMENT),
        qido_url=qido,
    )


def proofs_in(sending: Sending) -> str:
    return ", ".join(sorted({outcome.proved_by.value for outcome in sending.outcomes if outcome.proved_by}))
