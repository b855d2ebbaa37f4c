"""Performs the acts around a referral: sent in, asked back, vetted, held, rejected."""

from datetime import date, datetime, timedelta

from gantry.apps.audit.models import Event
from gantry.apps.referrals import services as referrals
from gantry.apps.referrals.models import Referral, RequestedProcedure
from gantry.cli.demonstration.booking import Booking
from gantry.cli.demonstration.stage import Stage
from gantry.domain.access import Role
from gantry.domain.activity import NotOnCard, from_card, prescribe
from gantry.domain.events import Cause, CauseCode, EventKind, system
from gantry.domain.network.people import Kind
from gantry.domain.network.script import Course, Story
from gantry.domain.referral import ReferralState, RejectionReason, VetDecision
from gantry.reference.indications import EDITION
from gantry.reference.protocols import PROTOCOLS, usual_for
from gantry.reference.schemes import card, scheme
from gantry.reference.tracers import TRACERS

HOLD_FOR = timedelta(days=16)
ACCEPTED_ELSEWHERE = timedelta(hours=20)
SILENT_FOR = timedelta(days=12)
DECIDES_WITHIN = timedelta(hours=3)


def told(referral: Referral, kind: EventKind) -> bool:
    """Whether this has happened to it before: an interrupted load does nothing twice."""
    return Event.objects.filter(kind=kind.value, subjects__contains=[referral.pk]).exists()


