"""Performs one person's scan day: arrival, the protocol's steps, the dose, and how the visit ends."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Protocol

from django.db import transaction

from gantry.apps.booking import services as booking
from gantry.apps.booking.models import Appointment
from gantry.apps.booking.services.need import prescribed_mbq
from gantry.apps.estate.models import Fault
from gantry.apps.radiopharmacy import services as radiopharmacy
from gantry.apps.radiopharmacy.models import Batch, Dose
from gantry.apps.radiopharmacy.services.doses import volume_left
from gantry.apps.scanning.models import Injection, Visit
from gantry.apps.scanning.services import injecting, leaving, steps
from gantry.cli.demonstration.places import CALIBRATOR
from gantry.cli.demonstration.stage import Player, Stage
from gantry.domain.access import Role
from gantry.domain.appointment import AppointmentState
from gantry.domain.events import Cause, CauseCode, Initiator
from gantry.domain.network.script import CAUSE, TURNED_AWAY, Story, Upset
from gantry.domain.scan import Act, ProtocolStep, VisitState
from gantry.domain.supply import BatchState, DoseState, Match
from gantry.gateways.dicom.worklist import WorklistItem
from gantry.gateways.emulators.pictures import study
from gantry.gateways.emulators.scanner import subject_of
from gantry.reference.protocols import product_of

MINUTE = timedelta(minutes=1)
COMING = (AppointmentState.BOOKED.value, AppointmentState.TOLD.value)
UNSEEN = tuple(
    state.value
    for state in (AppointmentState.DID_NOT_ATTEND, AppointmentState.WAS_NOT_BROUGHT, AppointmentState.TURNED_AWAY)
)
NOT_COME_AFTER = timedelta(minutes=45)
WAIT_FOR_TRACER = timedelta(minutes=10)
WIRE_IF_WITHIN = timedelta(minutes=5)
"""A scan that should have begun longer ago is one of the lived past."""
LONGEST_WAIT = timedelta(minutes=70)
LOOK_AGAIN = timedelta(minutes=15)
LONGEST_WAIT_FOR_SCANNER = timedelta(minutes=45)
OVERRIDE = "Session lead agreed: the list runs late and the scanner is kept for this person"


class Follows(Protocol):
    """What comes after the scan: images and report."""

    def injected(self, dose: Dose, now: datetime) -> None: ...

    def given(self, dose: Dose, now: datetime) -> None: ...

    def scanned(self, visit: Visit, now: datetime) -> None: ...

    def checked(self, visit: Visit, now: datetime) -> None: ...


type Ended = Callable[[Appointment, Cause | None], None]
"""What becomes of somebody whose appointment ended without a scan; with the cause where they had been injected."""


class ScanDay:
    """One appointment's day. Each act asks for the next, so that a delay is felt by all that follow."""

    def __init__(
        self, stage: Stage, story: Story, appointment: Appointment, follows: Follows, ended: Ended
    ) -> None:  # fmt: skip
        self.stage, self.story, self.appointment, self.follows, self.ended = stage, story, appointment, follows, ended
        self.place = 0
        self.graph: tuple[ProtocolStep, ...] = ()

    @property
    def player(self) -> Player:
        return self.stage.who(Role.RADIOGRAPHER, turn=self.story.person.number)

    def begin(self) -> None:
        due = self.appointment.arrival_at
        if self.story.upset is Upset.NOT_ATTENDED:
            self.stage.clock.at(due + NOT_COME_AFTER, self.not_come)
        else:
            self.stage.clock.at(due + self.story.day.late_min * MINUTE, self.arrive)

    def not_come(self, now: datetime) -> None:
        self.appointment.refresh_from_db()
        if self.appointment.state in COMING:
            booking.not_attended(self.appointment, now=now, by=self.player.actor)
            self.stage.clock.done()
        if self.appointment.state in UNSEEN:
            self.ended(self.appointment, None)

    def arrive(self, now: datetime) -> None:
        self.appointment.refresh_from_db()
        visit = of_appointment(self.appointment)
        if self.appointment.state == AppointmentState.TURNED_AWAY:
            self.ended(self.appointment, None)
        if visit is None or self.appointment.state not in (*COMING, "arrived", "fulfilled"):
            return
        if visit.state == VisitState.EXPECTED:
            leaving.arrive(visit, happened_at=now, now=now, by=self.player.actor, room=self.room())
            self.stage.clock.done()
        self.graph = steps.protocol_of(visit).steps
        self.next(visit, now, after=2)

    def room(self):
        reserved = self.appointment.reservations.filter(resource_kind="room").first()
        return self.appointment.site.rooms.filter(pk=reserved.resource).first() if reserved else None

    def next(self, visit: Visit, now: datetime, *, after: float) -> None:
        """The step that comes next in the protocol's own order."""
        if self.place >= len(self.graph):
            self.stage.clock.at(now + 6 * MINUTE, lambda at: self.leave(visit, at))
            return
        step = self.graph[self.place]
        self.place += 1
        slack = self.story.day.slack_min[self.place % len(self.story.day.slack_min)]
        at = now + max(after + slack, 0.5) * MINUTE
        if step.window is not None:
            at = max(at, self.since(visit, step) + step.window.planned * MINUTE)
        self.stage.clock.at(at, lambda moment: self.perform(visit, step, moment))

    def since(self, visit: Visit, step: ProtocolStep) -> datetime:
        assert step.window is not None
        found = visit.steps.filter(key=step.window.since, current=True).first()
        return found.happened_at if found else visit.arrived_at

    def perform(self, visit: Visit, step: ProtocolStep, now: datetime) -> None:
        if state_of(visit) != VisitState.PRESENT and not visit.steps.filter(key=step.key).exists():
            return
        if step.act is Act.INJECT:
            self.inject(visit, step, now)
        elif step.act is Act.ACQUIRE:
            self.acquire(visit, step, now)
        else:
            self.record(visit, step, now, extra=self.measured(step))
            if step.act is Act.GLUCOSE and self.story.upset in TURNED_AWAY:
                self.stage.clock.at(now + 10 * MINUTE, lambda at: self.turn_away(visit, self.cause(), at))
                return
            self.next(visit, now, after=step.minutes * 0.8)

    def measured(self, step: ProtocolStep) -> dict[str, object]:
        day, weight = self.story.day, self.story.person.weight_kg
        match step.act:
            case Act.ENQUIRE:
                return {"answer": "no"}
            case Act.WEIGH:
                return {"weight_kg": round(weight + day.weight_change_kg, 1)}
            case Act.GLUCOSE:
                meter = next(iter(steps.meters_at(self.appointment.site)), "")
                return {"glucose_mmol_per_l": day.glucose_mmol_per_l, "meter": meter}
            case Act.CHECK_IMAGES:
                return {"acceptable": True}
            case _:
                return {}

    def record(
        self, visit: Visit, step: ProtocolStep, now: datetime, *, phase: str = "done", extra: dict[str, object]
    ) -> None:  # fmt: skip
        if visit.steps.filter(key=step.key, phase=phase).exists():
            return
        with transaction.atomic():
            steps.record_step(visit, step.key, phase=phase, happened_at=now, now=now, by=self.player.actor, extra=extra)
            if step.act is Act.CHECK_IMAGES:
                self.follows.checked(visit, now)
        self.stage.clock.done()

    def cause(self) -> Cause:
        code, initiator = CAUSE[self.story.upset]
        return Cause(code, initiator)

    def inject(self, visit: Visit, step: ProtocolStep, now: datetime, waited: timedelta = timedelta(0)) -> None:
        given = Injection.objects.filter(visit=visit, step_key=step.key).select_related("dose").first()
        if given is None and (broken := self.broken(now)):
            if waited < LONGEST_WAIT_FOR_SCANNER:
                again = waited + LOOK_AGAIN
                self.stage.clock.at(now + LOOK_AGAIN, lambda at: self.inject(visit, step, at, again))
            else:
                self.turn_away(visit, broken, now)
            return
        if given is None:
            dose = self.draw(visit, step, now)
            if dose is None and waited < LONGEST_WAIT:
                again = waited + WAIT_FOR_TRACER
                self.stage.clock.at(now + WAIT_FOR_TRACER, lambda at: self.inject(visit, step, at, again))
                return
            if dose is None:
                self.turn_away(visit, Cause(CauseCode.BATCH_LATE, Initiator.SUPPLIER), now)
                return
            with transaction.atomic():
                injected = self.give(visit, step, dose, now + MINUTE)
                if injected is not None:
                    self.follows.injected(dose, now)
            if injected is None:
                return
            given = injected
        self.stage.clock.at(now + 6 * MINUTE, lambda at: self.residual(given.dose, at))
        self.next(visit, now, after=35)

    def draw(self, visit: Visit, step: ProtocolStep, now: datetime) -> Dose | None:
        """From the fullest accepted vial. None while nothing is accepted: a late delivery holds the list up."""
        wanted = prescribed_mbq(self.appointment.authorisation) * self.story.day.dose_ratio
        tracer = product_of(step.tracer or self.appointment.procedure.tracer)
        drawn = Dose.objects.filter(appointment=self.appointment, state=DoseState.ASSIGNED).first()
        if drawn is not None:
            return drawn
        vials = Batch.objects.filter(
            site=visit.site_id, tracer=tracer, state=BatchState.ACCEPTED, expires_at__gt=now + MINUTE
        )
        holding = [(radiopharmacy.left_in(batch, now), batch) for batch in vials]
        left, batch = max(holding, key=lambda pair: pair[0], default=(0.0, None))
        if batch is None or left < wanted:
            return None
        vial_ml = volume_left(batch)
        dose = radiopharmacy.draw(
            batch, activity_mbq=round(wanted, 1), at=now, instrument=CALIBRATOR,
            volume_ml=round(vial_ml * wanted / left, 2) if vial_ml else None, now=now, by=self.player.actor,
        )  # fmt: skip
        self.stage.clock.done()
        return dose

    def give(self, visit: Visit, step: ProtocolStep, dose: Dose, at: datetime) -> Injection | None:
        patient = self.appointment.referral.patient
        match = Match(barcode=dose.container.barcode)
        if self.story.day.typed:
            match = Match(nhs_number=patient.nhs_number, date_of_birth=patient.date_of_birth)
        # One in nine is given by hand where there is an injector.
        device = next(iter(injecting.injectors_at(visit.site)), None) if self.story.person.number % 9 else None
        for override in ("", OVERRIDE):
            answer = injecting.inject(
                visit, step.key, dose, injected_at=at, match=match, override_reason=override, now=at,
                by=self.player.actor, person=self.player.person, body_site="Left antecubital fossa", injector=device,
            )  # fmt: skip
            if isinstance(answer, Injection):
                self.stage.clock.done(2)
                return answer
        radiopharmacy.waste(
            dose, cause=Cause(CauseCode.LIST_OVERRUN, Initiator.PROVIDER), at=at, now=at, by=self.player.actor
        )  # fmt: skip
        self.turn_away(visit, Cause(CauseCode.LIST_OVERRUN, Initiator.PROVIDER), at)
        return None

    def residual(self, dose: Dose, now: datetime) -> None:
        dose.refresh_from_db()
        if dose.residual_mbq is None and dose.state == DoseState.ADMINISTERED:
            # One transaction: a worker that saw the measurement alone would write the report at today's hour.
            with transaction.atomic():
                radiopharmacy.assay_residual(
                    dose, activity_mbq=round(dose.drawn_mbq * self.story.day.residual_share, 1), at=now,
                    instrument=CALIBRATOR, now=now, by=self.player.actor,
                )  # fmt: skip
                self.stage.clock.done()
                self.follows.given(dose, now)

    def broken(self, now: datetime) -> Cause | None:
        """Why the scanner cannot be used at this moment; nobody is injected for it, and nobody lies down in it."""
        faults = Fault.objects.filter(scanner=self.appointment.scanner_id, from_at__lte=now).exclude(to_at__lte=now)
        fault = faults.order_by("from_at").first()
        return Cause(CauseCode.SCANNER_FAILED, Initiator.PROVIDER, root_event=fault.event) if fault else None

    def acquire(
        self, visit: Visit, step: ProtocolStep, now: datetime, waited: timedelta = timedelta(0)
    ) -> None:  # fmt: skip
        broken = None if visit.steps.filter(key=step.key).exists() else self.broken(now)
        if broken and waited < LONGEST_WAIT_FOR_SCANNER:
            again = waited + LOOK_AGAIN
            self.stage.clock.at(now + LOOK_AGAIN, lambda at: self.acquire(visit, step, at, again))
            return
        if broken:
            self.leave(visit, now, cause=broken)
            return
        if self.stage.wire is not None and self.stage.clock.now() - now < WIRE_IF_WITHIN:
            self.on_the_wire(visit, step, now)
            return
        self.record(visit, step, now, phase="start", extra={})
        if self.story.upset is Upset.ABANDONED:
            self.stage.clock.at(now + 6 * MINUTE, lambda at: self.abandon(visit, step, at))
            return
        self.stage.clock.at(now + step.minutes * MINUTE, lambda at: self.acquired(visit, step, at))

    def on_the_wire(self, visit: Visit, step: ProtocolStep, now: datetime) -> None:
        """The emulated scanner picks the person from its worklist, and says itself that it has begun."""
        scanner = self.stage.wire(visit.appointment.scanner.ae_title)
        accession = visit.appointment.procedure.accession_number
        listed = scanner.worklist(visit.appointment.scan_at.astimezone(scanner.zone).date())
        item = next((one for one in listed if one.accession_number == accession), None)
        if item is None or visit.steps.filter(key=step.key).exists():
            self.stage.clock.at(now + step.minutes * MINUTE, lambda at: self.acquired(visit, step, at))
            return
        uid = scanner.begin(item, now.astimezone(scanner.zone))
        self.stage.clock.at(now + step.minutes * MINUTE, lambda at: self.off_the_wire(visit, step, item, uid, at))

    def off_the_wire(self, visit: Visit, step: ProtocolStep, item: WorklistItem, uid: str, now: datetime) -> None:
        """Images, completion, and the question whether all are kept."""
        scanner = self.stage.wire(visit.appointment.scanner.ae_title)
        given = visit.injections.select_related("dose").earliest("injected_at")
        pictures = study(
            subject_of(
                item, scanner.ae_title, now.astimezone(scanner.zone), given.injected_at.astimezone(scanner.zone),
                given.dose.net_mbq or 0.0,
            )
        )  # fmt: skip
        scanner.store(pictures)
        scanner.complete(uid, now.astimezone(scanner.zone), pictures)
        scanner.committed(tuple((str(one.SOPClassUID), str(one.SOPInstanceUID)) for one in pictures))
        self.acquired(visit, step, now)

    def acquired(self, visit: Visit, step: ProtocolStep, now: datetime) -> None:
        self.record(visit, step, now, extra={})
        self.follows.scanned(visit, now)
        self.next(visit, now, after=5)

    def abandon(self, visit: Visit, step: ProtocolStep, now: datetime) -> None:
        self.record(visit, step, now, extra={"complete": False})
        self.leave(visit, now + 9 * MINUTE, cause=self.cause())

    def turn_away(self, visit: Visit, cause: Cause, now: datetime) -> None:
        if state_of(visit) == VisitState.PRESENT and not visit.injections.exists():
            leaving.turn_away(visit, cause=cause, happened_at=now, now=now, by=self.player.actor)
            self.stage.clock.done()
            self.ended(self.appointment, None)

    def leave(self, visit: Visit, now: datetime, cause: Cause | None = None) -> None:
        if state_of(visit) == VisitState.PRESENT:
            leaving.leave(visit, happened_at=now, now=now, by=self.player.actor, cause=cause)
            self.stage.clock.done()
        if cause is not None and Visit.objects.filter(pk=visit.pk, ended_early=True).exists():
            self.ended(self.appointment, cause)


def of_appointment(appointment: Appointment) -> Visit | None:
    related = Visit.objects.select_related("site", "appointment__referral__patient")
    return related.filter(appointment=appointment).first()


def state_of(visit: Visit) -> str:
    return Visit.objects.values_list("state", flat=True).get(pk=visit.pk)
