"""The scan day: what stops an injection, that what happened is always recorded, and that corrections keep both."""

from datetime import timedelta
from math import isclose

import pytest

from gantry.apps.audit.models import Event
from gantry.apps.audit.services import Stale
from gantry.apps.booking import services as booking
from gantry.apps.booking.models import Appointment
from gantry.apps.estate import services as estate
from gantry.apps.estate.models import EmployerLicence, Fault
from gantry.apps.radiopharmacy import services as radiopharmacy
from gantry.apps.radiopharmacy.models import Batch, Dose
from gantry.apps.scanning.models import Injection, ScheduledStep, StepDone, Visit
from gantry.apps.scanning.services import visits
from gantry.domain.events import Cause, CauseCode, Initiator
from gantry.domain.supply import Match
from gantry.reference.nuclides import F18
from tests.apps.factories import NOW, make_bookable, make_booked_appointment, make_network
from tests.apps.scan_day import BY, Day, make_booked, make_day, scan

pytestmark = pytest.mark.django_db
FAILED = Cause(CauseCode.SCANNER_FAILED, Initiator.PROVIDER, note="Gantry motor")
AT = NOW + timedelta(minutes=20)


def kinds(visit) -> list[str]:
    return list(Event.objects.filter(subjects__contains=[visit.pk]).order_by("pk").values_list("kind", flat=True))


def arrived(day: Day, visit: Visit) -> Visit:
    return visits.arrive(visit, happened_at=NOW, now=NOW, by=day.by)


def step(day: Day, visit: Visit, key: str, minutes: float, **more) -> StepDone:
    at = NOW + timedelta(minutes=minutes)
    return visits.record_step(visit, key, happened_at=at, now=at, by=day.by, **more)


def prepared(day: Day, visit: Visit | None = None) -> Visit:
    visit = arrived(day, visit or make_booked(day))
    for minutes, key in enumerate(("identify", "weigh", "glucose", "cannula"), start=2):
        step(day, visit, key, minutes)
    return visit


def inject(day: Day, visit: Visit, dose: Dose, *, key="inject", at=AT, now=AT, match=None, **more):
    return visits.inject(
        visit, key, dose, injected_at=at, match=match or scan(dose), now=now, by=day.by, person=day.person, **more
    )


def test_a_booking_makes_a_visit_and_a_worklist_item_once():
    day = make_day()
    visit = make_booked(day)
    item = ScheduledStep.objects.get()
    assert (visit.state, visit.protocol, visit.on) == ("expected", "fdg_body", NOW.date())
    patient = visit.appointment.referral.patient
    assert (item.patient_id, item.family_name, item.sex) == (patient.nhs_number, patient.family_name, "F")
    assert item.accession_number == visit.appointment.procedure.accession_number
    assert len(item.scheduled_step_id) <= 16 and item.scheduled_step_id != item.accession_number
    visits.follow(Event.objects.get(kind="appointment_booked"))
    assert Visit.objects.count() == ScheduledStep.objects.count() == 1


def test_an_appointment_that_goes_takes_its_visit_and_its_worklist_item_with_it():
    day = make_day()
    visit = make_booked(day)
    Appointment.objects.update(state="cancelled")
    visits.follow(Event.objects.get(kind="appointment_booked"))
    assert not Visit.objects.exists() and ScheduledStep.objects.get().state == "removed"
    assert Appointment.objects.get().pk == visit.appointment_id


def test_nobody_came_is_kept_as_not_seen():
    day = make_day()
    make_booked(day)
    Appointment.objects.update(state="did_not_attend")
    visits.follow(Event.objects.get(kind="appointment_booked"))
    assert Visit.objects.get().state == "not_seen"


