"""Performs the acts around a referral: sent in, asked back, vetted, held, rejected."""

from datetime import datetime, timedelta

from gantry.apps.audit.models import Event
from gantry.apps.referrals import services as referrals
from gantry.apps.referrals.models import Referral, RequestedProcedure
from gantry.cli.demonstration.booking import Booking
from gantry.cli.demonstration.stage import Stage
from gantry.domain.access import Role
from gantry.domain.activity import NotOnCard, from_card, prescribe
from gantry.domain.events import EventKind, system
from gantry.domain.network.people import Kind
from gantry.domain.network.script import Course, Story
from gantry.domain.referral import ReferralState, RejectionReason, VetDecision
from gantry.reference.indications import EDITION
from gantry.reference.protocols import PROTOCOLS, usual_for
from gantry.reference.schemes import CARDS, SCHEMES
from gantry.reference.tracers import TRACERS

HOLD_FOR = timedelta(days=16)


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

    def vet(self, referral: Referral, now: datetime) -> None:
        referral.refresh_from_db()
        player = self.stage.who(Role.PRACTITIONER)
        if referral.state == ReferralState.TO_VET:
            decision = self.rejecting() if self.story.course is Course.REJECTED else self.accepting()
            vetted = referrals.vet(referral, decision, now=now, by=player.actor, person=player.person)
            self.stage.clock.done()
            if isinstance(vetted, referrals.NotVetted):
                return
            referral = vetted.referral
        if referral.state == ReferralState.ACCEPTED and self.story.course is Course.ON_HOLD:
            referrals.put_on_hold(referral, reason="Chemotherapy first", until=now + HOLD_FOR, now=now, by=player.actor)
            self.stage.clock.done()
            return
        procedure = RequestedProcedure.objects.filter(referral=referral).first()
        if procedure is not None and self.story.course is Course.SCANNED:
            self.booking.begin(procedure, now)

    def accepting(self) -> referrals.Vetting:
        return referrals.Vetting(
            VetDecision.ACCEPT,
            procedures=(self.wanted(),),
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

    def wanted(self) -> referrals.Wanted:
        who = self.story.person
        tracer = TRACERS[who.illness.tracer].value
        made = prescribe(SCHEMES[tracer.scheme].value, who.weight_kg)
        if who.kind is Kind.CHILD:
            card = from_card(CARDS[tracer.paediatric_card].value, who.weight_kg)
            made = made if isinstance(card, NotOnCard) else card
        code = usual_for(tracer.code)
        return referrals.Wanted(
            procedure_code=tracer.procedure_code,
            tracer=tracer.code,
            title=f"{tracer.name} PET-CT",
            protocol=code,
            protocol_version=PROTOCOLS[code].value.version,
            activity_mbq=float(made.prescribed_mbq),
            scheme=made.scheme,
        )
