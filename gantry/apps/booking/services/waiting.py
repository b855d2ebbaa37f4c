"""Who needs a call: every scan still to come, and the lists that a coordinator works through."""

from datetime import date, datetime, timedelta
from typing import Any

from django.db.models import Count, DateField, Exists, F, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce, Least
from django.utils import timezone

from gantry.apps.audit.models import Event
from gantry.apps.booking.models import Appointment, ContactAttempt
from gantry.apps.estate.models import Closure, Fault
from gantry.apps.referrals.models import Authorisation, RequestedProcedure
from gantry.domain.access import Scope
from gantry.domain.appointment import AppointmentState
from gantry.domain.events import EventKind
from gantry.domain.referral import ReferralState

S = AppointmentState
PROMISED = (S.BOOKED.value, S.TOLD.value)
ACTIVE = (S.HELD.value, *PROMISED, S.ARRIVED.value)
OPEN_REFERRALS = (
    ReferralState.ACCEPTED.value,
    ReferralState.TO_VET.value,
    ReferralState.AWAITING_REFERRER.value,
    ReferralState.ON_HOLD.value,
)
RISK_DAYS = 5
KNOWS = ("spoke", "delivered")
"""Outcomes after which nobody rings again for want of an answer."""
FAR = date(9999, 12, 31)
PRIORITIES = {1: "Routine", 2: "Urgent", 3: "Two-week wait"}
LISTS = {
    "no_slot": "No slot yet",
    "at_risk": "Clock at risk",
    "must_move": "Must move",
    "no_answer": "Did not answer",
    "to_tell": "Not told yet",
    "held": "Held now",
    "coming": "Booked and told",
}


def open_procedures(scope: Scope) -> QuerySet[RequestedProcedure]:
    """Every scan still to come that this person may see, with its standing slot and the last attempt to ring."""
    active = Appointment.objects.filter(procedure=OuterRef("pk"), state__in=ACTIVE).order_by("-pk")
    # Authorised again after a visit that gave no scan: that visit is no longer what they wait for.
    again = Authorisation.objects.filter(
        procedure=OuterRef("procedure"), state="valid", at__gt=OuterRef("authorisation__at")
    )
    done = Appointment.objects.filter(~Exists(again), procedure=OuterRef("pk"), state=S.FULFILLED.value)
    rung = ContactAttempt.objects.filter(referral=OuterRef("referral")).order_by("-at", "-pk")
    visible = RequestedProcedure.objects.for_user(scope)
    # Who is still to come is found once, among all that ever were; each list and each count then asks only of them.
    to_come = list(
        visible.filter(referral__state__in=OPEN_REFERRALS).filter(~Exists(done)).values_list("pk", flat=True)
    )
    return (
        visible.filter(pk__in=to_come)
        .select_related("referral__patient")
        .annotate(
            slot=Subquery(active.values("pk")[:1]),
            slot_state=Subquery(active.values("state")[:1]),
            slot_at=Subquery(active.values("scan_at")[:1]),
            slot_site=Subquery(active.values("site__name")[:1]),
            rung_at=Subquery(rung.values("at")[:1]),
            rung_outcome=Subquery(rung.values("outcome")[:1]),
            risk_on=Least(
                Coalesce(F("referral__breach_on"), Value(FAR, DateField())),
                Coalesce(F("referral__needed_by"), Value(FAR, DateField())),
            ),
        )
        # A scan that waits for a decision and has no slot is the practitioner's to see, not a call to make.
        .filter(Q(referral__state=ReferralState.ACCEPTED.value) | Q(slot__isnull=False))
    )


def no_slot() -> Q:
    return Q(slot__isnull=True, referral__state=ReferralState.ACCEPTED.value)


def at_risk(today: date) -> Q:
    """No slot and little time, or a slot after the limit."""
    return Q(slot__isnull=True, risk_on__lte=today + timedelta(days=RISK_DAYS)) | Q(
        slot__isnull=False, slot_at__date__gt=F("risk_on")
    )


def must_move(now: datetime) -> Q:
    """A promise that something has overtaken: the decision, the scanner, the site or the tracer."""
    shut = Closure.objects.filter(
        Q(scanner=None) | Q(scanner=OuterRef("scanner")),
        site=OuterRef("site"),
        from_at__lt=OuterRef("ends_at"),
        to_at__gt=OuterRef("arrival_at"),
    )
    broken = Fault.objects.filter(
        Q(to_at=None, from_at__gt=OuterRef("arrival_at") - timedelta(days=2)) | Q(to_at__gt=OuterRef("arrival_at")),
        scanner=OuterRef("scanner"),
        from_at__lt=OuterRef("ends_at"),
    )
    overtaken = Appointment.objects.filter(
        Q(Exists(shut))
        | Q(Exists(broken))
        | ~Q(authorisation__state="valid")
        | Q(allotment__usable_to__lt=F("injection_at")),
        procedure=OuterRef("pk"),
        state__in=PROMISED,
        ends_at__gt=now,
    )
    return Q(Exists(overtaken))


def belongs(name: str, now: datetime) -> Q:
    """What puts a scan on this list."""
    match name:
        case "no_slot":
            return no_slot()
        case "at_risk":
            return at_risk(timezone.localdate(now))
        case "must_move":
            return must_move(now)
        case "no_answer":
            untold = Q(slot_state__isnull=True) | ~Q(slot_state=S.TOLD.value)
            return untold & Q(rung_outcome__isnull=False) & ~Q(rung_outcome__in=KNOWS)
        case "to_tell":
            return Q(slot_state=S.BOOKED.value)
        case "held":
            return Q(slot_state=S.HELD.value)
        case _:
            return Q(slot_state__in=[S.TOLD.value, S.ARRIVED.value])


def narrowed(rows: QuerySet[Any], name: str, now: datetime) -> QuerySet[Any]:
    return rows.filter(belongs(name, now))


def counted(rows: QuerySet[Any], now: datetime) -> dict[str, int]:
    """How many are on each list, in one reading; what has been overtaken is asked of its own tables."""
    plain = {name: Count("pk", filter=belongs(name, now)) for name in LISTS if name != "must_move"}
    return rows.aggregate(**plain) | {"must_move": narrowed(rows, "must_move", now).count()}


ROOTS = (
    EventKind.BATCH_FAILED,
    EventKind.BATCH_REJECTED,
    EventKind.ORDER_FAILED,
    EventKind.SCANNER_FAILED,
    EventKind.EQUIPMENT_TEST_FAILED,
    EventKind.INCIDENT_OPENED,
)
"""What may displace many people at once: each end or move of theirs names it."""
ROOTS_LAST = timedelta(days=3)


def roots_near(appointment: Appointment, *, now: datetime) -> list[Event]:
    """What failed lately at this site: the root events that a coordinator may name. They tell of no patient."""
    events = Event.objects.filter(
        site=appointment.site_id, kind__in=[kind.value for kind in ROOTS], happened_at__gte=now - ROOTS_LAST
    )
    return list(events.order_by("-happened_at")[:20])
