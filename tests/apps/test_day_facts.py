"""Each fact of a day's problem comes from a row: the table says which, and a field that nobody sets fails here."""

from dataclasses import MISSING, fields
from datetime import date, time, timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from gantry.apps.audit.models import Event
from gantry.apps.audit.services import append
from gantry.apps.estate.models import Room, RoomKind
from gantry.apps.radiopharmacy.models import SupplyRun
from gantry.apps.scheduling.models import Lock as LockRow
from gantry.apps.scheduling.models import PeopleSession
from gantry.apps.scheduling.services import drafting, noting, proposing
from gantry.apps.scheduling.services.building import build
from gantry.apps.scheduling.services.noting import Doors, Times
from gantry.apps.scheduling.services.refusals import NotPossible
from gantry.domain.events import Cause, CauseCode, EventKind, Initiator
from gantry.domain.scheduling import check
from gantry.domain.scheduling.problem import (
    Day,
    Delivery,
    Lock,
    Patient,
    Place,
    Scanner,
    Steps,
    Told,
    Tracer,
    Uptake,
    Window,
)
from tests.apps.broken_morning import BY, KNOWN, TUESDAY, at, make_morning
from tests.apps.factories import NOW, actor
from tests.apps.test_scheduling_pages import address, client_of

pytestmark = pytest.mark.django_db

FED: dict[type, dict[str, str]] = {
    Patient: {
        "ref": "booking.Appointment",
        "tracer": "referrals.RequestedProcedure.tracer",
        "activity_mbq": "referrals.Authorisation.activity_mbq, else its scheme for referrals.Referral.weight_kg",
        "uptake": "booking.Appointment: injection to scan; once injected, the protocol of the RequestedProcedure",
        "scan_min": "booking.Appointment: scan to end",
        "preparation_min": "booking.Appointment: arrival to injection",
        "recovery_min": "the protocol of the RequestedProcedure",
        "earliest_min": "scheduling.StatedTimes.arrive_from",
        "latest_min": "scheduling.StatedTimes.arrive_by",
        "limit_min": "referrals.Referral.breach_on",
        "weight": "referrals.Referral.priority and breach_on, by the dated weights",
        "needs": "referrals.Referral.capabilities and weight_kg, its answer rt_planning_position, Authorisation.includes",
        "anaesthetist": "referrals.Referral.answers: anaesthetic_required",
        "play_specialist": "referrals.Referral.answers: play_specialist_assessment",
        "prefers": "scheduling.StatedTimes.suits_from and suits_to, else the answers diabetes and insulin_regimen",
        "told": "booking.Appointment.state, audit.Event of its moves",
        "lock": "scheduling.Lock",
    },
    Told: {
        "place": "booking.Appointment.site",
        "arrival_min": "booking.Appointment.arrival_at",
        "moves_before": "audit.Event: appointment_moved, not by the patient",
    },
    Lock: {
        "place": "booking.Appointment.site",
        "scanner": "booking.Appointment.scanner",
        "injection_min": "booking.Appointment.injection_at",
    },
    Uptake: dict.fromkeys(("least_min", "target_min", "most_min"), "booking.Appointment, the protocol of the RequestedProcedure"),
    Place: {
        "ref": "estate.Site",
        "opens": "scheduling.DayFacts.doors_open and doors_close",
        "uptake_rooms": "estate.Room",
        "injectors": "scheduling.DayFacts.injectors",
        "hot_toilets": "estate.Room",
        "capabilities": "estate.Site.capabilities",
        "anaesthetist": "scheduling.PeopleSession",
        "play_specialist": "scheduling.PeopleSession",
        "anaesthetists": "scheduling.PeopleSession.people",
        "play_specialists": "scheduling.PeopleSession.people",
        "overtime_from_min": "scheduling.DayFacts.paid_until, else the last estate.Session",
    },
    Scanner: {
        "ref": "estate.Scanner",
        "place": "estate.Deployment",
        "open": "estate.Session less Closure (quality control, downtime) and Fault",
        "capabilities": "scheduling.ScannerFittings, estate.Scanner.max_weight_kg",
        "turnaround_min": "booking.Reservation of the scanner: the cleaning that it keeps",
    },
    Delivery: {
        "ref": "estate.ActivityAllotment",
        "place": "estate.ActivityAllotment.site",
        "tracer": "estate.ActivityAllotment.tracer",
        "arrives_min": "estate.ActivityAllotment.usable_from",
        "expires_min": "estate.ActivityAllotment.usable_to",
        "reference_min": "estate.ActivityAllotment.reference_at",
        "ordered_mbq": "booking.Appointment.activity_mbq and estate.ActivityAllotment.free_mbq",
        "least_mbq": "scheduling.SupplierTerms.least_mbq",
        "most_mbq": "estate.ActivityAllotment.total_mbq",
        "price_pence": "radiopharmacy.SupplyRun.price_pence, else scheduling.SupplierTerms",
        "price_pence_per_gbq": "radiopharmacy.SupplyRun.price_pence_per_gbq, else scheduling.SupplierTerms",
    },
    Tracer: {"code": "referrals.RequestedProcedure.tracer", "half_life_min": "its nuclide, dated reference data"},
    Steps: dict.fromkeys(("room_before_min", "void_min", "inject_min", "anaesthesia_after_min", "room_until_min"), "the protocols of the day's RequestedProcedures, and booking's own way with rooms"),
    Day: {
        "origin": "estate.Site.zone",
        "zone": "estate.Site.zone",
        "tracers": "referrals.RequestedProcedure.tracer",
        "places": "estate.Site",
        "scanners": "estate.Deployment",
        "deliveries": "estate.ActivityAllotment",
        "patients": "booking.Appointment",
        "steps": "the protocols",
        "grid_min": "booking.Appointment: the times that people were given",
    },
}  # fmt: skip
NOT_HERE = {
    (
        Patient,
        "away_pence",
    ): "journeys of one site's day are no choice; a recovery asks for them (Circumstances.elsewhere)",
    (Patient, "reach_min"): "asked with the journeys, by a recovery alone",
    (Lock, "delivery"): "a person's word holds place and time; which vial is the hot lab's",
    (Day, "loss_percent"): "booking promises what is injected; the order adds its margin",
    (Day, "waste_pence_per_gbq"): "what is left in an ordered run can be given to others: it is priced as it is drawn",
}
"""Fields that a day of one site has no row for, and why."""
AS_THE_DEFAULT = {
    (Patient, "recovery_min"),
    (Steps, "anaesthesia_after_min"),
    (Steps, "inject_min"),
    (Steps, "void_min"),
    (Day, "grid_min"),
}
"""Set from reference data or rows that happen to say what the default says."""