def test_a_plain_morning_from_the_door_to_the_way_home():
    day = make_day()
    visit = prepared(day)
    dose = day.dose()
    given = inject(day, visit, dose, at=NOW + timedelta(minutes=2), now=AT)
    assert isinstance(given, Injection) and given.match == "scan" and not given.breach
    dose = Dose.objects.get()
    assert dose.state == "administered" and dose.appointment_id == visit.appointment_id
    radiopharmacy.assay_residual(
        dose, activity_mbq=5, at=NOW + timedelta(minutes=2) + F18.half_life, instrument="C1", now=AT, by=day.by
    )
    assert isclose(dose.net_mbq + 0.0, 250 * 2 ** -(timedelta(minutes=2) / F18.half_life) - 10)
    step(day, visit, "void", 55)
    step(day, visit, "scan", 62, phase="start")
    step(day, visit, "scan", 82)
    step(day, visit, "check", 85)
    visit = visits.leave(visit, happened_at=NOW + timedelta(minutes=95), now=AT, by=day.by)
    assert visit.state == "left" and not visit.ended_early
    assert Appointment.objects.get().state == "fulfilled" and ScheduledStep.objects.get().state == "done"
    assert not StepDone.objects.exclude(breach=[]).exists()
    assert "breach_recorded" not in kinds(visit)
    balance = radiopharmacy.balance(Batch.objects.get(), at=AT)
    assert isclose(balance.unexplained_mbq, 0, abs_tol=1e-6) and balance.residual_mbq > 0


def test_every_reason_against_an_injection_is_said_at_once_and_nothing_is_saved():
    day = make_day(tested=False)
    visit = make_booked(day)
    EmployerLicence.objects.all().delete()
    dose = day.dose(320)
    refused = inject(day, visit, dose, match=Match(barcode="D0000000000"))
    said = "\n".join(refused.reasons)
    for words in (
        "Arrival was not recorded",
        "Identity has not been checked",
        "licence",
        "scanned barcode is D0000000000",
        "over the prescribed 250 MBq",
        "no daily quality control",
        "Cannula has not been recorded",
    ):
        assert words in said
    assert not Injection.objects.exists() and Dose.objects.get().state == "prepared"
    assert "dose_injected" not in kinds(visit)


@pytest.mark.parametrize(
    ("match", "allowed"),
    [
        ({"nhs_number": "right", "date_of_birth": "right"}, True),
        ({"nhs_number": "right", "family_name": " testCASE "}, True),
        ({"nhs_number": "right"}, False),
        ({}, False),
        ({"nhs_number": "999 000 0000", "date_of_birth": "right", "family_name": "Testcase"}, False),
    ],
)
def test_two_typed_checks_are_as_good_as_a_scan_and_one_that_disagrees_is_not(match, allowed):
    day = make_day()
    visit = prepared(day)
    patient = visit.appointment.referral.patient
    right = {"nhs_number": patient.nhs_number, "date_of_birth": patient.date_of_birth}
    typed = Match(**{name: right[name] if value == "right" else value for name, value in match.items()})
    outcome = inject(day, visit, day.dose(280), match=typed)
    assert isinstance(outcome, Injection) is allowed


def test_the_pregnancy_enquiry_is_asked_of_those_it_applies_to_and_its_answer_counts():
    day = make_day()
    visit = make_booked(
        day,
        date_of_birth=NOW.date().replace(year=1990),
        organs_for_pregnancy="yes",
        pregnancy_status="N",
        breastfeeding=False,
    )
    visit = prepared(day, visit)
    dose = day.dose(280)
    assert inject(day, visit, dose).reasons == ["The pregnancy enquiry has not been made at this visit"]
    step(day, visit, "enquire", 10, extra={"answer": "possible"})
    assert "may be pregnant" in inject(day, visit, dose).reasons[0]
    enquiry = visit.steps.get(key="enquire")
    visits.correct_step(enquiry, happened_at=None, reason="Wrong person", now=AT, by=day.by)
    step(day, visit, "enquire", 11, extra={"answer": "no"})
    assert isinstance(inject(day, visit, dose), Injection)


def test_an_override_is_named_reasoned_and_recorded_as_a_breach():
    day = make_day(tested=False)
    visit = prepared(day)
    given = inject(day, visit, day.dose(280), override_reason="Test done on paper, network down")
    assert given.breach == ["Scanner 1 has no daily quality control recorded today"]
    breach = Event.objects.get(kind="breach_recorded")
    assert breach.data["authorised"] is True and breach.data["override"].startswith("Test done")
    assert breach.by == day.by.id and given.by == day.person


