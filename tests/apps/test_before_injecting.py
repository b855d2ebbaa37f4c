"""Nobody is injected unless somebody can scan them; whoever is and is not scanned is an incident; a second time is asked for."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from gantry.apps.audit.ids import new_id
from gantry.apps.audit.services import append
from gantry.apps.booking.models import Appointment
from gantry.apps.booking.services.waiting import narrowed, open_procedures
from gantry.apps.estate import services as estate
from gantry.apps.estate.models import Closure, Session
from gantry.apps.quality.models import Incident
from gantry.apps.radiopharmacy.models import Dose
from gantry.apps.referrals.models import Authorisation
from gantry.apps.referrals.services import NotVetted, Vetted, given_to, return_to_vetting, vet
from gantry.apps.scanning.models import Injection, Visit
from gantry.apps.scanning.services import visits
from gantry.apps.scanning.services.board import board, of_day
from gantry.apps.scanning.services.leaving import watch
from gantry.apps.scanning.services.scanners import here_on, running
from gantry.apps.scanning.services.steps import record
from gantry.domain.access import Role
from gantry.domain.events import Actor, EventKind
from gantry.domain.injecting import CtHad, Given, in_all
from tests.apps.factories import NOW, accepting, acting, make_organisation, make_person, make_scanner
from tests.apps.scan_day import BY, Day, make_booked, make_day
from tests.apps.test_visits import AT, FAILED, inject, prepared, step

pytestmark = pytest.mark.django_db


def on_the_board(visit) -> tuple[str, ...]:
    shown = board(of_day(Visit.objects.all(), visit.site, visit.on), visit.site, now=AT)
    return next(c.warnings for lane in shown.lanes for c in lane.cards if c.visit == visit.pk)


def test_the_scanner_must_be_free_inside_the_window():
    day = make_day()
    early, late, third = (prepared(day, make_booked(day, arrival_at=NOW + timedelta(minutes=26 * n))) for n in range(3))
    inject(day, early, day.dose(280))
    inject(day, late, day.dose(280))
    refused = inject(day, third, day.dose(280))
    assert refused.reasons == ["Scanner 1 cannot scan this person inside the window beside 2 others already injected"]
    assert "Do not inject: " + refused.reasons[0] in on_the_board(third)
    spare = make_scanner(day.made.site, name="Scanner 2", rooms=0)
    untested = inject(day, third, Dose.objects.order_by("pk").last(), fallback=spare)
    assert any("The fallback does not help: Scanner 2 has no daily quality control" in r for r in untested.reasons)
    estate.record_test(spare, passed=True, at=NOW, now=NOW, by=BY, site=day.made.site)
    given = inject(day, third, Dose.objects.order_by("pk").last(), fallback=spare)
    assert isinstance(given, Injection) and not given.breach
    # The one who goes to the sister scanner is owed by it, not by their own.
    room = {
        r.scanner.pk: len(r.owed) for r in running(day.made.site, third.on, at=AT, here=here_on(third.site, third.on))
    }
    assert room == {day.scanner.pk: 2, spare.pk: 1}


def test_nobody_is_injected_for_a_scanner_that_shuts_before_their_window_opens():
    day = make_day()
    visit = prepared(day)
    hours = {"site": day.made.site, "scanner": day.scanner, "on": visit.on}
    session = Session.objects.create(**hours, starts_at=NOW, ends_at=NOW + timedelta(hours=1))
    dose = day.dose(280)
    assert inject(day, visit, dose).reasons == ["Scanner 1 is not running inside the window"]
    assert any("Scanner 1 is not running" in words for words in on_the_board(visit))
    recorded = inject(day, visit, dose, already_happened=True)
    assert isinstance(recorded, Injection) and recorded.breach == ["Scanner 1 is not running inside the window"]
    Session.objects.filter(pk=session.pk).update(ends_at=NOW + timedelta(hours=8))
    assert not on_the_board(prepared(day, make_booked(day, arrival_at=NOW + timedelta(minutes=30))))


def test_a_closure_is_cut_out_of_the_hours():
    day = make_day()
    visit = prepared(day)
    end = NOW + timedelta(hours=9)
    Session.objects.create(site=visit.site, scanner=day.scanner, on=visit.on, starts_at=NOW, ends_at=end)
    Closure.objects.create(site=visit.site, from_at=NOW + timedelta(hours=1), to_at=end, reason="Snow")
    assert inject(day, visit, day.dose(280)).reasons == ["Scanner 1 is not running inside the window"]


def test_another_injection_needs_its_own_authorisation_and_the_sum_is_shown():
    day = make_day()
    first = prepared(day)
    inject(day, first, day.dose(280))
    visits.leave(first, happened_at=AT, now=AT, by=day.by, cause=FAILED)
    again = booked_again(day, first)
    dose = day.dose(280)
    assert inject(day, again, dose).reasons == ["The authorisation was used for 247 MBq: a new injection needs its own"]
    referral = again.appointment.referral
    assert in_all(given_to(referral), mbq=250, msv=4.75) == (
        "Injected once before for this referral: 247 MBq, 4.7 mSv. With 250 MBq more it is 497 MBq, 9.4 mSv in all"
    )
    Authorisation.objects.filter(procedure=again.appointment.procedure).update(at=AT + timedelta(seconds=1))
    assert isinstance(inject(day, again, dose), Injection)


def booked_again(day: Day, first: Visit) -> Visit:
    """The same request, another appointment: what a booking after an unfinished scan comes to."""
    row = Appointment.objects.get(pk=first.appointment_id)
    row.pk, row.state, row._state.adding = new_id(), "booked", True
    row.save(force_insert=True)
    subjects = {"appointment": row.pk, "referral": row.referral_id}
    append(EventKind.APPOINTMENT_BOOKED, subjects=subjects, happened_at=NOW, recorded_at=NOW, by=BY)
    return prepared(day, Visit.objects.get(appointment=row))


def test_injected_and_not_scanned_is_an_incident_however_it_ends():
    day = make_day()
    gone, forgotten, fine = (
        prepared(day, make_booked(day, arrival_at=NOW + timedelta(minutes=40 * n))) for n in range(3)
    )
    for visit in (gone, forgotten, fine):
        inject(day, visit, day.dose(280), already_happened=True)
    Incident.objects.all().delete()
    visits.leave(gone, happened_at=AT, now=AT, by=day.by, cause=FAILED)
    assert Incident.objects.get().summary == "Injected with 247 MBq, and not scanned"
    step(day, fine, "void", 74)
    step(day, fine, "scan", 80, phase="start")
    late = AT + timedelta(hours=3)
    assert watch(now=late, by=BY) == [forgotten]
    assert watch(now=late + timedelta(minutes=5), by=BY) == []
    assert [i.summary for i in Incident.objects.order_by("opened_at")][1:] == [
        "Injected with 247 MBq, and not scanned: the window closed without a scan on record"
    ]


def test_whoever_was_injected_not_scanned_and_authorised_again_is_on_the_booking_lists():
    day = make_day()
    unscanned = prepared(day)
    scanned = prepared(day, make_booked(day, arrival_at=NOW + timedelta(minutes=40)))
    for visit in (unscanned, scanned):
        inject(day, visit, day.dose(280), already_happened=True)
    procedure = unscanned.appointment.procedure
    everything = acting(make_person(Role.BOOKING_COORDINATOR, day.made.provider)).scope
    visits.leave(unscanned, happened_at=AT, now=AT, by=day.by, cause=FAILED)
    step(day, scanned, "void", 74)
    for phase, minute in (("start", 80), ("done", 100)):
        step(day, scanned, "scan", minute, phase=phase)
    visits.leave(scanned, happened_at=AT + timedelta(hours=2), now=AT + timedelta(hours=2), by=day.by)
    assert not open_procedures(everything).exists()
    referral = unscanned.appointment.referral
    referral.refresh_from_db()
    later = AT + timedelta(hours=3)
    return_to_vetting(referral, "The scanner failed after the injection", now=later, by=BY)
    assert not open_procedures(everything).exists()
    referral.refresh_from_db()
    vet(referral, accepting(), version=referral.version, now=later, by=day.by, person=day.practitioner)
    assert list(narrowed(open_procedures(everything), "no_slot", later)) == [procedure]


def test_the_sum_says_what_the_ct_gave_and_what_cannot_be_computed():
    adult = [Given(AT, 247.0, 4.693, "inject", "a")]
    assert in_all(adult, mbq=250, msv=4.75, ct=[CtHad(356.0, 5.34)]) == (
        "Injected once before for this referral: 247 MBq, 4.7 mSv, and CT of 356 mGy·cm, about 5.3 mSv. With 250 MBq "
        "more it is 497 MBq, 9.4 mSv in all, about 14.8 mSv with the CT so far; the next CT comes to it"
    )
    child = [Given(AT, 100.0, None, "inject", "a")]
    assert in_all(child, mbq=100, msv=None, ct=[CtHad(80.0, None)]) == (
        "Injected once before for this referral: 100 MBq, effective dose not computed, and CT of 80 mGy·cm, effective "
        "dose not computed. With 100 MBq more it is 200 MBq, effective dose not computed in all, effective dose not "
        "computed with the CT so far; the next CT comes to it"
    )
    assert in_all([], mbq=100, msv=None) == ""


def test_the_page_names_a_fallback_and_shows_what_was_given_before(monkeypatch):
    monkeypatch.setattr(timezone, "now", lambda: AT)
    day = make_day()
    first = prepared(day)
    inject(day, first, day.dose(280))
    visits.leave(first, happened_at=AT, now=AT, by=day.by, cause=FAILED)
    again = booked_again(day, first)
    Authorisation.objects.update(at=AT + timedelta(seconds=1))
    client = Client()
    client.force_login(day.person, backend="django.contrib.auth.backends.ModelBackend")
    url = reverse("scanning:inject", args=[again.pk, "inject"])
    page = client.get(url).content.decode()
    assert "Not the first injection" in page and "247 MBq, 4.7 mSv" in page
    assert "If their scanner cannot take them" not in page
    estate.record_fault(day.scanner, cause=FAILED, at=NOW, now=AT, by=BY, site=again.site)
    spare = make_scanner(day.made.site, name="Scanner 2", rooms=0)
    estate.record_test(spare, passed=True, at=NOW, now=NOW, by=BY, site=again.site)
    page = client.get(url).content.decode()
    assert "Scanner 2 could take this person: name it as the fallback" in page
    dose = day.dose(247, at=AT)
    sent = {"barcode": dose.container.barcode, "injected_at": "now", "how": "ask"}
    assert client.post(url, sent).status_code == 422
    assert client.post(url, {**sent, "fallback": str(spare.pk)}).status_code == 302
    assert Injection.objects.get(visit=again).fallback == spare
    assert not Injection.objects.get(visit=again).breach


def test_the_vetter_sees_what_was_given_before_another_is_authorised(monkeypatch):
    monkeypatch.setattr(timezone, "now", lambda: AT)
    day = make_day()
    visit = prepared(day)
    inject(day, visit, day.dose(280))
    referral = visit.appointment.referral
    visits.leave(visit, happened_at=AT, now=AT, by=day.by, cause=FAILED)
    referral.refresh_from_db()
    return_to_vetting(referral, "The scanner failed after the injection", now=AT, by=BY)
    client = Client()
    client.force_login(day.practitioner, backend="django.contrib.auth.backends.ModelBackend")
    page = client.get(reverse("referrals:vet", args=[referral.pk])).content.decode()
    assert "Not the first injection" in page and "4.7 mSv" in page


def test_a_glucose_above_the_limit_stops_authorising_is_said_on_the_page_and_a_named_override_lifts_it(monkeypatch):
    day = make_day()
    visit = prepared(day)
    Visit.objects.filter(pk=visit.pk).update(glucose_mmol_per_l=12.9)
    visit.refresh_from_db()
    said = "Glucose 12.9 mmol/L, above 11: ask before injecting"
    assert said in on_the_board(visit)
    monkeypatch.setattr(timezone, "now", lambda: AT)
    client = Client()
    client.force_login(day.person, backend="django.contrib.auth.backends.ModelBackend")
    shown = client.get(reverse("scanning:inject", args=[visit.pk, "inject"])).content.decode()
    assert said in shown
    dose = day.dose(280)
    assert inject(day, visit, dose).reasons == [said]
    given = inject(day, visit, dose, override_reason="The consultant wants it today")
    assert isinstance(given, Injection) and given.breach == [said] and given.override_reason


def test_whoever_was_injected_and_not_scanned_is_on_the_practitioners_list_and_is_authorised_from_there(monkeypatch):
    monkeypatch.setattr(timezone, "now", lambda: AT)
    day = make_day()
    visit = prepared(day)
    inject(day, visit, day.dose(280))
    visits.leave(visit, happened_at=AT, now=AT, by=day.by, cause=FAILED)
    referral = visit.appointment.referral
    referral.refresh_from_db()
    client = Client()
    client.force_login(day.practitioner, backend="django.contrib.auth.backends.ModelBackend")
    listed = client.get(reverse("referrals:vetting")).content.decode()
    assert reverse("referrals:vet", args=[referral.pk]) in listed and "the scan not finished" in listed
    assert f"{timezone.localtime(referral.due_at):%H:%M}" in listed
    detail = client.get(reverse("referrals:detail", args=[referral.pk])).content.decode()
    assert "Injected, not scanned" in detail and "Appointment fulfilled" not in detail and ">Scanned" not in detail
    assert "Accept and authorise" in client.get(reverse("referrals:vet", args=[referral.pk])).content.decode()
    refused = vet(
        referral,
        replace(accepting(), justified=False),
        version=referral.version,
        now=AT,
        by=day.by,
        person=day.practitioner,
    )
    referral.refresh_from_db()
    assert isinstance(refused, NotVetted) and referral.state == "accepted"
    later = AT + timedelta(minutes=5)
    got = vet(referral, accepting(), version=referral.version, now=later, by=day.by, person=day.practitioner)
    referral.refresh_from_db()
    assert isinstance(got, Vetted) and referral.state == "accepted" and referral.next_owner == "booking_coordinator"
    assert reverse("referrals:vet", args=[referral.pk]) not in client.get(reverse("referrals:vetting")).content.decode()
    everything = acting(make_person(Role.BOOKING_COORDINATOR, day.made.provider)).scope
    assert list(open_procedures(everything)) == [visit.appointment.procedure]


def test_every_incident_is_listed_at_once_for_whoever_runs_the_site_and_says_whose_it_is():
    day = make_day()
    first, other = (prepared(day, make_booked(day, arrival_at=NOW + timedelta(minutes=40 * n))) for n in range(2))
    client = Client()
    lead = make_person(Role.MANAGER, day.made.provider)
    client.force_login(lead, backend="django.contrib.auth.backends.ModelBackend")
    # Somebody of the trust that owns the site records them, and not of the provider that runs it.
    trust = make_organisation("RZZ9")
    by = Actor(f"person:{new_id()}", "Kit Trust", trust.pk)
    for visit in (first, other):
        with transaction.atomic():
            record(
                visit, EventKind.BREACH_RECORDED, at=NOW, now=NOW, by=by, data={"act": "x", "reasons": ["Uptake 6 min"]}
            )
    shown = client.get(reverse("quality:incidents")).content.decode()
    assert shown.count("Uptake 6 min") >= 2
    for visit in (first, other):
        assert visit.appointment.referral.patient.family_name.upper() in shown
    assert Incident.objects.filter(organisation=trust.pk).count() == 2
