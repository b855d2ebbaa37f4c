"""Booking: all of a slot or none, the old kept until the new is sure, and every end with its cause."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db import IntegrityError, transaction

from gantry.apps.accounts.models import PractitionerLicence
from gantry.apps.audit.models import Event
from gantry.apps.audit.services import Stale
from gantry.apps.booking import services as booking
from gantry.apps.booking.calendar import network_calendar
from gantry.apps.booking.models import Appointment, Reservation, SlotOffer
from gantry.apps.booking.services import following
from gantry.apps.estate.models import ActivityAllotment, Closure, EmployerLicence, Organisation
from gantry.apps.patients.models import Patient
from gantry.apps.referrals import services as referrals
from gantry.apps.referrals.models import Referral
from gantry.domain.access import Scope
from gantry.domain.appointment import CLEANING
from gantry.domain.events import Cause, CauseCode, Initiator, system
from gantry.domain.lifecycle import IllegalMove
from gantry.solvers.offers import Half, Wish
from tests.apps.factories import (
    NOW,
    hold_first,
    make_accepted,
    make_bookable,
    make_booked_appointment,
    make_network,
    make_practitioner,
)

pytestmark = pytest.mark.django_db
BY = system("tests")
LONDON = ZoneInfo("Europe/London")
SUPPLIER_FAILED = Cause(CauseCode.BATCH_FAILED, Initiator.SUPPLIER)


@pytest.fixture
def network():
    made = make_network()
    make_bookable(made)
    return made


def at(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 11, 23 + day, hour, minute, tzinfo=LONDON)


def free_mbq() -> list[float]:
    return [round(row.free_mbq, 3) for row in ActivityAllotment.objects.order_by("reference_at")]


def kinds(appointment) -> list[str]:
    return [e.kind for e in Event.objects.filter(subjects__contains=[appointment.pk]).order_by("recorded_at", "pk")]


def other(procedure, appointment, **wish):
    return next(o.choice for o in booking.offers_for(procedure, now=NOW, wish=Wish(**wish))
                if o.arrival_at != appointment.arrival_at)  # fmt: skip


def test_offers_are_inside_the_referrers_timescale_with_reason_and_distance(network):
    referral = make_accepted(network)
    referral.patient.latitude, referral.patient.longitude = 53.48, -2.24
    referral.patient.save()
    offers = booking.offers_for(referral.procedures.get(), now=NOW)
    first = offers[0]
    assert [o.arrival_at.astimezone(LONDON).strftime("%a %H:%M") for o in offers] == [
        "Tue 07:40", "Tue 12:00", "Wed 07:40", "Wed 12:00", "Thu 07:40", "Thu 12:00",
    ]  # fmt: skip
    assert first.reason == "In time, 9 days to spare; the soonest anywhere; the nearest site, 6 km away"
    assert not first.late


def test_a_wish_narrows(network):
    procedure = make_accepted(network).procedures.get()
    offers = booking.offers_for(procedure, now=NOW, wish=Wish(half=Half.AFTERNOON, from_day=at(2, 0).date()))
    assert [o.arrival_at.astimezone(LONDON).strftime("%a %H:%M") for o in offers] == ["Wed 12:00", "Thu 12:00"]


def test_offers_are_kept_with_their_reasons_and_what_became_of_them(network):
    procedure = make_accepted(network).procedures.get()
    offers = booking.offers_for(procedure, now=NOW)[:3]
    rows = booking.make_offers(procedure, offers, now=NOW, by=BY)
    booking.decline(rows[0], "Works in the mornings", now=NOW, by=BY)
    booking.hold(procedure, offers[1].choice, now=NOW, by=BY)
    assert list(SlotOffer.objects.order_by("rank").values_list("state", flat=True)) == ["declined", "taken", "made"]
    with pytest.raises(Stale):
        booking.decline(rows[0], "Again", now=NOW, by=BY)


def test_a_hold_has_scanner_room_and_activity(network):
    procedure = make_accepted(network).procedures.get()
    held = hold_first(procedure)
    spans = {r.resource_kind: (r.during.lower, r.during.upper) for r in held.reservations.all()}
    assert spans == {
        "scanner": (held.scan_at, held.ends_at + CLEANING),
        "room": (held.arrival_at, held.scan_at),
    }
    decayed = 250 * 2 ** ((held.injection_at - held.allotment.reference_at).total_seconds() / 6586.2)
    assert held.activity_mbq == pytest.approx(decayed)
    assert free_mbq()[0] == pytest.approx(20_000 - decayed, abs=0.01)
    assert held.hold_expires_at == NOW + timedelta(minutes=10)
    event = Event.objects.get(kind="slot_held")
    assert event.data["claim"]["room"] and event.about["procedure"] == str(procedure.pk)


def test_whoever_comes_second_gets_other_choices_and_nothing_is_half_taken(network):
    one, two = (make_accepted(network).procedures.get() for _ in range(2))
    choice = booking.offers_for(one, now=NOW)[0].choice
    assert isinstance(booking.hold(one, choice, now=NOW, by=BY), Appointment)
    before = free_mbq()
    gone = booking.hold(two, choice, now=NOW, by=BY)
    assert isinstance(gone, booking.Gone)
    assert gone.reason == "Somebody else took the scanner at that time"
    assert gone.other_choices and choice.arrival_at not in [o.arrival_at for o in gone.other_choices]
    assert free_mbq() == before
    assert Reservation.objects.count() == 2 and Appointment.objects.count() == 1


def test_no_room_left_and_no_tracer_left_are_said_as_such():
    made = make_network()
    make_bookable(made, rooms=1, mbq=600)
    one, two, three = (make_accepted(made).procedures.get() for _ in range(3))
    first = booking.hold(one, booking.offers_for(one, now=NOW)[0].choice, now=NOW, by=BY)
    choice = booking.Choice(first.site_id, first.scanner_id, first.arrival_at + timedelta(minutes=30))
    gone = booking.hold(two, choice, now=NOW, by=BY)
    assert gone.reason == "No uptake room is left at that time"
    choice = booking.Choice(first.site_id, first.scanner_id, first.arrival_at + timedelta(hours=4))
    gone = booking.hold(three, choice, now=NOW, by=BY)
    assert gone.reason == "No tracer is left for that time"
    assert Reservation.objects.filter(active=True).count() == 2


def test_a_second_room_is_tried_before_giving_up(network):
    one, two = (make_accepted(network).procedures.get() for _ in range(2))
    first = hold_first(one)
    choice = booking.Choice(first.site_id, first.scanner_id, first.arrival_at + timedelta(minutes=30))
    second = booking.hold(two, choice, now=NOW, by=BY)
    rooms = set(Reservation.objects.filter(resource_kind="room").values_list("resource", flat=True))
    assert isinstance(second, Appointment) and len(rooms) == 2


def test_the_constraint_itself_refuses_an_overlap(network):
    held = hold_first(make_accepted(network).procedures.get())
    theirs = held.reservations.get(resource_kind="scanner")
    with pytest.raises(IntegrityError, match="reservation_no_overlap"), transaction.atomic():
        Reservation.objects.create(
            appointment=held, resource_kind="scanner", resource=theirs.resource, during=theirs.during
        )


@pytest.mark.parametrize(
    ("arrange", "reason"),
    [
        (lambda made: EmployerLicence.objects.filter(site=made.site).delete(), "No employer licence"),
        (lambda made: PractitionerLicence.objects.all().delete(), "No licence of this practitioner"),
        (
            lambda made: Closure.objects.create(
                site=made.site, from_at=at(1, 0), to_at=at(2, 0), reason="bank holiday"
            ),
            "is not open then: bank holiday",
        ),
        (lambda made: made.site.deployments.update(to_at=NOW), "is not at"),
        (lambda made: made.site.sessions.all().delete(), "no session that holds the whole scan"),
    ],
    ids=["licence gone", "practitioner's licence gone", "closed", "scanner moved away", "session cancelled"],
)
def test_a_stale_page_is_refused_with_its_reasons(network, arrange, reason):
    procedure = make_accepted(network).procedures.get()
    choice = booking.offers_for(procedure, now=NOW)[0].choice
    arrange(network)
    with pytest.raises(booking.Refused) as refused:
        booking.hold(procedure, choice, now=NOW, by=BY)
    assert any(reason in each for each in refused.value.reasons), refused.value.reasons
    assert not Appointment.objects.exists() and free_mbq() == [20_000.0] * 3


def test_a_new_hold_of_the_same_scan_lets_the_old_one_go(network):
    procedure = make_accepted(network).procedures.get()
    first = hold_first(procedure)
    second = booking.hold(procedure, other(procedure, first), now=NOW, by=BY)
    first.refresh_from_db()
    assert (first.state, second.state) == ("expired", "held")
    assert Reservation.objects.filter(active=True).count() == 2


def test_holds_expire_by_the_job_and_give_everything_back(network):
    held = hold_first(make_accepted(network).procedures.get())
    assert booking.expire_holds(NOW + timedelta(minutes=9)) == 0
    assert booking.expire_holds(NOW + timedelta(minutes=10)) == 1
    held.refresh_from_db()
    assert held.state == "expired"
    assert free_mbq() == [20_000.0] * 3
    assert kinds(held) == ["slot_held", "hold_expired"]


def test_an_overdue_hold_gives_way_at_once_to_whoever_asks(network):
    one, two = (make_accepted(network).procedures.get() for _ in range(2))
    first = hold_first(one)
    choice = booking.Choice(first.site_id, first.scanner_id, first.arrival_at)
    later = NOW + timedelta(minutes=11)
    assert isinstance(booking.hold(two, choice, now=later, by=BY), Appointment)
    with pytest.raises(Stale):
        booking.confirm(first, now=later, by=BY)


def test_confirming_asks_about_the_authorisation_again(network):
    held = hold_first(make_accepted(network).procedures.get())
    PractitionerLicence.objects.all().delete()
    with pytest.raises(booking.Refused, match="licence"):
        booking.confirm(held, now=NOW, by=BY)
    held.refresh_from_db()
    assert held.state == "held"


def test_booked_told_and_first_told_kept_through_a_move(network):
    appointment = make_booked_appointment(network)
    told_for = appointment.first_told_for
    new = booking.move(
        appointment, other(appointment.procedure, appointment, from_day=at(2, 0).date()), cause=SUPPLIER_FAILED,
        now=NOW, by=BY,
    )  # fmt: skip
    booking.tell(new, channel="phone", now=NOW, by=BY)
    assert new.first_told_for == told_for != new.scan_at.astimezone(LONDON).date()
    told = Event.objects.filter(kind="patient_told").order_by("pk")
    assert [e.data["for"] for e in told] == ["2026-11-24", "2026-11-25"]
    assert told[0].data["nhs"] is True
    assert kinds(appointment) == [
        "slot_held", "appointment_booked", "patient_told", "appointment_moved", "appointment_booked",
    ]  # fmt: skip
    moved = Event.objects.get(kind="appointment_moved")
    assert (moved.cause_code, moved.cause_initiator) == ("batch_failed", "supplier")


def test_a_move_by_ten_minutes_does_not_collide_with_itself(network):
    appointment = make_booked_appointment(network)
    choice = booking.Choice(appointment.site_id, appointment.scanner_id, appointment.arrival_at + timedelta(minutes=10))
    new = booking.move(appointment, choice, cause=SUPPLIER_FAILED, now=NOW, by=BY)
    assert new.replaces_id == appointment.pk and new.arrival_at == choice.arrival_at
    assert Reservation.objects.filter(active=True).count() == 2
    assert sum(20_000 - f for f in free_mbq()) == pytest.approx(new.activity_mbq, abs=0.01)


def test_a_move_that_cannot_be_made_leaves_the_old_slot_untouched(network):
    first, second = make_booked_appointment(network), make_booked_appointment(network)
    before = free_mbq()
    choice = booking.Choice(first.site_id, first.scanner_id, first.arrival_at)
    gone = booking.move(second, choice, cause=SUPPLIER_FAILED, now=NOW, by=BY)
    assert isinstance(gone, booking.Gone)
    second.refresh_from_db()
    assert second.state == "told" and free_mbq() == before
    assert Reservation.objects.filter(active=True).count() == 4
    booking.cancel(second, cause=SUPPLIER_FAILED, now=NOW, by=BY)  # the row in hand is as the database has it


def test_a_move_to_another_site_says_so_and_asks_that_sites_papers(network):
    appointment = make_booked_appointment(network)
    scanner = make_bookable(network, site=network.other_site)
    choice = booking.Choice(network.other_site.pk, scanner.pk, at(1, 10))
    new = booking.move(appointment, choice, cause=SUPPLIER_FAILED, now=NOW, by=BY)
    assert "site_changed" in kinds(new)
    EmployerLicence.objects.filter(site=network.site).delete()
    with pytest.raises(booking.Refused, match="No employer licence"):
        booking.move(
            new, booking.Choice(appointment.site_id, appointment.scanner_id, at(2, 10)), cause=SUPPLIER_FAILED,
            now=NOW, by=BY,
        )  # fmt: skip
    new.refresh_from_db()
    assert new.state == "booked"


def test_a_cancelled_slot_is_free_again_with_its_cause(network):
    appointment = make_booked_appointment(network)
    root = Event.objects.first().pk
    booking.cancel(appointment, cause=Cause(CauseCode.BATCH_LATE, Initiator.SUPPLIER, root), now=NOW, by=BY)
    event = Event.objects.get(kind="appointment_cancelled")
    assert (event.cause_code, event.root_event) == ("batch_late", root)
    assert free_mbq() == [20_000.0] * 3 and not Reservation.objects.filter(active=True).exists()
    appointment.referral.refresh_from_db()
    assert appointment.referral.next_step == "Offer another date"


def test_a_cause_that_blames_the_wrong_side_is_refused(network):
    appointment = make_booked_appointment(network)
    with pytest.raises(booking.Refused, match="patient's own choice"):
        booking.cancel(appointment, cause=Cause(CauseCode.PATIENT_CANCELLED, Initiator.PROVIDER), now=NOW, by=BY)
    assert not Event.objects.filter(kind="appointment_cancelled").exists()


@pytest.mark.parametrize(
    ("born", "at_risk", "state"),
    [("1958-03-14", False, "did_not_attend"), ("1958-03-14", True, "was_not_brought"),
     ("2010-11-25", False, "was_not_brought"), ("2010-11-24", False, "did_not_attend")],
    ids=["adult", "adult at risk", "child until tomorrow's birthday", "16 that day"],
)  # fmt: skip
def test_a_child_was_not_brought(network, born, at_risk, state):
    appointment = make_booked_appointment(network)
    patient = appointment.referral.patient
    patient.date_of_birth = datetime.fromisoformat(born).date()
    patient.save()
    booking.not_attended(appointment, at_risk=at_risk, now=at(1, 12), by=BY)
    appointment.refresh_from_db()
    assert appointment.state == state
    assert free_mbq() == [20_000.0] * 3


def test_the_day_itself(network):
    appointment = make_booked_appointment(network)
    booking.arrive(appointment, now=at(1, 7, 30), by=BY)
    with pytest.raises(IllegalMove):
        booking.cancel(appointment, cause=SUPPLIER_FAILED, now=at(1, 8), by=BY)
    booking.fulfil(appointment, now=at(1, 10), by=BY)
    assert "appointment_fulfilled" in kinds(appointment)
    assert free_mbq()[0] == pytest.approx(20_000 - appointment.activity_mbq, abs=0.01)
    turned = make_booked_appointment(network)
    booking.arrive(turned, now=at(1, 9), by=BY)
    booking.turn_away(turned, cause=Cause(CauseCode.NOT_FASTED, Initiator.PROVIDER), now=at(1, 9), by=BY)
    assert not Reservation.objects.filter(active=True).exists()


def test_a_stale_row_moves_nothing(network):
    appointment = make_booked_appointment(network)
    stale = Appointment.objects.get(pk=appointment.pk)
    booking.cancel(appointment, cause=SUPPLIER_FAILED, now=NOW, by=BY)
    with pytest.raises(Stale) as refused:
        booking.move(stale, other(stale.procedure, stale), cause=SUPPLIER_FAILED, now=NOW, by=BY)
    assert refused.value.last.kind == "appointment_cancelled"
    assert free_mbq() == [20_000.0] * 3


def test_a_scan_is_booked_once(network):
    appointment = make_booked_appointment(network)
    with pytest.raises(booking.Refused, match="already booked"):
        hold_first(appointment.procedure)


def test_the_day_before_an_uncovered_exposure_goes_back_to_be_decided(network):
    appointment = make_booked_appointment(network, practitioner=make_practitioner(network))
    assert booking.recheck_authorisations(NOW) == {}
    PractitionerLicence.objects.all().delete()
    found = booking.recheck_authorisations(NOW)
    assert list(found) == [appointment] and "No licence of this practitioner" in found[appointment][0]
    appointment.referral.refresh_from_db()
    appointment.authorisation.refresh_from_db()
    assert (appointment.referral.state, appointment.authorisation.state) == ("to_vet", "lapsed")
    assert Event.objects.filter(kind="authorisation_lapsed").count() == 1
    booking.recheck_authorisations(NOW)
    assert Event.objects.filter(kind="authorisation_lapsed").count() == 1


def test_the_recheck_looks_over_a_weekend(network):
    appointment = make_booked_appointment(network)
    PractitionerLicence.objects.all().delete()
    friday = datetime(2026, 11, 20, 17, tzinfo=LONDON)
    assert booking.recheck_authorisations(friday) == {}
    Appointment.objects.filter(pk=appointment.pk).update(arrival_at=at(0, 9))
    assert list(booking.recheck_authorisations(friday)) == [appointment]


def test_the_calendar_follows_every_commit_and_is_not_built_for_nothing(network):
    calendar = network_calendar(NOW)
    assert network_calendar(NOW) is calendar
    hold_first(make_accepted(network).procedures.get())
    after = network_calendar(NOW)
    assert after is not calendar and after.free.sum() != calendar.free.sum()
    Closure.objects.create(site=network.site, from_at=at(1, 0), to_at=at(4, 0), reason="flood")
    assert network_calendar(NOW).free.sum() == 0


def test_attempts_to_ring_are_kept_and_the_next_one_is_due(network):
    referral = make_accepted(network)
    booking.log_attempt(referral, channel="phone", outcome="no_answer", now=NOW, by=BY)
    referral.refresh_from_db()
    assert referral.contacts.get().outcome == "no_answer"
    assert referral.next_step == "Ring again: no answer"
    assert Event.objects.filter(kind="contact_attempted").count() == 1


def test_a_withdrawn_referral_gives_its_slot_back_with_its_event_as_root(network):
    appointment = make_booked_appointment(network)
    referrals.withdraw(appointment.referral, reason="Scanned elsewhere", now=NOW, by=BY)
    appointment.refresh_from_db()
    ended = Event.objects.get(kind="appointment_cancelled")
    assert appointment.state == "cancelled" and free_mbq() == [20_000.0] * 3
    assert ended.root_event == Event.objects.get(kind="referral_withdrawn").pk
    assert (ended.cause_code, ended.cause_initiator) == ("changed_plan", "referrer")


def test_everything_here_leaves_a_history_without_fault(network):
    first, second = make_booked_appointment(network), make_booked_appointment(network)
    moved = booking.move(
        first, other(first.procedure, first, from_day=at(2, 0).date()), cause=SUPPLIER_FAILED, now=NOW, by=BY
    )
    booking.cancel(moved, cause=SUPPLIER_FAILED, now=NOW, by=BY)
    booking.arrive(second, now=at(1, 8), by=BY)
    booking.fulfil(second, now=at(1, 10), by=BY)
    third = hold_first(make_accepted(network).procedures.get())
    assert booking.history_faults() == []
    ActivityAllotment.objects.filter(pk=third.allotment_id).update(free_mbq=19_000)
    assert len(booking.history_faults()) == 1


def test_the_employer_at_the_site_sees_whom_it_will_scan(network):
    """A room where half the people cannot be seen is a danger to all of them."""
    referral = make_accepted(network)
    stranger = Organisation.objects.create(ods_code="RM3", name="Another employer", kind="acute_trust")
    held = hold_first(referral.procedures.get())
    held.site.organisation = stranger
    held.site.save(update_fields=["organisation"])
    theirs = Scope(frozenset({stranger.pk}))
    assert not Referral.objects.for_user(theirs).exists()
    following.employer_sees(Event(about={"appointment": str(held.pk)}))
    assert Referral.objects.for_user(theirs).get() == referral
    assert Patient.objects.for_user(theirs).get() == referral.patient
