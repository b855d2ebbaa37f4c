"""A missing or failed daily test stops authorising through that device, never recording; the page says so."""

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from gantry.apps.audit.models import Event
from gantry.apps.estate import services as estate
from gantry.apps.estate.models import Device
from gantry.apps.scanning.models import Injection, InjectorReport, Visit
from gantry.apps.scanning.services import visits
from gantry.apps.scanning.services.board import warnings_of
from gantry.apps.scanning.services.injecting import NotAuthorised, inject
from gantry.domain.access import Role
from gantry.domain.events import EventKind
from gantry.domain.instrument import DeviceKind, TestKind
from tests.apps.factories import NOW, make_person
from tests.apps.scan_day import Day, make_booked, make_day, scan

pytestmark = pytest.mark.django_db
AT = NOW + timedelta(minutes=20)
NO_TEST = "Injector 1 has no constancy test recorded today"


@pytest.fixture
def day() -> Day:
    return make_day()


@pytest.fixture
def injector(day: Day) -> Device:
    return estate.add_device(day.made.site, kind=DeviceKind.INJECTOR, name="Injector 1", ae_title="INJ1")


@pytest.fixture
def meter(day: Day) -> Device:
    return estate.add_device(day.made.site, kind=DeviceKind.GLUCOMETER, name="Meter 1")


def prepared(day: Day, visit: Visit) -> Visit:
    visits.arrive(visit, happened_at=NOW, now=NOW, by=day.by)
    said = {"enquire": {"answer": "no"}, "weigh": {"weight_kg": 70.0}, "glucose": {"glucose_mmol_per_l": 5.0}}
    for step in visits.protocol_of(visit).steps:
        if step.key == "inject":
            return Visit.objects.get(pk=visit.pk)
        visits.record_step(visit, step.key, happened_at=NOW, now=NOW, by=day.by, extra=said.get(step.key))
    raise AssertionError


def give(day: Day, visit: Visit, device: Device | None, **more):
    dose = day.dose(280)
    return inject(
        visit, "inject", dose, injected_at=AT, match=scan(dose), now=AT, by=day.by, injector=device, **more
    )  # fmt: skip


def test_an_injector_without_todays_test_authorises_nothing_unless_somebody_says_why_by_name(day, injector):
    visit = prepared(day, make_booked(day))
    stopped = give(day, visit, injector)
    assert isinstance(stopped, NotAuthorised) and stopped.reasons == [NO_TEST]
    assert not Injection.objects.exists()
    made = give(day, visit, injector, override_reason="The physicist tested it by telephone")
    assert isinstance(made, Injection) and made.breach == [NO_TEST] and made.injector == injector
    breach = Event.objects.get(kind=EventKind.BREACH_RECORDED)
    assert breach.data["override"] == "The physicist tested it by telephone"


def test_by_hand_an_untested_injector_is_in_nobodys_way_and_what_happened_is_recorded(day, injector):
    by_hand = give(day, prepared(day, make_booked(day)), None)
    assert isinstance(by_hand, Injection) and by_hand.breach == []
    later = prepared(day, make_booked(day, arrival_at=NOW + timedelta(minutes=60)))
    happened = give(day, later, injector, already_happened=True)
    assert isinstance(happened, Injection) and NO_TEST in happened.breach


def test_a_failed_test_stops_it_and_a_passed_one_frees_it(day, injector):
    visit = prepared(day, make_booked(day))
    estate.record_instrument_test(injector, TestKind.CONSTANCY, off=9.0, at=NOW, now=NOW, by=day.by)
    assert give(day, visit, injector).reasons == ["Injector 1 failed its last constancy test"]
    later = NOW + timedelta(minutes=5)
    estate.record_instrument_test(injector, TestKind.CONSTANCY, off=1.0, at=later, now=later, by=day.by)
    assert isinstance(give(day, visit, injector), Injection)


def test_an_injector_out_of_use_authorises_nothing(day, injector):
    Device.objects.filter(pk=injector.pk).update(retired_at=NOW)
    assert "has registered no injector" in give(day, prepared(day, make_booked(day)), injector).reasons[0]


def measure(day: Day, visit: Visit, **extra) -> Visit:
    visits.record_step(
        visit, "glucose", happened_at=NOW, now=NOW, by=day.by, extra={"glucose_mmol_per_l": 6.1, **extra}
    )  # fmt: skip
    return Visit.objects.get(pk=visit.pk)


def test_a_reading_of_an_untested_meter_is_kept_and_marked(day, meter):
    visit = measure(day, make_booked(day), meter="Meter 1")
    assert visit.glucose_mmol_per_l == 6.1
    assert visit.glucose_doubt == "Meter 1 has no constancy test recorded today"
    assert "Measure the glucose again: Meter 1 has no constancy test recorded today" in warnings_of(visit)
    assert Event.objects.get(kind=EventKind.GLUCOSE_MEASURED).data["doubt"] == visit.glucose_doubt


