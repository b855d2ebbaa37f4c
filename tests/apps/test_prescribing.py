"""How much, by which scheme and how long a bed: read on the day of the decision, kept with it, and planned for."""

from dataclasses import replace
from datetime import UTC, date, datetime
from html.parser import HTMLParser

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from gantry.apps.audit.models import Event
from gantry.apps.booking.models import Appointment
from gantry.apps.booking.services.need import prescribed_mbq, shape_for
from gantry.apps.patients.models import Patient
from gantry.apps.radiopharmacy.services import NotDone, draw
from gantry.apps.radiopharmacy.services.prescribing import advice_for
from gantry.apps.referrals.models import Authorisation, Referral
from gantry.apps.scanning.models import Visit
from gantry.apps.scanning.services.steps import protocol_of
from gantry.domain.events import EventKind
from gantry.reference import schemes
from gantry.reference.dated import RECALLED_NOTICE, Fact
from tests.apps.factories import NOW, make_network, make_practitioner, make_referral
from tests.apps.scan_day import make_booked, make_day

pytestmark = pytest.mark.django_db


@pytest.fixture
def vetter(monkeypatch):
    monkeypatch.setattr(timezone, "now", lambda: NOW)
    made = make_network()
    person = make_practitioner(made)
    client = Client()
    client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    return client, made


def waiting(made, **answers) -> Referral:
    return make_referral(made, **answers)


