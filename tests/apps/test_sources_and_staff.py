"""Sealed sources and parents against the permit, disposals by route, staff doses, kits, and activity from other sites."""

from datetime import date, datetime, timedelta
from math import isclose

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from gantry.apps.audit.models import Event
from gantry.apps.quality.models import Incident
from gantry.apps.radiopharmacy import services
from gantry.apps.radiopharmacy.models import Batch, Dose, Permit, Preparation, SealedSource, StaffDose
from gantry.apps.radiopharmacy.services import carriage, generators
from gantry.apps.radiopharmacy.services.permits import add_permit, month_by_route, months_of
from gantry.apps.radiopharmacy.services.sources import (
    SourceFacts,
    leak_test,
    receive_source,
    sealed_mbq,
    source_gone,
    why_wiped,
)
from gantry.apps.radiopharmacy.services.staff import record_staff_dose, review_staff_dose, to_look_at, year_of
from gantry.domain.access import Role
from gantry.domain.events import Cause, CauseCode, Initiator, system
from gantry.domain.generator import Eluate
from gantry.domain.staff_dose import Part, Reading
from gantry.reference.nuclides import NUCLIDES
from tests.apps.factories import NOW, make_batch, make_network, make_person, make_run

pytestmark = pytest.mark.django_db
BY = system("tests")
BACKEND = "django.contrib.auth.backends.ModelBackend"
JANUARY, NOVEMBER = date(2026, 1, 1), date(2026, 11, 1)
CAESIUM = SourceFacts("Cs-137", "S-1", "Check source", 9.0, NOW - timedelta(days=3650), "Safe")


@pytest.fixture
def made():
    return make_network()


def allow(site, nuclide: str, holding: float, **more) -> Permit:
    return add_permit(
        site, number="EPR-9", nuclide=nuclide, holding_mbq=holding, valid_from=JANUARY, valid_to=date(2027, 1, 1),
        **({"sewer_mbq_a_month": None} | more),
    )  # fmt: skip


# What is held


def test_a_sealed_source_is_held_until_it_has_gone_and_one_too_many_is_refused_or_a_breach(made):
    allow(made.site, "Cs-137", 10.0, sealed=True)
    row = receive_source(made.site, CAESIUM, at=NOW, now=NOW, by=BY)
    caesium = NUCLIDES["Cs-137"].value
    assert isclose(sealed_mbq(made.site, caesium, at=NOW), 9.0 * 0.5 ** (timedelta(days=3650) / caesium.half_life))
    second = SourceFacts("Cs-137", "S-2", "Check source", 4.0, NOW)
    with pytest.raises(services.NotDone, match="allows 10 MBq of Cs-137"):
        receive_source(made.site, second, at=NOW, now=NOW, by=BY)
    kept = receive_source(made.site, second, at=NOW, now=NOW, by=BY, already_happened=True)
    assert kept.breach and Incident.objects.exists()
    with pytest.raises(services.NotDone, match="recorded already"):
        receive_source(made.site, CAESIUM, at=NOW, now=NOW, by=BY)
    source_gone(row, to="The maker", at=NOW, now=NOW, by=BY)
    assert isclose(sealed_mbq(made.site, caesium, at=NOW), 4.0)
    with pytest.raises(services.NotDone, match="who has taken it"):
        source_gone(kept, to=" ", at=NOW, now=NOW, by=BY)


def test_a_leak_test_is_due_every_two_years_and_a_leak_is_a_breach(made):
    row = receive_source(made.site, CAESIUM, at=NOW, now=NOW, by=BY)
    assert why_wiped(row, at=NOW + timedelta(days=700)) is None
    assert why_wiped(row, at=NOW + timedelta(days=800)) == "leak test is overdue"
    leak_test(row, passed=True, at=NOW + timedelta(days=790), now=NOW, by=BY)
    assert why_wiped(row, at=NOW + timedelta(days=800)) is None
    leak_test(row, passed=False, at=NOW + timedelta(days=791), now=NOW, by=BY)
    assert why_wiped(row, at=NOW + timedelta(days=792)) == "failed its leak test"
    assert Event.objects.filter(kind="breach_recorded").count() == 1


