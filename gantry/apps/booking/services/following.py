"""What booking does when the rooms below say that a referral has ended: nobody keeps a slot for a scan that is off."""

from gantry.apps.audit.models import Event
from gantry.apps.booking.models import Appointment
from gantry.apps.booking.services.changing import cancel
from gantry.domain.appointment import AppointmentState
from gantry.domain.events import Cause, CauseCode, EventKind, Initiator, system

PROMISED = (AppointmentState.HELD.value, AppointmentState.BOOKED.value, AppointmentState.TOLD.value)
WHY = {
    EventKind.REFERRAL_WITHDRAWN: Cause(CauseCode.CHANGED_PLAN, Initiator.REFERRER),
    EventKind.REFERRAL_REJECTED: Cause(CauseCode.CHANGED_PLAN, Initiator.PROVIDER),
    EventKind.REFERRAL_REDIRECTED: Cause(CauseCode.CHANGED_PLAN, Initiator.PROVIDER),
    EventKind.REFERRAL_CLOSED: Cause(CauseCode.CHANGED_PLAN, Initiator.PROVIDER),
}


def referral_ended(event: Event) -> None:
    """In the same transaction: every slot of that referral is given back, with this event as its root."""
    usual = WHY[EventKind(event.kind)]
    said = event.cause_code
    cause = Cause(
        CauseCode(said) if said else usual.code,
        Initiator(event.cause_initiator) if event.cause_initiator else usual.initiator,
        root_event=event.pk,
    )
    standing = Appointment.objects.filter(referral=event.about["referral"], state__in=PROMISED)
    for row in standing.select_related("site", "referral", "procedure__referral"):
        cancel(row, cause=cause, now=event.recorded_at, by=system("booking"))