def test_the_table_names_every_field():
    for kind, table in FED.items():
        left = {name for of, name in NOT_HERE if of is kind}
        assert set(table) | left == {f.name for f in fields(kind)}, kind.__name__
        assert not set(table) & left


def rich():
    """A morning in which every kind of row says something."""
    morning = make_morning(5, asleep={1})
    by, site, booked = actor(morning.lead), morning.made.site, morning.booked
    noting.note_doors(site, Doors(time(7), time(17, 30), time(16), 2), now=NOW, by=by)
    for kind, people in (("anaesthetist", 2), ("play_specialist", 3)):
        noting.note_session(site, kind=kind, starts_at=at(7), ends_at=at(13), people=people, now=NOW, by=by)
    noting.note_fittings(morning.scanner, ["flat_couch", "contrast_injector"], site, now=NOW, by=by)
    run = SupplyRun.objects.filter(site=site).first()
    noting.note_terms(
        site, run.supplier, "FDG", least_mbq=1500, price_pence=9000, price_pence_per_gbq=20_000, now=NOW, by=by
    )
    for number in range(2):
        Room.objects.create(site=site, kind=RoomKind.HOT_TOILET, name=f"Toilet {number}")
    noting.note_times(
        booked[0].referral, Times(time(7), time(9), time(9), time(11)), why="School run", now=NOW, by=by
    )  # fmt: skip
    answer(booked[2], diabetes="insulin", insulin_regimen="basal_bolus")
    answer(booked[3], play_specialist_assessment="awake", rt_planning_position=["flat_couch"])
    booked[4].referral.breach_on = TUESDAY
    booked[4].referral.save(update_fields=["breach_on"])
    booked[4].authorisation.includes = ["pet", "ct", "contrast"]
    booked[4].authorisation.save(update_fields=["includes"])
    drafting.lock(booked[1], reason="Anaesthetist's list", now=NOW, by=by)
    append(
        EventKind.APPOINTMENT_MOVED, subjects={"procedure": booked[0].procedure_id, "appointment": booked[0].pk}, happened_at=NOW, recorded_at=NOW,
        by=BY, cause=Cause(CauseCode.LIST_OVERRUN, Initiator.PROVIDER),
    )  # fmt: skip
    return morning