def install(site, mbq: float = 1_500, number: str = "G1"):
    return generators.install(
        site, kind="ge-ga", number=number, made_at=NOW, calibrated_mbq=mbq, calibrated_at=NOW - timedelta(hours=1)
    )


def test_a_parent_on_its_column_is_a_holding_and_a_generator_above_the_permit_is_refused(made):
    germanium = NUCLIDES["Ge-68"].value
    row = install(made.site)
    assert isclose(services.held_mbq(made.site, germanium, at=NOW), 1_500, rel_tol=1e-3)
    allow(made.site, "Ge-68", 2_000)
    with pytest.raises(services.NotDone, match="allows 2,000 MBq of Ge-68"):
        install(made.site, number="G2")
    generators.retire(row, at=NOW)
    assert services.held_mbq(made.site, germanium, at=NOW + timedelta(minutes=1)) == 0
    assert install(made.site, number="G2")


def test_each_route_has_its_month_and_waste_that_is_kept_too_long_is_said(made):
    batch = make_batch(make_run(made))
    allow(made.site, "F-18", 50_000, solid_mbq_a_month=0.5, accumulation_days=1)
    lost = Cause(CauseCode.DID_NOT_ATTEND, Initiator.PATIENT)
    for _ in range(2):
        dose = services.draw(batch, activity_mbq=400, at=NOW, instrument="Calibrator 1", now=NOW, by=BY)
        services.waste(dose, cause=lost, at=NOW, now=NOW, by=BY)
    later = NOW + timedelta(days=2)
    first, second = services.decay_store(made.site, at=later)
    assert first.too_long
    at = first.release_at
    services.dispose(made.site, route="solid", items=[first.entry], at=at, now=at, by=BY)
    with pytest.raises(services.NotDone, match=r"with 0\.391 MBq more it would be above the 0\.5 MBq"):
        services.dispose(made.site, route="solid", items=[second.entry], at=at, now=at, by=BY)
    assert isclose(month_by_route(made.site, "F-18", "solid", at=at), 400 / 1024, rel_tol=1e-3)
    (line,) = [each for each in months_of(made.site, at=at, count=1) if each.route == "solid"]
    assert not line.over and line.limit_mbq == 0.5
    services.dispose(made.site, route="solid", items=[second.entry], at=at, now=at, by=BY, already_happened=True)
    assert [each.over for each in months_of(made.site, at=at, count=1) if each.route == "solid"] == [True]


def test_a_year_of_months_is_three_statements(made, django_assert_num_queries):
    with django_assert_num_queries(3):
        assert months_of(made.site, at=NOW, count=12) == []


# Who receives what


def badge(msv: float, month: int = 11, part: Part = Part.FINGER) -> Reading:
    first = date(2026, month, 1)
    return Reading(part, first, date(2026, month + 1, 1) - timedelta(days=1) if month < 12 else date(2026, 12, 31), msv)


def test_a_reading_is_added_to_the_year_asks_for_a_look_and_above_the_limit_is_a_breach(made):
    person = make_person(Role.RADIOGRAPHER, made.provider)

    def record(*given, **more):
        return record_staff_dose(made.site, person, *given, now=NOW, by=BY, **more)

    assert not record(badge(3.0, 1)).asks
    high = record(badge(60.0, 2))
    assert high.asks == ["60 mSv to the fingers in 28 days; the local rules ask above 10 mSv in that time"]
    with pytest.raises(services.NotDone, match="is there already"):
        record(badge(1.0, 2))
    assert [row.pk for row in to_look_at(made.site)] == [high.pk]
    review_staff_dose(high, finding="Badge was left in the hot lab", now=NOW, by=BY)
    with pytest.raises(services.NotDone, match="looked at it already"):
        review_staff_dose(high, finding="Again", now=NOW, by=BY)
    assert not to_look_at(made.site)
    record(badge(6.0, 2), corrects=high)
    assert isclose(next(p.msv for p in year_of([person], made.site, now=NOW)[0].parts if p.part is Part.FINGER), 9.0)
    assert not Incident.objects.exists()
    worst = record(badge(495.0, 3))
    assert any("above the limit of 500 mSv" in said for said in worst.asks) and Incident.objects.exists()


