"""Says how far each patient has come, from what happened: booked, scanned and reported are not states of a referral."""

from collections.abc import Iterable

from gantry.apps.audit.models import Event
from gantry.apps.referrals.models import Referral
from gantry.domain.events import EventKind

STAGE = {
    EventKind.OFFER_MADE: ("Times offered", "info"),
    EventKind.APPOINTMENT_BOOKED: ("Booked", "info"),
    EventKind.PATIENT_TOLD: ("Booked, patient told", "info"),
    EventKind.APPOINTMENT_MOVED: ("Moved", "soon"),
    EventKind.APPOINTMENT_CANCELLED: ("Cancelled: needs a new date", "late"),
    EventKind.PATIENT_DID_NOT_ATTEND: ("Did not attend", "late"),
    EventKind.PATIENT_ARRIVED: ("At the scanner", "info"),
    EventKind.DOSE_INJECTED: ("Being scanned", "info"),
    EventKind.PATIENT_TURNED_AWAY: ("Not scanned: needs a new date", "late"),
    EventKind.VISIT_ABANDONED: ("Injected, not scanned: to decide", "late"),
    EventKind.PATIENT_LEFT: ("Scanned", "info"),
    EventKind.IMAGES_PROVED: ("Scanned, images delivered", "info"),
    EventKind.REPORT_VERIFIED: ("Reported", "good"),
    EventKind.REPORT_DELIVERED: ("Report delivered", "good"),
    EventKind.REPORT_READ: ("Report read", "good"),
    EventKind.REPORT_ACTED_ON: ("Done", "good"),
    EventKind.REPORT_AMENDED: ("Report corrected", "soon"),
    EventKind.REPORT_WITHDRAWN: ("Report withdrawn", "late"),
}
"""The telling acts, in words, each with the tone of its tag."""


def read_stages(referrals: Iterable[Referral]) -> None:
    """The latest telling act of each, in one query."""
    by_id = {one.pk: one for one in referrals}
    if not by_id:
        return
    kinds = [*(kind.value for kind in STAGE), EventKind.REFERRAL_VETTED.value]
    events = (
        Event.objects.filter(subjects__overlap=list(by_id), kind__in=kinds)
        .order_by("happened_at", "recorded_at", "pk")
        .values_list("kind", "subjects", "data__completed")
    )
    for kind, subjects, completed in events:
        # Who left without a whole scan was not scanned: what ended their visit has said so already.
        if kind == EventKind.PATIENT_LEFT and completed is False:
            continue
        for key in by_id.keys() & set(subjects):
            row = by_id[key]
            if kind != EventKind.REFERRAL_VETTED:
                row.stage = STAGE[EventKind(kind)]
            elif getattr(row, "stage", None) == STAGE[EventKind.VISIT_ABANDONED]:
                row.stage = None
