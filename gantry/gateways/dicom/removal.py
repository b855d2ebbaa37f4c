"""Decides whether images that went out under the wrong name are gone: the far end is asked for each, and shows none."""

from datetime import datetime
from uuid import UUID

from gantry.apps.audit import outbox
from gantry.apps.scanning.services import images
from gantry.gateways.dicom.outgoing import pacs_of
from gantry.gateways.dicom.send import Proof, Stopped, found_by_c_find, found_by_qido, resolve_and_connect


def look(message_id: UUID, *, now: datetime) -> None:
    """Ask the PACS for the series of the study and say what it still shows of them."""
    message = outbox.take(message_id, now=now)
    if message is None:
        return
    removal = images.removal_of(message)
    study, to = removal.dispatch.study, pacs_of(removal.dispatch.endpoint)
    wanted = {*study.instances.values_list("sop_instance_uid", flat=True), *removal.also}
    series = {(study.study_uid, uid) for uid in study.series.values_list("series_uid", flat=True)}
    proof = Proof.FIND
    try:
        resolve_and_connect(to)
        try:
            shown = found_by_c_find(series, to)
        except Stopped:
            if not to.qido_url:
                raise
            proof, shown = Proof.QIDO, found_by_qido(series, to)
    except Stopped as stop:
        images.removal_failed(message, phase=stop.phase, reason=stop.reason, now=now)
        return
    left = len(wanted & shown)
    if left:
        images.removal_failed(
            message, phase="prove", reason=f"{left} of {len(wanted)} images are still shown there", now=now
        )
        return
    images.removal_proved(message, proof=f"{proof.value}: none shown", now=now)
