"""What follows from a booking, and from a referral that has ended: the room sees whom it will scan; nobody keeps a slot in vain."""

from gantry.apps.audit.models import Event
from gantry.apps.booking.models import Appointment
from gantry.apps.booking.services.changing import cancel
from gantry.apps.patients.services import let_see
from gantry.apps.referrals.models import Referral
from gantry.domain.appointment import AppointmentState
from gantry.domain.events import Cause, CauseCode, EventKind, Initiator, system

PROMISED = (AppointmentState.HELD.value, AppointmentState.BOOKED.value, AppointmentState.TOLD.value)
WHY = {
    EventKind.REFERRAL_WITHDRAWN: Cause(CauseCode.CHANGED_PLAN, Initiator.REFERRER),
    EventKind.REFERRAL_REJECTED: Cause(CauseCode.CHANGED_PLAN, Initiator.PROVIDER),
    EventKind.REFERRAL_REDIRECTED: Cause(CauseCode.CHANGED_PLAN, Initiator.PROVIDER),
    EventKind.REFERRAL_CLOSED: Cause(CauseCode.CHANGED_PLAN, Initiator.PROVIDER),
}


def employer_sees(event: Event) -> None:
    """Subscriber to `appointment_booked`: the employer at the site has a reason to see the person whom it will scan."""
    row = Appointment.objects.select_related("site", "referral__patient").get(pk=event.about["appointment"])
    employer, referral = row.site.organisation_id, row.referral
    if employer in referral.organisations:
        return
    Referral.objects.filter(pk=referral.pk).update(organisations=[*referral.organisations, employer])
    let_see(referral.patient, [employer])


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
