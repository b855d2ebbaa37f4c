"""The ledger as its people meet it: a day, a container, what was wasted, and each question from asked to closed."""

import csv
import re
from datetime import timedelta
from io import StringIO

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from gantry.apps.radiopharmacy import services
from gantry.apps.radiopharmacy.models import Batch, Container, Investigation, LedgerEntry
from gantry.domain.access import Role
from gantry.domain.events import Cause, CauseCode, Initiator, system
from tests.apps.factories import NOW, make_batch, make_network, make_person, make_run

pytestmark = pytest.mark.django_db
BY = system("tests")
MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    monkeypatch.setattr(timezone, "now", lambda: NOW + 10 * MINUTE)


@pytest.fixture
def made():
    return make_network()


@pytest.fixture
def batch(made) -> Batch:
    return make_batch(make_run(made))


def enter(made, role=Role.RADIOPHARMACIST, name="") -> Client:
    client = Client()
    person = make_person(role, made.provider, name=name)
    client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    return client


def text(client, name, *args, **query) -> str:
    answer = client.get(reverse(name, args=args), query)
    assert answer.status_code == 200
    return answer.content.decode()


def draw(batch, mbq=300.0):
    fresh = Batch.objects.get(pk=batch.pk)
    return services.draw(fresh, activity_mbq=mbq, at=NOW, instrument="Calibrator 1", now=NOW, by=BY)


def question(batch) -> Investigation:
    services.count_vial(batch, services.Reading(9_000, NOW, "Calibrator 1"), now=NOW, by=BY)
    return Investigation.objects.get()


def test_a_question_goes_from_the_days_page_to_its_end_by_two_peoples_hands(made, batch):
    row = question(batch)
    robin, sam = enter(made, name="Robin Roe"), enter(made, Role.PHYSICIST, name="Sam Poe")
    for name, args in (("tracer:today", ()), ("tracer:holdings", ()), ("tracer:batch", (batch.pk,))):
        assert reverse("tracer:investigation", args=[row.pk]) in text(robin, name, *args), name
    assert "nobody has it yet" in text(robin, "tracer:investigations")
    at = reverse("tracer:investigation", args=[row.pk])
    shown = text(robin, "tracer:investigation", row.pk)
    assert "counted" in shown and "received" in shown and "I will look into it" in shown
    robin.post(at, {"what": "take"})
    refused = robin.post(at, {"what": "conclude", "found": "mistyped", "entry": "", "finding": "Typed"})
    assert refused.status_code == 422 and b"Say which of the entries was wrong" in refused.content
    said = {"what": "conclude", "found": "unexplained", "entry": "", "finding": "Bench and bins surveyed"}
    assert robin.post(at, said).status_code == 302
    assert robin.post(at, {"what": "close"}).status_code == 422
    assert sam.post(at, {"what": "close"}).status_code == 302
    row.refresh_from_db()
    assert (row.owner_name, row.closed_by) == ("Robin Roe", "Sam Poe")
    assert at not in text(robin, "tracer:today") and "Sam Poe" in text(robin, "tracer:investigations")
    assert at in text(robin, "tracer:batch", batch.pk)


def test_the_entry_that_was_wrong_is_corrected_from_its_question_and_the_batch_says_by_what(made, batch):
    row = question(batch)
    robin, sam = enter(made, name="Robin Roe"), enter(made, Role.PHYSICIST, name="Sam Poe")
    at = reverse("tracer:investigation", args=[row.pk])
    left = re.search(r"([\d,]+)\D{1,9}left now", text(robin, "tracer:batch", batch.pk)).group(1)
    assert re.search(rf"Left in the vial\D*{left}\D", text(robin, "tracer:batch", batch.pk))
    robin.post(at, {"what": "take"})
    counted = str(row.entries[0])
    for key in row.entries:
        if LedgerEntry.objects.get(pk=key).way == "counted":
            counted = str(key)
    robin.post(at, {"what": "conclude", "found": "mistyped", "entry": counted, "finding": "Printed 9,990"})
    assert "Correct it with my name" in text(sam, "tracer:investigation", row.pk)
    typed = {"what": "correct", "right-activity_mbq": "9990", "right-at": "09:00", "right-why": "The printout"}
    assert sam.post(at, typed | {"right-why": ""}).status_code == 422
    assert sam.post(at, typed).status_code == 302
    shown = text(sam, "tracer:investigation", row.pk)
    assert "9,990.0 MBq instead of 9,000.0 MBq, Sam Poe" in shown and "It adds up now" in shown
    whole = text(robin, "tracer:batch", batch.pk)
    assert "instead of 9000.0 MBq" in whole and "within uncertainty" in whole and "Does not add up" not in whole
    assert "does not add up" not in text(robin, "tracer:statement")


def test_what_is_past_its_time_says_so_and_stands_on_the_watch(made, batch, monkeypatch):
    row = question(batch)
    monkeypatch.setattr(timezone, "now", lambda: row.due_at + MINUTE)
    assert "overdue" in text(enter(made), "tracer:investigations")
    watch = text(enter(made, Role.SESSION_LEAD), "desk:watch")
    assert row.container in watch and "overdue" in watch