class Shown(HTMLParser):
    """The accept form as the page fills it in."""

    def __init__(self) -> None:
        super().__init__()
        self.inside, self.choosing, self.fields = False, "", {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = dict(attrs)
        if tag == "input" and said.get("name") == "decision":
            self.inside = said.get("value") == "accept"
        if not self.inside:
            return
        name = said.get("name") or ""
        if tag == "input" and said.get("type") != "checkbox" and name:
            self.fields[name] = said.get("value") or ""
        elif tag == "select":
            self.choosing = name
        elif tag == "option" and self.choosing and "selected" in said:
            self.fields[self.choosing] = said.get("value") or ""


def as_shown(page: str) -> dict[str, str]:
    shown = Shown()
    shown.feed(page)
    return shown.fields


def test_the_page_shows_what_each_scheme_gives_at_each_number_of_minutes_with_its_mark(vetter):
    client, made = vetter
    referral = waiting(made, weight_kg=80)
    page = client.get(reverse("referrals:vet", args=[referral.pk])).content.decode()
    for title in ("FDG 3.5 MBq/kg", "FDG linear, bed overlap to 30 %", "FDG quadratic, bed overlap over 30 %"):
        assert title in page
    for given in ("373", "398", "280"):  # linear and quadratic at 3 min/bed, and 3.5 MBq/kg, all at 80 kg
        assert f">{given}<" in page
    assert "of 560</span>" in page
    assert RECALLED_NOTICE in page
    assert "Scan planned, minutes" in page
    for minutes in (20, 27, 34):
        assert f'<td class="numeric">{minutes}</td>' in page


def test_a_chosen_scheme_and_its_minutes_are_kept_with_the_decision_and_the_scan_is_planned_as_long(vetter):
    client, made = vetter
    referral = waiting(made, weight_kg=80)
    url = reverse("referrals:vet", args=[referral.pk])
    sent = as_shown(client.get(url).content.decode())
    assert (sent["scheme"], sent["minutes_per_bed"], sent["activity_mbq"]) == ("fdg-3.5", "2.0", "280.0")
    # The activity on the page is the other scheme's: it is proposed anew before anybody accepts it.
    asked = client.post(url, {**sent, "scheme": "fdg-linear-14", "minutes_per_bed": "3", "justified": "on"})
    assert asked.status_code == 302 and "scheme=fdg-linear-14" in asked.url
    assert not Authorisation.objects.exists()
    sent = as_shown(client.get(asked.url).content.decode())
    assert (sent["scheme"], sent["minutes_per_bed"], sent["activity_mbq"]) == ("fdg-linear-14", "3.0", "373.0")
    assert client.post(url, {**sent, "justified": "on"}).status_code == 302
    kept = Authorisation.objects.get()
    assert (kept.scheme, kept.minutes_per_bed, kept.weight_kg, kept.activity_mbq) == ("fdg-linear-14", 3.0, 80.0, 373.0)
    assert kept.computed_mbq == pytest.approx(373.33, abs=0.01)
    assert shape_for(kept.procedure).scan_min == 27


def test_an_activity_typed_by_hand_says_so_and_keeps_its_minutes(vetter):
    client, made = vetter
    url = reverse("referrals:vet", args=[waiting(made, weight_kg=80).pk])
    sent = as_shown(client.get(url).content.decode())
    client.post(url, {**sent, "activity_mbq": "300", "justified": "on"})
    kept = Authorisation.objects.get()
    assert (kept.scheme, kept.activity_mbq, kept.minutes_per_bed) == ("prescribed by hand", 300.0, 2.0)
    assert shape_for(kept.procedure).scan_min == 20


def test_a_child_is_shown_the_cards_with_their_minima(vetter):
    client, made = vetter
    referral = waiting(made, weight_kg=8)
    Patient.objects.filter(pk=referral.patient_id).update(date_of_birth=date(2025, 1, 10))
    answers = {**referral.answers, "date_of_birth": "2025-01-10", "weight_kg": 8}
    Referral.objects.filter(pk=referral.pk).update(answers=answers)
    page = client.get(reverse("referrals:vet", args=[referral.pk])).content.decode()
    assert "EANM card: FDG, torso, not below 26 MBq" in page and ">55<" in page
    assert "EANM card: FDG, PET/MR or long axial field of view, not below 10 MBq" in page and ">23<" in page
    assert "FDG linear" not in page


def test_a_decision_is_judged_by_the_edition_of_its_own_day(monkeypatch):
    day = make_day()
    visit = make_booked(day, weight_kg=80)
    appointment = Appointment.objects.get(pk=visit.appointment_id)
    given = Authorisation.objects.filter(pk=appointment.authorisation_id)
    given.update(activity_mbq=None, scheme="", at=datetime(2026, 11, 20, 9, tzinfo=UTC))
    old = schemes.SCHEMES["fdg-3.5"][0]
    later = Fact(replace(old.value, factor=3.0, title="FDG 3.0 MBq/kg"), "MBq", "A later edition", date(2026, 11, 22))
    monkeypatch.setitem(schemes.SCHEMES, "fdg-3.5", (old, later))
    # Drawn after the new edition came in; decided before.
    assert prescribed_mbq(given.get()) == 280.0
    assert advice_for(Appointment.objects.get(pk=appointment.pk), now=NOW).source.startswith("FDG 3.5 MBq/kg")
    given.update(at=datetime(2026, 11, 22, 9, tzinfo=UTC))
    assert prescribed_mbq(given.get()) == 240.0
    assert advice_for(Appointment.objects.get(pk=appointment.pk), now=NOW).source.startswith("FDG 3.0 MBq/kg")


def test_a_syringe_that_is_not_as_prescribed_needs_a_word_when_it_is_drawn(monkeypatch):
    day = make_day()
    by = {"at": NOW, "instrument": "Calibrator 1", "now": NOW, "by": day.by}
    with pytest.raises(NotDone) as refused:
        draw(day.batch, activity_mbq=230.0, wanted_mbq=280.0, **by)
    assert refused.value.reasons == [
        "230 MBq is 18 % under what the prescription comes to now, 280 MBq; ±10 % is allowed"
    ]
    assert refused.value.may_override
    dose = draw(
        day.batch, activity_mbq=230.0, wanted_mbq=280.0, override_reason="The last of the vial: asked first", **by
    )
    told = Event.objects.get(kind=EventKind.BREACH_RECORDED, subjects__contains=[dose.pk])
    assert told.data["reasons"] == refused.value.reasons and told.data["override"]
    assert draw(day.batch, activity_mbq=300.0, wanted_mbq=280.0, **by).pk
    assert draw(day.batch, activity_mbq=150.0, wanted_mbq=280.0, already_happened=True, **by).pk


def test_the_bench_and_the_room_know_the_minutes_that_were_prescribed():
    day = make_day()
    visit = make_booked(day, weight_kg=80)
    appointment = Appointment.objects.get(pk=visit.appointment_id)
    Authorisation.objects.filter(pk=appointment.authorisation_id).update(
        scheme="fdg-quadratic-1050", minutes_per_bed=3.0, weight_kg=80.0, activity_mbq=398.0
    )
    type(appointment.procedure).objects.filter(pk=appointment.procedure_id).update(minutes_per_bed=3.0)
    advice = advice_for(Appointment.objects.get(pk=appointment.pk), now=NOW)
    assert advice.computed_mbq == 398 and "3 min/bed" in advice.source
    assert protocol_of(Visit.objects.get(pk=visit.pk)).step("scan").minutes == 27
