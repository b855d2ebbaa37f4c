"""Generators, kits and packages: what may be given or sent, and what is recorded all the same."""

from datetime import timedelta
from math import isclose

import pytest

from gantry.apps.audit.models import Event
from gantry.apps.radiopharmacy import services
from gantry.apps.radiopharmacy.models import Batch, Consignment, Generator
from gantry.apps.radiopharmacy.services import carriage, generators
from gantry.domain.events import system
from gantry.domain.generator import Eluate
from gantry.domain.lifecycle import IllegalMove
from gantry.domain.transport import Label
from tests.apps.factories import NOW, make_batch, make_calibrator, make_network, make_run

pytestmark = pytest.mark.django_db
BY = system("tests")
FINE = [Eluate("Ge-68", 0.0002)]


def a_generator(kind="ge-ga") -> Generator:
    return generators.install(
        make_network().site, kind=kind, number="G1", made_at=NOW - timedelta(days=30), calibrated_mbq=1_500,
        calibrated_at=NOW - timedelta(days=30),
    )  # fmt: skip


def eluted(generator, mbq=900.0, *, at=NOW):
    return generators.elute(generator, services.Reading(mbq, at, "Calibrator 1", 5.0), now=at, by=BY)


def released(generator, at=NOW):
    return generators.release_or_block(generators.day_of(generator, at), FINE, at=at, now=at, by=BY)


def prepare(elution, mbq=500.0, *, at=NOW + timedelta(minutes=20), tracer="GA-DOTATATE", number="K1") -> Batch:
    return generators.prepare(
        elution, services.Reading(mbq, at, "Calibrator 1", 10.0), tracer=tracer, kit="Edotreotide kit", kit_lot="L1",
        number=number, expires_at=at + timedelta(hours=4), now=at, by=BY,
    )  # fmt: skip


def test_an_elution_is_held_against_what_has_grown_back():
    generator = a_generator()
    first = eluted(generator)
    assert isclose(first.expected_mbq, 1_500 * 0.926 * 0.7, rel_tol=0.01)
    second = eluted(generator, at=NOW + timedelta(hours=1))
    assert isclose(second.expected_mbq / first.expected_mbq, 0.46, abs_tol=0.01)
    assert generators.expected_mbq(generator, at=second.at) == 0


def test_a_kit_is_made_only_of_a_released_day_and_becomes_a_batch_with_two_keys():
    generator = a_generator()
    elution = eluted(generator)
    with pytest.raises(services.NotDone, match="untested"):
        prepare(elution)
    released(generator)
    elution.refresh_from_db()
    batch = prepare(elution)
    assert batch.state == "received" and batch.entries.get().way == "eluted"
    at = NOW + timedelta(minutes=40)
    services.release_batch(batch, released_by="Quinn Person", released_at=at, now=at, by=BY)
    services.accept_batch(batch, now=at, by=system("somebody else"))
    make_calibrator(batch.site, at=at)
    dose = services.draw(batch, activity_mbq=150, at=at, instrument="Calibrator 1", now=at, by=BY)
    assert dose.tracer == "GA-DOTATATE"
    with pytest.raises(services.NotDone, match="left of the elution"):
        prepare(elution, 600, number="K2")
    with pytest.raises(services.NotDone, match="is not made from Ga-68"):
        prepare(elution, 10, tracer="FDG", number="K3")


def test_breakthrough_blocks_the_day_and_nothing_releases_it_again():
    generator = a_generator("sr-rb")
    day = generators.day_of(generator, NOW)
    tests = [Eluate("Sr-82", 0.011), Eluate("Sr-85", 0.01)]
    assert generators.release_or_block(day, tests, at=NOW, now=NOW, by=BY).state == "blocked"
    assert "stops the generator" in Event.objects.get(kind="generator_blocked").data["reasons"][0]
    with pytest.raises(IllegalMove):
        generators.release_or_block(day, [Eluate("Sr-82", 0), Eluate("Sr-85", 0)], at=NOW, now=NOW, by=BY)


def test_an_elution_after_the_generators_life_is_recorded_as_a_breach():
    generator = a_generator()
    eluted(generator, at=NOW + timedelta(days=400))
    assert "365 days is the most" in Event.objects.get(kind="breach_recorded").data["reasons"][0]


def test_a_rubidium_elution_too_soon_is_recorded_as_a_breach():
    generator = a_generator("sr-rb")
    eluted(generator)
    soon = NOW + timedelta(minutes=4)
    assert generators.ready_at(generator, at=soon) == NOW + timedelta(minutes=10)
    eluted(generator, at=soon)
    assert "it waits 10" in Event.objects.get(kind="breach_recorded").data["reasons"][0]
    eluted(generator, at=NOW + timedelta(minutes=14))
    assert Event.objects.filter(kind="breach_recorded").count() == 1
    assert generators.ready_at(generator, at=NOW + timedelta(minutes=24)) is None


def parcel(**over) -> carriage.Parcel:
    facts = {"consignee": "Other hospital", "address": "1 Test Street", "activity_mbq": 2_000, "surface_msv_per_h": 0.3,
             "at_one_metre_msv_per_h": 0.006}  # fmt: skip
    return carriage.Parcel(**(facts | over))


def test_a_package_gets_the_label_that_its_dose_rates_ask_for():
    batch = make_batch(make_run(make_network()))
    row = carriage.consign(batch, parcel(), at=NOW, now=NOW, by=BY)
    assert (row.label, row.transport_index) == ("II-YELLOW", 0.6)
    with pytest.raises(services.NotDone, match="ask for II-YELLOW"):
        carriage.consign(batch, parcel(label=Label.WHITE), at=NOW, now=NOW, by=BY)
    carriage.consign(batch, parcel(label=Label.WHITE), at=NOW, now=NOW, by=BY, already_happened=True)
    assert Consignment.objects.filter(breach=[]).count() == 1
    assert Event.objects.filter(kind="breach_recorded", subjects__contains=[batch.pk]).count() == 1
