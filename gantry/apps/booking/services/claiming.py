"""Claims scanner, room and activity for an appointment, all or nothing, and gives them back.

The exclusion constraint and the allotment's CHECK decide who was first. The lock on a site's day only makes the others
wait instead of meeting in a deadlock, and puts the history of one day in one order.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import IntegrityError, connection, transaction
from django.db.backends.postgresql.psycopg_any import DateTimeTZRange
from django.db.models import F

from gantry.apps.booking.models import Appointment, Reservation
from gantry.apps.estate.models import ActivityAllotment, Room, RoomKind, Site
from gantry.domain.appointment import Planned, Span, activity_needed, first_free
from gantry.domain.decay import Nuclide

OVERLAP = "reservation_no_overlap"
SCANNER, ROOM = "scanner", "room"


class Taken(Exception):
    """Somebody else was first: `what` is the scanner, the room or the activity."""

    def __init__(self, what: str) -> None:
        self.what = what
        super().__init__(what)


@dataclass(frozen=True, slots=True)
class Claim:
    """What an appointment has, as its event keeps it: the history is checked from these alone."""

    scanner: UUID
    scanner_from: datetime
    scanner_to: datetime
    room: UUID
    room_from: datetime
    room_to: datetime
    allotment: UUID
    activity_mbq: float
    claim_order: int


def site_day(site: Site, at: datetime) -> tuple[UUID, date]:
    return site.pk, at.astimezone(ZoneInfo(site.zone)).date()


def lock(*days: tuple[UUID, date]) -> None:
    """Wait for everybody else's claims on these sites' days; always in one order, held until the commit."""
    with connection.cursor() as cursor:
        for site, day in sorted(set(days)):
            cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"booking {site} {day}"])


def lock_procedure(procedure: UUID) -> None:
    """Two who hold for one scan wait for each other, always before the days: only one hold of it can stand."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"booking of {procedure}"])


def claim_order() -> int:
    """The place of a claim or a release in the order of its site's day: taken under the lock."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval('booking_claim_order')")
        return int(cursor.fetchone()[0])


def take_activity(
    site: Site,
    tracer: str,
    prescribed_mbq: float,
    nuclide: Nuclide,
    injection_at: datetime,
    *,
    first: UUID | None = None,
) -> tuple[ActivityAllotment, float]:
    """Take it from `first`, else from the run that must give up least, the freshest; compare-and-set. Raises Taken."""
    runs = ActivityAllotment.objects.filter(
        site=site, tracer=tracer, usable_from__lte=injection_at, usable_to__gte=injection_at
    )
    wanted = [
        (activity_needed(prescribed_mbq, nuclide, injection_at=injection_at, reference_at=run.reference_at), run)
        for run in runs
    ]
    for needed, run in sorted(wanted, key=lambda pair: (pair[1].pk != first, pair[0], pair[1].pk)):
        if ActivityAllotment.objects.filter(pk=run.pk, free_mbq__gte=needed).update(free_mbq=F("free_mbq") - needed):
            return run, needed
    raise Taken("activity")


def give_activity_back(appointment: Appointment) -> None:
    ActivityAllotment.objects.filter(pk=appointment.allotment_id).update(
        free_mbq=F("free_mbq") + appointment.activity_mbq
    )


def promise_again(allotment: UUID, activity_mbq: float) -> None:
    """What was promised before is promised again, also by a run that has less now: the hot lab's failure says who lacks."""
    if ActivityAllotment.objects.filter(pk=allotment, free_mbq__gte=activity_mbq).update(
        free_mbq=F("free_mbq") - activity_mbq
    ):
        return
    ActivityAllotment.objects.filter(pk=allotment).update(
        total_mbq=F("total_mbq") - F("free_mbq") + activity_mbq, free_mbq=0.0
    )


def reserve(appointment: Appointment, plan: Planned) -> Claim:
    """The scanner, then the first uptake room that nobody has. Raises Taken."""
    if not _reserved(appointment, SCANNER, appointment.scanner_id, plan.scanner):
        raise Taken(SCANNER)
    rooms = list(
        Room.objects.filter(site=appointment.site_id, kind=RoomKind.UPTAKE)
        .order_by("name", "pk")
        .values_list("pk", flat=True)
    )
    held = Reservation.objects.filter(resource__in=rooms, active=True, during__overlap=_range(plan.room))
    taken = {str(room) for room in held.values_list("resource", flat=True)}
    for room in first_free((str(room) for room in rooms), taken):
        if _reserved(appointment, ROOM, UUID(room), plan.room):
            return Claim(
                scanner=appointment.scanner_id,
                scanner_from=plan.scanner.start,
                scanner_to=plan.scanner.end,
                room=UUID(room),
                room_from=plan.room.start,
                room_to=plan.room.end,
                allotment=appointment.allotment_id,
                activity_mbq=appointment.activity_mbq,
                claim_order=claim_order(),
            )
    raise Taken(ROOM)


def _reserved(appointment: Appointment, kind: str, resource: UUID, span: Span) -> bool:
    try:
        with transaction.atomic():
            Reservation.objects.create(
                appointment=appointment, resource_kind=kind, resource=resource, during=_range(span)
            )
    except IntegrityError as refused:
        if broken(refused) != OVERLAP:
            raise
        return False
    return True


def release(appointments: Iterable[Appointment]) -> int:
    """Let go of scanner and room."""
    return Reservation.objects.filter(appointment__in=list(appointments), active=True).update(active=False)


def broken(refused: IntegrityError) -> str:
    """The name of the constraint that refused."""
    diagnostics = getattr(refused.__cause__, "diag", None)
    return str(getattr(diagnostics, "constraint_name", None) or "")


def _range(span: Span) -> DateTimeTZRange:
    return DateTimeTZRange(span.start, span.end)