def answer(row, **given):
    row.referral.answers.update(given)
    row.referral.save(update_fields=["answers"])


def test_each_field_is_set_from_the_rows():
    morning = rich()
    built = build(morning.made.site, TUESDAY, now=KNOWN)
    day = built.strict
    found = {
        Day: [day],
        Steps: [day.steps],
        Patient: day.patients,
        Told: [p.told for p in day.patients if p.told],
        Lock: [p.lock for p in day.patients if p.lock],
        Uptake: [p.uptake for p in day.patients],
        Place: day.places,
        Scanner: day.scanners,
        Delivery: day.deliveries,
        Tracer: day.tracers,
    }
    unset = []
    for kind, ones in found.items():
        assert ones, kind.__name__
        for field in fields(kind):
            if field.name not in FED[kind] or (kind, field.name) in AS_THE_DEFAULT:
                continue
            default = field.default_factory() if field.default_factory is not MISSING else field.default
            if all(getattr(one, field.name) == default for one in ones):
                unset.append(f"{kind.__name__}.{field.name}, which {FED[kind][field.name]} should feed")
    assert not unset, "\n".join(unset)


def test_what_the_rows_say_is_what_the_day_is_reckoned_with():
    morning = rich()
    built = build(morning.made.site, TUESDAY, now=KNOWN)
    day, zone_min = built.strict, built.day.minute
    place = day.places[0]
    assert place.opens == Window(7 * 60, 17 * 60 + 30)
    assert (place.injectors, place.hot_toilets, place.overtime_from_min) == (2, 2, 16 * 60)
    assert place.anaesthetist == place.play_specialist == (Window(zone_min(at(7)), zone_min(at(13))),)
    assert (place.anaesthetists, place.play_specialists) == (2, 3)
    people = [day.patient(str(row.pk)) for row in morning.booked]
    assert (people[0].earliest_min, people[0].latest_min, people[0].prefers) == (7 * 60, 9 * 60, Window(540, 660))
    assert people[2].prefers == Window(11 * 60 + 30, 14 * 60), "midday, after breakfast with its insulin"
    assert people[3].play_specialist and "flat_couch" in people[3].needs
    assert "contrast_injector" in people[4].needs and people[4].weight > people[3].weight
    assert {(d.least_mbq, d.price_pence, d.price_pence_per_gbq) for d in day.deliveries} == {(1500, 9000, 20_000)}
    assert people[0].told.moves_before == 1


def test_what_is_booked_keeps_its_place_and_what_it_breaks_is_said():
    morning = make_morning(3)
    by = actor(morning.lead)
    noting.note_times(morning.booked[2].referral, Times(arrive_by=time(8)), why="Ambulance", now=NOW, by=by)
    noting.note_fittings(morning.scanner, [], morning.made.site, now=NOW, by=by)
    answer(morning.booked[0], rt_planning_position=["flat_couch"])
    built = build(morning.made.site, TUESDAY, now=KNOWN)
    assert check.faults(built.day, built.plan) == []
    first, last = str(morning.booked[0].pk), str(morning.booked[2].pk)
    assert built.strained == [f"{first} needs flat_couch", f"{last} cannot come so late"]
    client = client_of(morning.lead)
    page = client.get(address(morning)).content.decode()
    assert (
        "Booked closer than rooms, people or patients’ own hours allow" in page
        and "needs a flat couch for radiotherapy planning" in page
    )