def test_a_tested_meter_is_believed_an_unnamed_one_is_not_and_a_site_without_meters_asks_for_none(day, meter):
    estate.record_instrument_test(meter, TestKind.CONSTANCY, off=4.0, at=NOW, now=NOW, by=day.by)
    assert measure(day, make_booked(day), meter="Meter 1").glucose_doubt == ""
    unnamed = make_booked(day, arrival_at=NOW + timedelta(minutes=60))
    assert measure(day, unnamed).glucose_doubt == "Nobody said which meter it was"
    Device.objects.filter(pk=meter.pk).update(retired_at=NOW)
    assert measure(day, make_booked(day, arrival_at=NOW + timedelta(minutes=120))).glucose_doubt == ""


def entered(person) -> Client:
    client = Client()
    client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    return client


def test_the_pages_ask_what_gave_it_and_which_meter_it_was(day, injector, meter, monkeypatch):
    monkeypatch.setattr(timezone, "now", lambda: AT)
    visit = prepared(day, make_booked(day))
    client, url = entered(day.person), reverse("scanning:inject", args=[visit.pk, "inject"])
    assert "Injector 1" in client.get(url).content.decode()
    dose = day.dose(280)
    sent = {"barcode": dose.container.barcode, "injected_at": "now", "how": "ask", "injector": str(injector.pk)}
    refused = client.post(url, sent)
    assert refused.status_code == 422 and NO_TEST in refused.content.decode()
    assert client.post(url, {**sent, "how": "override", "override_reason": "Agreed"}).status_code == 302
    given = Injection.objects.get()
    page = client.get(reverse("scanning:injection_doses", args=[given.pk])).content.decode()
    assert "Injector 1, by" in page and "nothing is averaged" in page
    assert "What each source says of it" in client.get(reverse("scanning:visit", args=[visit.pk])).content.decode()
    later = make_booked(day, arrival_at=NOW + timedelta(minutes=60))
    step = reverse("scanning:step", args=[later.pk, "glucose"])
    assert "Meter 1" in client.get(step).content.decode()
    client.post(step, {"happened_at": "now", "glucose_mmol_per_l": "5.5", "meter": "Meter 1"})
    later.refresh_from_db()
    assert (later.glucose_mmol_per_l, later.glucose_meter) == (5.5, "Meter 1")
    shown = client.get(reverse("scanning:visit", args=[later.pk])).content.decode()
    assert "Not to be relied on: Meter 1 has no constancy test" in shown


def test_a_held_report_is_listed_with_its_reasons_and_decided_by_name(day, injector, monkeypatch):
    monkeypatch.setattr(timezone, "now", lambda: AT)
    given = give(day, make_booked(day), injector, already_happened=True)
    row = InjectorReport.objects.create(
        site=day.made.site, device=injector, provider=day.made.provider, calling_ae_title="INJ1", sop_instance_uid="1.2.3",
        sop_class_uid="1.2", study_uid="1.2.4", path="x", size=1, sha256="0", received_at=AT, state="held",
        reasons=["Not in MBq: the activity is stated in kBq"], activity=250_000.0, unit="kBq", injected_at=AT,
    )  # fmt: skip
    physicist = entered(make_person(Role.PHYSICIST, day.made.provider))
    page = physicist.get(reverse("scanning:dose_reviews")).content.decode()
    assert "250000 kBq" in page and "Not in MBq" in page
    url = reverse("scanning:injector_report", args=[row.pk])
    assert physicist.post(url, {"choice": str(given.pk), "note": ""}).status_code == 422
    assert physicist.post(url, {"choice": str(given.pk), "note": "Read off its display"}).status_code == 302
    row.refresh_from_db()
    assert (row.state, row.injection, row.note) == ("matched", given, "Read off its display")
    assert "Read off its display" in physicist.get(url).content.decode()
    stranger = entered(make_person(Role.REFERRER, day.made.trust))
    assert stranger.get(url).status_code in (403, 404)


def test_two_devices_never_share_a_title(day, injector, monkeypatch):
    monkeypatch.setattr(timezone, "now", lambda: AT)
    client = entered(make_person(Role.RADIOPHARMACIST, day.made.provider))
    url = f"{reverse('tracer:instruments')}?site={day.made.site.pk}"
    sent = {"what": "device", "device-kind": "injector", "device-name": "Injector 2", "device-ae_title": "INJ1"}
    assert "Another device or scanner sends as INJ1" in client.post(url, sent).content.decode()
    meter = {**sent, "device-kind": "glucometer", "device-ae_title": "MET1"}
    assert "Only an injector sends dose reports" in client.post(url, meter).content.decode()
    assert client.post(url, {**sent, "device-ae_title": "INJ2"}).status_code == 302
    assert "sends as INJ2" in client.get(url).content.decode()