def test_no_override_lifts_a_dose_that_is_not_surely_this_persons():
    day = make_day()
    other, visit = prepared(day), prepared(day, make_booked(day, arrival_at=NOW + timedelta(hours=3)))
    dose = day.dose(280)
    radiopharmacy.assign(dose, other.appointment, now=NOW, by=day.by)
    refused = inject(day, visit, dose, override_reason="In a hurry")
    assert refused.never == ["This dose is for another person"]
    happened = inject(day, visit, dose, already_happened=True)
    assert "This dose is for another person" in happened.breach
    dose.refresh_from_db()
    assert dose.appointment_id == visit.appointment_id and "dose_reassigned" in kinds(dose)
    with pytest.raises(radiopharmacy.Impossible):
        inject(day, other, dose, already_happened=True)


def test_a_recalled_batch_and_an_open_fault_stop_the_syringe():
    day = make_day()
    visit = prepared(day)
    dose = day.dose(280)
    radiopharmacy.fail_batch(day.batch, cause=FAILED, now=NOW, by=day.by)
    fault = estate.record_fault(day.scanner, cause=FAILED, at=NOW, now=NOW, by=day.by)
    said = inject(day, visit, dose).reasons
    assert any("recalled" in reason for reason in said) and any("Gantry motor" in reason for reason in said)
    estate.restore(fault, at=AT, now=AT, by=day.by)
    with pytest.raises(Stale):
        estate.restore(Fault.objects.get(), at=AT, now=AT, by=day.by)
    assert not any("Gantry motor" in reason for reason in inject(day, visit, dose).reasons)
    assert Event.objects.get(kind="scanner_failed").site == day.made.site.pk


def test_a_failed_batch_lists_those_it_displaces_and_those_who_had_it():
    day = make_day()
    had, waits = prepared(day), make_booked(day, arrival_at=NOW + timedelta(hours=1))
    inject(day, had, day.dose(280))
    event = radiopharmacy.fail_batch(day.batch, cause=FAILED, now=AT, by=day.by)
    assert event.data["displaced"] == [str(waits.appointment_id)]
    assert event.data["injected"] == [str(had.appointment_id)]


def test_what_happened_out_of_order_is_recorded_with_its_breach():
    day = make_day()
    visit = make_booked(day)
    done = step(day, visit, "scan", 10, phase="start")
    assert done.breach == ["Arrival was not recorded first", "Bladder emptied was not recorded first"]
    assert {"acquisition_started", "breach_recorded", "incident_opened"} <= set(kinds(visit))


def test_an_uptake_outside_its_window_is_a_breach_with_its_minutes():
    day = make_day()
    visit = prepared(day)
    inject(day, visit, day.dose(280))
    step(day, visit, "void", 50)
    assert step(day, visit, "scan", 67, phase="start").breach == [
        "Scan began 47 minutes after injection; 55 to 75 minutes are accepted"
    ]


def test_a_second_tap_says_who_was_first():
    day = make_day()
    visit = arrived(day, make_booked(day))
    step(day, visit, "identify", 2)
    with pytest.raises(visits.AlreadyRecorded) as raised:
        step(day, visit, "identify", 3)
    assert raised.value.step.by_name == day.by.name and visit.steps.count() == 1


def test_a_correction_keeps_the_old_row_and_moves_the_net_activity():
    day = make_day()
    visit = prepared(day)
    inject(day, visit, day.dose(280))
    before = Dose.objects.get().net_mbq
    done = visit.steps.get(key="inject")
    with pytest.raises(visits.NeedsReason):
        visits.correct_step(done, happened_at=NOW, reason=" ", now=AT, by=day.by)
    earlier = AT - timedelta(minutes=4)
    visits.correct_step(done, happened_at=earlier, reason="Clock read wrong", now=AT, by=day.by)
    assert visit.steps.get(key="inject", current=False).happened_at == AT
    assert visit.steps.get(key="inject", current=True).happened_at == earlier
    assert Injection.objects.get().injected_at == earlier == Dose.objects.get().injected_at
    assert Dose.objects.get().net_mbq > before
    event = Event.objects.get(kind="step_corrected")
    assert event.corrects == done.event and event.data["reason"] == "Clock read wrong"
    with pytest.raises(Stale):
        visits.correct_step(done, happened_at=NOW, reason="again", now=AT, by=day.by)
    with pytest.raises(visits.NotAStep):
        visits.correct_step(visit.steps.get(key="inject", current=True), happened_at=None, reason="x", now=AT, by=BY)