def test_what_each_person_handled_this_month_is_beside_it(made):
    batch = make_batch(make_run(made))
    person = make_person(Role.RADIOGRAPHER, made.provider)
    from tests.apps.factories import actor

    services.draw(batch, activity_mbq=300, at=NOW, instrument="Calibrator 1", now=NOW, by=actor(person))
    (line,) = year_of([person], made.site, now=NOW)
    assert (line.drawn_mbq, line.given_mbq) == (300.0, 0.0)


# The pages


def signed_in(role: Role, organisation, monkeypatch, at: datetime = NOW) -> Client:
    monkeypatch.setattr(timezone, "now", lambda: at)
    client = Client()
    client.force_login(make_person(role, organisation))
    return client


def test_a_badge_is_recorded_and_looked_at_on_the_pages_and_others_see_only_their_own(made, monkeypatch):
    client = signed_in(Role.PHYSICIST, made.provider, monkeypatch)
    person = make_person(Role.RADIOGRAPHER, made.provider)
    page = reverse("tracer:staff")
    sent = {
        "person": str(person.pk),
        "part": "fingers",
        "first": "1/10/2026",
        "last": "31/10/2026",
        "msv": "40",
        "corrects": "",
    }
    shown = client.post(page, sent, follow=True).content.decode()
    assert "Somebody has to look" in shown and person.name in shown
    row = StaffDose.objects.get()
    done = client.post(reverse("tracer:look", args=[row.pk]), {"finding": "Two long shifts; rota changed"}, follow=True)
    assert "Two long shifts" in done.content.decode()
    theirs = Client()
    theirs.force_login(person)
    own = theirs.get(page).content.decode()
    assert "your own record" in own and "Record a badge" not in own
    assert theirs.post(page, sent).status_code == 403
    assert theirs.get(reverse("tracer:look", args=[row.pk])).status_code == 403
    other = Client()
    other.force_login(make_person(Role.RADIOGRAPHER, made.provider))
    assert person.name not in other.get(page).content.decode()


def test_a_source_and_a_permit_by_route_are_recorded_on_the_page(made, monkeypatch):
    client = signed_in(Role.PHYSICIST, made.provider, monkeypatch)
    page = reverse("tracer:holdings")
    client.post(
        page,
        {
            "what": "permit", "permit-number": "EPR-3", "permit-nuclide": "Cs-137", "permit-holding_mbq": "5",
            "permit-sealed": "on", "permit-valid_from": "1/1/2026", "permit-valid_to": "1/1/2028",
        },
    )  # fmt: skip
    assert Permit.objects.get().sealed
    sent = {
        "what": "source", "source-nuclide": "Cs-137", "source-serial": "S-7", "source-what": "Check source",
        "source-activity_mbq": "12", "source-reference_on": "1/11/2016", "source-kept_in": "Safe",
    }  # fmt: skip
    refused = client.post(page, sent)
    assert refused.status_code == 422 and b"allows 5 MBq of Cs-137" in refused.content
    assert b"It is here all the same" in refused.content
    client.post(page, sent | {"refused": "1", "source-already_happened": "on"})
    row = SealedSource.objects.get()
    assert row.breach
    client.post(page, {"what": "change", "change-source": str(row.pk), "change-act": "passed", "change-at": "now"})
    client.post(
        page,
        {
            "what": "change",
            "change-source": str(row.pk),
            "change-act": "gone",
            "change-at": "now",
            "change-to": "Maker",
        },
    )
    row.refresh_from_db()
    assert row.leak_tested_at and row.gone_to == "Maker"
    assert "to Maker" in client.get(page).content.decode()
    assert client.get(reverse("tracer:disposals")).status_code == 200