def test_who_only_draws_sees_a_question_and_does_not_answer_it(made, batch):
    row = question(batch)
    client = enter(made, Role.RADIOGRAPHER)
    assert "I will look into it" not in text(client, "tracer:investigation", row.pk)
    assert client.post(reverse("tracer:investigation", args=[row.pk]), {"what": "take"}).status_code == 403


def test_another_organisations_question_is_not_there(batch):
    row = question(batch)
    stranger = enter(make_network("RXX", "NXX"))
    assert stranger.get(reverse("tracer:investigation", args=[row.pk])).status_code == 404


def test_a_days_ledger_is_shown_at_the_instant_that_is_asked_for_and_comes_as_a_file(made, batch):
    dose = draw(batch)
    services.sample(Batch.objects.get(pk=batch.pk), services.Reading(5, NOW, "Calibrator 1"), now=NOW, by=BY)
    client = enter(made)
    shown = text(client, "tracer:statement", at="08:00")
    assert "7.3" in shown
    assert "The site, 2 containers" in shown and dose.container.barcode in shown and "08:00" in shown
    answer = client.get(reverse("tracer:statement"), {"at": "08:00", "format": "csv"})
    rows = list(csv.DictReader(StringIO(answer.content.decode("utf-8-sig"))))
    assert [row["Kind"] for row in rows] == ["vial", "syringe", "all"]
    for row in rows:
        out = (
            "Given, net",
            "Residual",
            "Waste",
            "Spilt",
            "Quality control",
            "Sent on or back",
            "Left",
            "Not explained",
        )
        assert float(row["Came in"]) + float(row["Drawn in less out"]) == pytest.approx(
            sum(float(row[name]) for name in out), abs=0.01
        )
    assert "Nothing was here" in text(client, "tracer:statement", on="2026-10-01")
    assert "Ledger of" in text(client, "tracer:statement", on="nonsense", at="25:99")


def test_a_trace_of_activity_is_shown_by_two_figures(made, batch):
    services.draw(batch, activity_mbq=2.5, at=NOW, instrument="Calibrator 1", now=NOW, by=BY)
    assert ">2.5<" in text(enter(made), "tracer:statement", at=timezone.localtime(NOW).strftime("%H:%M"))


def test_a_container_says_where_every_megabecquerel_went(made, batch):
    dose = draw(batch)
    client = enter(made)
    vial = Container.objects.get(batch=batch, kind="vial")
    shown = text(client, "tracer:container", vial.pk)
    assert dose.container.barcode in shown and "−300.0" in shown and "Where every megabecquerel went" in shown
    assert vial.barcode in text(client, "tracer:container", dose.container_id)
    assert reverse("tracer:container", args=[dose.container_id]) in text(client, "tracer:dose", dose.pk)


def test_waste_over_a_period_names_the_cause_and_who_pays(made, batch):
    services.fail_batch(
        batch, cause=Cause(CauseCode.BATCH_FAILED_QC, Initiator.SUPPLIER), now=NOW, by=BY
    )  # fmt: skip
    client = enter(made)
    shown = text(client, "tracer:waste")
    assert "the supplier" in shown and "no price" in shown
    query = {"from": "2026-11-23", "to": "2026-11-23", "format": "csv"}
    answer = client.get(reverse("tracer:waste"), query)
    assert b"supplier" in answer.content and "waste-" in answer["Content-Disposition"]
    assert "Nothing was wasted" in text(client, "tracer:waste", **{"from": "1/1/2026", "to": "31/1/2026"})


def test_the_calibrators_setting_is_filled_in_and_another_one_is_stopped_by_name(made, batch):
    client = enter(made)
    at = reverse("tracer:draw", args=[batch.pk])
    assert '<option value="F-18" selected>F-18</option>' in " ".join(text(client, "tracer:draw", batch.pk).split())
    said = {"activity_mbq": "300", "at": "now", "instrument": "Calibrator 1", "appointment": "", "nuclide": "Ga-68"}
    refused = client.post(at, said)
    assert refused.status_code == 422 and "the calibrator was set to Ga-68" in refused.content.decode()
    assert client.post(at, said | {"nuclide": "F-18"}).status_code == 302


def test_a_vial_that_held_nothing_any_more_is_by_the_book_on_every_page(made, batch, monkeypatch):
    later = NOW + timedelta(days=40)
    monkeypatch.setattr(timezone, "now", lambda: later + MINUTE)
    services.expire_batch(Batch.objects.get(pk=batch.pk), now=later, by=BY)
    client, vial = enter(made), Container.objects.get(batch=batch, kind="vial")
    for name, args in (("tracer:statement", ()), ("tracer:container", (vial.pk,)), ("tracer:batch", (batch.pk,))):
        shown = text(client, name, *args)
        assert "oes not add up" not in shown and "oes not add up" not in shown.lower(), name
    assert "by the book" in text(client, "tracer:statement") and "by the book" in text(
        client, "tracer:container", vial.pk
    )
    assert "No difference has been found" in text(client, "tracer:investigations")