def test_weight_of_the_day_goes_to_the_scanner():
    day = make_day()
    visit = arrived(day, make_booked(day))
    step(day, visit, "weigh", 3, extra={"weight_kg": 74.2})
    visit.refresh_from_db()
    assert visit.weight_kg == ScheduledStep.objects.get().weight_kg == 74.2


def test_leaving_after_an_injection_without_a_scan_ends_early_and_asks_for_the_cause():
    day = make_day()
    visit = prepared(day)
    inject(day, visit, day.dose(280))
    with pytest.raises(visits.NeedsCause):
        visits.leave(visit, happened_at=AT, now=AT, by=day.by)
    with pytest.raises(visits.WasInjected):
        visits.turn_away(visit, cause=FAILED, happened_at=AT, now=AT, by=day.by)
    visit = visits.leave(visit, happened_at=AT, now=AT, by=day.by, cause=FAILED)
    assert visit.ended_early and visit.state == "left"
    abandoned = Event.objects.get(kind="visit_abandoned")
    assert abandoned.data["injected"] is True and abandoned.cause_code == "scanner_failed"


def test_turned_away_before_the_injection_frees_the_dose_for_waste():
    day = make_day()
    visit = arrived(day, make_booked(day))
    dose = day.dose(280)
    radiopharmacy.assign(dose, visit.appointment, now=NOW, by=day.by)
    cause = Cause(CauseCode.HYPERGLYCAEMIA, Initiator.PROVIDER)
    visit = visits.turn_away(visit, cause=cause, happened_at=AT, now=AT, by=day.by)
    assert Appointment.objects.get().state == "turned_away" and ScheduledStep.objects.get().state == "removed"
    assert visits.unused_doses(visit) == [dose]
    event = Event.objects.get(kind="patient_turned_away")
    assert event.cause_code == "hyperglycaemia"


def test_a_discontinued_scan_is_not_a_whole_one():
    day = make_day()
    visit = prepared(day)
    inject(day, visit, day.dose(280))
    step(day, visit, "void", 74)
    step(day, visit, "scan", 80, phase="start")
    step(day, visit, "scan", 84, extra={"complete": False})
    with pytest.raises(visits.NeedsCause):
        visits.leave(visit, happened_at=AT, now=AT, by=day.by)
    assert "acquisition_discontinued" in kinds(visit)


def test_a_dynamic_scan_injects_on_a_scanner_that_has_begun():
    day = make_day()
    visit = prepared(day, make_booked(day, protocol="fdg_dynamic"))
    dose = day.dose(280)
    assert inject(day, visit, dose).reasons == ["Dynamic scan has not been recorded"]
    step(day, visit, "scan", 19, phase="start")
    assert isinstance(inject(day, visit, dose), Injection)


def test_a_booking_made_moved_and_cancelled_by_its_own_verbs_takes_the_visit_along():
    made = make_network()
    make_bookable(made)
    appointment = make_booked_appointment(made)
    assert Visit.objects.get().appointment_id == appointment.pk
    assert ScheduledStep.objects.get().state == "scheduled"
    choice = next(
        o.choice
        for o in booking.offers_for(appointment.procedure, now=NOW)
        if o.choice.arrival_at != appointment.arrival_at
    )
    moved = booking.move(
        appointment, choice, cause=Cause(CauseCode.PATIENT_CANCELLED, Initiator.PATIENT), now=NOW, by=BY
    )
    assert isinstance(moved, Appointment), moved
    assert Visit.objects.get().appointment_id == moved.pk
    assert list(ScheduledStep.objects.order_by("pk").values_list("state", flat=True)) == ["removed", "scheduled"]
    booking.cancel(moved, cause=FAILED, now=NOW, by=BY)
    assert not Visit.objects.exists() and not ScheduledStep.objects.filter(state="scheduled").exists()