def test_a_kit_is_labelled_on_the_generators_page_and_becomes_a_batch(made, monkeypatch):
    client = signed_in(Role.PHYSICIST, made.provider, monkeypatch)
    row = install(made.site)
    generators.elute(row, services.Reading(900, NOW, "Calibrator 1", 5.0), now=NOW, by=BY)
    page = reverse("tracer:generator", args=[row.pk])
    sent = {
        "what": "kit", "kit-tracer": "GA-DOTATATE", "kit-kit": "NETSPOT", "kit-kit_lot": "L1", "kit-number": "K-1",
        "kit-activity_mbq": "800", "kit-volume_ml": "8", "kit-at": "now", "kit-instrument": "Calibrator 1",
        "kit-expires_at": "13:00",
    }  # fmt: skip
    early = client.post(page, sent)
    assert early.status_code == 422 and b"not released" in early.content
    day = generators.day_of(row, NOW)
    generators.release_or_block(day, [Eluate("Ge-68", 0.0002)], at=NOW, now=NOW, by=BY)
    client.post(page, sent)
    made_of = Preparation.objects.get()
    assert made_of.batch.number == "K-1" and made_of.batch.state == "received"
    assert "K-1" in client.get(page).content.decode()


def test_part_of_a_batch_is_received_from_another_site_and_an_unopened_dose_goes_back(made, monkeypatch):
    client = signed_in(Role.RADIOPHARMACIST, made.provider, monkeypatch)
    batch = make_batch(make_run(made))
    sent = services.transfer(
        batch, services.Reading(2_000, NOW, "Calibrator 1", 2.0), to=made.other_site, now=NOW, by=BY
    )
    today = client.get(reverse("tracer:today") + f"?site={made.other_site.pk}").content.decode()
    assert "sent here from batch" in today
    answer = {
        "number": sent.number, "stated_mbq": "2000", "reference_at": "09:00", "expires_at": "18:00", "volume_ml": "2",
        "packages": "1", "transport_index": "0.2", "label": "II-YELLOW", "received_at": "now", "measured_mbq": "1990",
        "measured_at": "now", "instrument": "Calibrator 1", "barcode": "",
    }  # fmt: skip
    assert client.get(reverse("tracer:batch", args=[sent.pk])).status_code == 200
    client.post(reverse("tracer:receive_sent", args=[sent.pk]), answer)
    assert Batch.objects.get(pk=sent.pk).state == "received"
    again = client.post(reverse("tracer:receive_sent", args=[sent.pk]), answer)
    assert again.status_code == 422 and b"received already" in again.content
    dose = services.draw(batch, activity_mbq=300, at=NOW, instrument="Calibrator 1", now=NOW, by=BY)
    client.post(
        reverse("tracer:dose", args=[dose.pk]), {"what": "return", "back-reason": "Not needed", "back-at": "now"}
    )
    assert Dose.objects.get(pk=dose.pk).state == "returned_to_supplier"


# What leaves by road


def test_a_transport_paper_carries_what_the_ledger_says_has_left(made):
    """A transfer without its paper is said on the batch; the paper names it once, and has to agree with it."""
    batch = make_batch(make_run(made))
    services.transfer(batch, services.Reading(2_000, NOW, "Calibrator 1"), to=made.other_site, now=NOW, by=BY)
    (left,) = carriage.without_paper(batch)
    client = Client()
    client.force_login(make_person(Role.RADIOPHARMACIST, made.provider), backend=BACKEND)
    assert "no transport paper" in client.get(reverse("tracer:batch", args=[batch.pk])).content.decode()

    def sent(mbq):
        parcel = carriage.Parcel("Other site", "1 Road", mbq, 0.2, 0.004)
        return carriage.consign(batch, parcel, at=NOW, now=NOW, by=BY, entry=left)

    with pytest.raises(services.NotDone, match=r"The ledger says 2,000\.0 MBq left, the package says 3,000\.0 MBq"):
        sent(3_000)
    assert sent(2_000).entry == left and carriage.without_paper(batch) == []
    with pytest.raises(services.NotDone, match="another package"):
        sent(2_000)
    assert "no transport paper" not in client.get(reverse("tracer:batch", args=[batch.pk])).content.decode()