def test_a_session_called_off_leaves_the_day(monkeypatch):
    monkeypatch.setattr(timezone, "now", lambda: KNOWN)
    morning = make_morning(1)
    site, client = morning.made.site, client_of(morning.lead)
    url = reverse("scheduling:reckons", args=[site.pk, TUESDAY.isoformat()])
    page = client.get(url).content.decode()
    assert "not said" in page and "One, all day" in page
    form = {
        "what": "people",
        "people-kind": "anaesthetist",
        "people-starts": "9:00",
        "people-ends": "12:30",
        "people-people": "1",
    }
    page = client.post(url, form, follow=True).content.decode()
    assert "09:00 to 12:30" in page
    row = PeopleSession.objects.get()
    client.post(url, {"what": "off", "session": str(row.pk)})
    assert build(site, TUESDAY, now=KNOWN).strict.places[0].anaesthetist[0].start < 0, "nobody has said again"
    assert (
        "Somebody called this session off first"
        in client.post(url, {"what": "off", "session": str(row.pk)}, follow=True).content.decode()
    )
    assert Event.objects.filter(kind=EventKind.DAY_FACTS_RECORDED).count() == 2


def test_the_forms_note_doors_fittings_and_terms(monkeypatch):
    monkeypatch.setattr(timezone, "now", lambda: KNOWN)
    morning = make_morning(1)
    site, client = morning.made.site, client_of(morning.lead)
    url = reverse("scheduling:reckons", args=[site.pk, TUESDAY.isoformat()])
    doors = {"what": "doors", "doors-doors_open": "07:30", "doors-doors_close": "7:00", "doors-injectors": ""}
    refused = client.post(url, doors)
    assert refused.status_code == 422 and "close before they open" in refused.content.decode()
    doors["doors-doors_close"] = "17:00"
    assert "07:30 to 17:00" in client.post(url, doors, follow=True).content.decode()
    run = SupplyRun.objects.filter(site=site).first()
    terms = {
        "what": "terms",
        "terms-of": f"{run.supplier_id}|FDG",
        "terms-least": "2000",
        "terms-run": "120",
        "terms-gbq": "85.50",
    }
    assert (
        "£120.00 for a run and £85.50 for a GBq; at least 2,000 MBq"
        in client.post(url, terms, follow=True).content.decode()
    )
    fittings = {"what": f"fittings-{morning.scanner.pk}", f"fittings-{morning.scanner.pk}-has": ["contrast_injector"]}
    assert "Contrast injector; table to 200 kg" in client.post(url, fittings, follow=True).content.decode()
    assert client.post(url.replace(TUESDAY.isoformat(), "someday"), {}).status_code == 404
    assert Client().get(url).status_code == 302


def test_a_locked_day_says_who_locked_and_lifted():
    morning = make_morning(1)
    by = actor(morning.lead)
    row = drafting.lock(morning.booked[0], reason="Stays", now=NOW, by=by)
    assert drafting.lock(morning.booked[0], reason="Again", now=NOW, by=by) == row
    drafting.lift(row, now=NOW + timedelta(minutes=1), by=by)
    kinds = [EventKind.APPOINTMENT_LOCKED.value, EventKind.APPOINTMENT_UNLOCKED.value]
    assert list(Event.objects.filter(kind__in=kinds).order_by("happened_at").values_list("kind", flat=True)) == kinds
    assert not LockRow.objects.filter(lifted_at=None).exists()


def test_times_that_cannot_be_are_refused():
    morning = make_morning(1)
    with pytest.raises(NotPossible, match="before they can come"):
        noting.note_times(
            morning.booked[0].referral, Times(time(9), time(8)), why="", now=NOW, by=actor(morning.lead)
        )  # fmt: skip


def test_a_run_already_ordered_is_paid_for_and_one_still_open_is_not():
    morning = make_morning(2, received=False)
    runs = SupplyRun.objects.filter(site=morning.made.site, due_at__date=TUESDAY)
    noting.note_terms(
        morning.made.site, runs[0].supplier, "FDG", least_mbq=900, price_pence=7000, price_pence_per_gbq=100,
        now=NOW, by=actor(morning.lead),
    )  # fmt: skip
    built = build(morning.made.site, TUESDAY, now=NOW)
    open_now = proposing.free_day(built, built.plan, frozenset(), now=NOW)
    assert {(d.price_pence, d.least_mbq) for d in open_now.deliveries} == {(7000, 900)}
    past = proposing.free_day(built, built.plan, frozenset(), now=KNOWN)
    assert {(d.price_pence, d.least_mbq) for d in past.deliveries} == {(0, 0.0)}
    assert date.fromisoformat(TUESDAY.isoformat()) == built.on