class Referring:
    """One person's referral, from the moment it is sent."""

    def __init__(self, stage: Stage, story: Story, booking: Booking) -> None:
        self.stage, self.story, self.booking = stage, story, booking

    @property
    def source_key(self) -> str:
        return f"demonstration:{self.stage.seed}:{self.story.person.number}"

    def refer(self, now: datetime) -> None:
        referral = Referral.objects.filter(source_key=self.source_key).first()
        if referral is None and not self.was_refused():
            referral = self.send(now)
        if referral is None:
            return
        story, stage = self.story, self.stage
        if story.chased and story.course is Course.OUTSIDE:
            stage.clock.at(stage.working(now + ACCEPTED_ELSEWHERE), lambda at: self.passed_on(referral, at))
        if story.chased and story.course is Course.SILENT_REFERRER:
            stage.clock.at(stage.working(now + SILENT_FOR), lambda at: self.take_back(referral, at))
        if story.missing and story.course is not Course.SILENT_REFERRER:
            stage.clock.at(stage.working(now + story.answered), lambda at: self.answer(referral, at))
        if not story.missing:
            stage.clock.at(stage.working(now + story.vetted), lambda at: self.vet(referral, at))

    def was_refused(self) -> bool:
        """A refusal leaves no referral: its event is how an interrupted load knows that it was said."""
        refused = Event.objects.filter(kind=EventKind.REFERRAL_REFUSED.value, data__source_key=self.source_key)
        return refused.exists()

    def send(self, now: datetime) -> Referral | None:
        story, stage = self.story, self.stage
        sender = stage.organisations[story.hospital]
        player = next(iter(stage.players.get((Role.REFERRER, story.hospital), ())), None)
        received = referrals.receive(
            referrals.Submission(
                door="web",
                source_key=self.source_key,
                answers=story.answers,
                network=stage.network,
                sender_organisation=None if story.course is Course.PRIMARY_CARE else sender,
                referrer=player.person if player else None,
            ),
            now=now,
            by=player.actor if player else system(f"letter from {story.hospital}", sender.pk),
        )
        stage.clock.done()
        return None if isinstance(received, referrals.Refused) else received.referral

    def answer(self, referral: Referral, now: datetime) -> None:
        referral.refresh_from_db()
        player = self.stage.who(Role.REFERRER, self.story.hospital)
        if referral.state == ReferralState.AWAITING_REFERRER:
            referrals.answer(
                referral, self.story.forgotten, text="Added", now=now, by=player.actor, person=player.person
            )
            self.stage.clock.done()
        self.stage.clock.at(self.stage.working(now + self.story.vetted), lambda at: self.vet(referral, at))

    def passed_on(self, referral: Referral, now: datetime) -> None:
        """Somebody else has accepted it: only then is it no longer ours."""
        referral.refresh_from_db()
        if referral.state == ReferralState.REDIRECTED:
            by = self.stage.who(Role.BOOKING_COORDINATOR).actor
            referrals.close(referral, reason="Accepted by the network that serves the hospital", now=now, by=by)
            self.stage.clock.done()

    def take_back(self, referral: Referral, now: datetime) -> None:
        """Reminded at last, the referrer no longer wants it."""
        referral.refresh_from_db()
        if referral.state == ReferralState.AWAITING_REFERRER:
            by = self.stage.who(Role.REFERRER, self.story.hospital).actor
            referrals.withdraw(referral, reason="The plan has changed; no scan is needed", now=now, by=by)
            self.stage.clock.done()

    def vet(self, referral: Referral, now: datetime) -> None:
        referral.refresh_from_db()
        player = self.stage.who(Role.PRACTITIONER)
        if referral.state == ReferralState.TO_VET:
            decision = self.rejecting() if self.story.course is Course.REJECTED else self.accepting(now)
            vetted = referrals.vet(referral, decision, now=now, by=player.actor, person=player.person)
            self.stage.clock.done()
            if isinstance(vetted, referrals.NotVetted):
                return
            referral = vetted.referral
        if self.story.course is Course.ON_HOLD and referral.state in (ReferralState.ACCEPTED, ReferralState.ON_HOLD):
            if not told(referral, EventKind.REFERRAL_PUT_ON_HOLD):
                referrals.put_on_hold(
                    referral, reason="Chemotherapy first", until=now + HOLD_FOR, now=now, by=player.actor
                )
                self.stage.clock.done()
            if self.story.chased:
                self.stage.clock.at(self.stage.working(now + HOLD_FOR), lambda at: self.look_again(referral, at))
            return
        self.book(referral, now)

    def book(self, referral: Referral, now: datetime) -> None:
        procedure = RequestedProcedure.objects.filter(referral=referral).first()
        if procedure is not None and self.story.course in (Course.SCANNED, Course.ON_HOLD):
            self.booking.begin(procedure, now)

    def look_again(self, referral: Referral, now: datetime) -> None:
        """The day has come: decided anew, as the authorisation was for other weeks."""
        referral.refresh_from_db()
        if referral.state == ReferralState.ON_HOLD:
            self.back_to_vetting(referral, "Chemotherapy has ended", now)
        self.stage.clock.at(self.stage.working(now + DECIDES_WITHIN), lambda at: self.decide_again(referral, at))

    def unfinished(self, referral: Referral, cause: Cause, now: datetime) -> None:
        """Injected and not scanned: the practitioner decides what follows."""
        referral.refresh_from_db()
        if cause.code is CauseCode.CLAUSTROPHOBIA:
            if referral.state == ReferralState.ACCEPTED:
                by = self.stage.who(Role.PRACTITIONER).actor
                referrals.close(referral, reason="Could not bear the scanner: MR instead, agreed", now=now, by=by)
                self.stage.clock.done()
            return
        if not told(referral, EventKind.REFERRAL_RETURNED_TO_VETTING):
            self.back_to_vetting(referral, "Injected and not scanned: decide about a second dose", now)
        self.stage.clock.at(self.stage.working(now + DECIDES_WITHIN), lambda at: self.decide_again(referral, at))

    def back_to_vetting(self, referral: Referral, reason: str, now: datetime) -> None:
        referrals.return_to_vetting(referral, reason, now=now, by=self.stage.who(Role.PRACTITIONER).actor)
        self.stage.clock.done()

    def decide_again(self, referral: Referral, now: datetime) -> None:
        referral.refresh_from_db()
        player = self.stage.who(Role.PRACTITIONER)
        if referral.state == ReferralState.TO_VET:
            if isinstance(
                referrals.vet(referral, self.accepting(now), now=now, by=player.actor, person=player.person),
                referrals.NotVetted,
            ):
                return
            self.stage.clock.done()
        self.booking.calls = 0
        self.book(referral, now)

    def accepting(self, now: datetime) -> referrals.Vetting:
        return referrals.Vetting(
            VetDecision.ACCEPT,
            procedures=(self.wanted(now.date()),),
            justified=True,
            justification="Matches a commissioned indication; the result changes treatment",
            indication_row=self.story.person.illness.indication,
            indication_edition=EDITION,
        )

    def rejecting(self) -> referrals.Vetting:
        return referrals.Vetting(
            VetDecision.REJECT,
            reason=RejectionReason.NOT_INDICATED,
            explanation="A CT three days ago answers the question",
            where_to="Discuss at the MDT",
        )

    def wanted(self, on: date) -> referrals.Wanted:
        who = self.story.person
        tracer = TRACERS[who.illness.tracer].value
        made = prescribe(scheme(tracer.scheme, on).value, who.weight_kg)
        if who.kind is Kind.CHILD:
            read_off = from_card(card(tracer.paediatric_card, on).value, who.weight_kg)
            made = made if isinstance(read_off, NotOnCard) else read_off
        code = usual_for(tracer.code)
        return referrals.Wanted(
            procedure_code=tracer.procedure_code,
            tracer=tracer.code,
            title=f"{tracer.name} PET-CT",
            protocol=code,
            protocol_version=PROTOCOLS[code].value.version,
            activity_mbq=float(made.prescribed_mbq),
            scheme=made.scheme,
            weight_kg=who.weight_kg,
            computed_mbq=made.prescribed_mbq,
        )
