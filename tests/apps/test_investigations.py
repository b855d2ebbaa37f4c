"""A difference beyond uncertainty is somebody's question until a named person closes it."""

from datetime import timedelta

import pytest

from gantry.apps.audit.models import Event
from gantry.apps.radiopharmacy import services
from gantry.apps.radiopharmacy.models import Batch, Dose, Investigation, LedgerEntry
from gantry.apps.radiopharmacy.services import correcting, investigations, statements
from gantry.domain.access import Role
from gantry.domain.events import Actor, system
from gantry.domain.investigation import Found, State
from gantry.domain.lifecycle import IllegalMove
from gantry.domain.supply import DoseState
from tests.apps.factories import NOW, acting, make_batch, make_network, make_person, make_run

pytestmark = pytest.mark.django_db
BY = system("tests")
MINUTE = timedelta(minutes=1)
ROBIN, SAM = Actor("person:1", "Robin Roe"), Actor("person:2", "Sam Poe")


@pytest.fixture
def batch() -> Batch:
    return make_batch(make_run(make_network()))


def fresh(batch) -> Batch:
    return Batch.objects.get(pk=batch.pk)


def reading(mbq, *, at=NOW) -> services.Reading:
    return services.Reading(mbq, at, "Calibrator 1")


def draw(batch, mbq=300.0, *, at=NOW, by=BY, **more) -> Dose:
    return services.draw(fresh(batch), activity_mbq=mbq, at=at, instrument="Calibrator 1", now=at, by=by, **more)


def count(batch, mbq, at=NOW, by=BY) -> Event | None:
    return services.count_vial(fresh(batch), reading(mbq, at=at), now=at, by=by)


def asked(batch) -> Investigation:
    count(batch, 9_000)
    return Investigation.objects.get()


def kinds() -> list[str]:
    rows = Event.objects.filter(kind__startswith="investigation") | Event.objects.filter(kind="balance_queried")
    return list(rows.order_by("pk").values_list("kind", flat=True))


def test_a_count_that_disagrees_opens_a_question_that_names_its_entries_its_owner_and_its_time(batch):
    assert count(batch, 9_990) is None and not Investigation.objects.exists()
    event = count(batch, 9_000, at=NOW + MINUTE)
    row = Investigation.objects.get()
    assert row.state == State.OPEN and row.owner_role == Role.RADIOPHARMACIST and row.owner is None
    assert row.difference_mbq > row.uncertainty_mbq > 0
    assert {entry.way for entry in investigations.named_entries(row)} == {"received", "counted"}
    assert row.due_at == NOW + MINUTE + 10 * services.nuclide_of(batch.tracer).half_life
    assert event is not None and set(event.subjects) == {batch.pk, row.pk}
    assert list(investigations.still_open(acting(make_person(Role.PHYSICIST, batch.site.organisation)).scope)) == [row]


def test_it_is_taken_concluded_and_closed_by_named_people_in_one_history(batch):
    row = asked(batch)
    with pytest.raises(services.NotDone, match="Take it first"):
        investigations.conclude(row, found=Found.SPILL, finding="Wet bench", now=NOW, by=ROBIN)
    with pytest.raises(IllegalMove):
        investigations.close(row, now=NOW, by=ROBIN)
    investigations.take(row, now=NOW, by=ROBIN)
    with pytest.raises(services.NotDone, match="Robin Roe has it"):
        investigations.conclude(row, found=Found.SPILL, finding="Wet bench", now=NOW, by=SAM)
    investigations.conclude(row, found=Found.SPILL, finding="Wet bench, 40 counts", now=NOW, by=ROBIN)
    investigations.close(row, now=NOW + MINUTE, by=ROBIN)
    row.refresh_from_db()
    assert (row.state, row.closed_by, row.finding) == (State.CLOSED, "Robin Roe", "Wet bench, 40 counts")
    assert kinds() == [
        "balance_queried", "investigation_taken", "investigation_concluded", "investigation_closed",
    ]  # fmt: skip


def test_whoever_made_the_entry_does_not_close_the_question_about_it(batch):
    count(batch, 9_000, by=ROBIN)
    row = Investigation.objects.get()
    wrong = next(entry for entry in investigations.named_entries(row) if entry.way == "counted")
    investigations.take(row, now=NOW, by=ROBIN)
    investigations.conclude(row, found=Found.MISTYPED, finding="Read 9,900", entry=wrong.pk, now=NOW, by=ROBIN)
    with pytest.raises(services.NotDone, match="made the entry"):
        investigations.close(row, now=NOW, by=ROBIN)
    investigations.close(row, now=NOW, by=SAM)
    assert row.closed_by == "Sam Poe"


def test_another_reading_is_put_to_the_open_question_and_takes_back_a_finding_that_it_does_not_bear_out(batch):
    row = asked(batch)
    investigations.take(row, now=NOW, by=ROBIN)
    investigations.conclude(row, found=Found.INSTRUMENT, finding="Background", now=NOW, by=ROBIN)
    count(batch, 8_000, at=NOW + MINUTE)
    row.refresh_from_db()
    assert row.state == State.TAKEN and row.difference_mbq > 1_900 and Investigation.objects.count() == 1


def test_what_has_been_closed_is_not_asked_again_until_something_new_disagrees(batch):
    row = asked(batch)
    investigations.take(row, now=NOW, by=ROBIN)
    investigations.conclude(row, found=Found.SPILL, finding="Wet bench", now=NOW, by=ROBIN)
    investigations.close(row, now=NOW, by=SAM)
    draw(batch, at=NOW + MINUTE)
    assert Investigation.objects.count() == 1
    count(batch, 8_700 - 300, at=NOW + 2 * MINUTE)
    assert Investigation.objects.count() == 2


def test_more_than_there_was_is_asked_about_without_any_count(batch):
    services.spill(fresh(batch), reading(20_000), where="Floor", now=NOW, by=BY)
    row = Investigation.objects.get()
    assert row.difference_mbq < 0 and row.container == batch.containers.get(kind="vial").barcode


def test_a_residual_above_its_syringe_and_a_syringe_that_is_another_are_asked_about(batch):
    one, other = draw(batch), draw(batch, 500)
    Dose.objects.filter(pk=one.pk).update(state=DoseState.ASSIGNED)
    one.refresh_from_db()
    services.administer(one, injected_at=NOW, now=NOW, by=BY)
    services.assay_residual(one, activity_mbq=6_000, at=NOW, instrument="Calibrator 1", now=NOW, by=BY)
    services.check_dose(other, activity_mbq=300, at=NOW, instrument="Calibrator 1", now=NOW, by=BY)
    assert set(Investigation.objects.values_list("container", flat=True)) == {
        one.container.barcode,
        other.container.barcode,
    }


def test_an_ordinary_day_asks_nothing(batch):
    dose = draw(batch)
    Dose.objects.filter(pk=dose.pk).update(state=DoseState.ASSIGNED)
    dose.refresh_from_db()
    services.administer(dose, injected_at=NOW, now=NOW, by=BY)
    services.assay_residual(dose, activity_mbq=4, at=NOW, instrument="Calibrator 1", now=NOW, by=BY)
    services.spill(fresh(batch), reading(20), where="Bench", now=NOW, by=BY)
    services.spend_batch(fresh(batch), at=NOW, now=NOW, by=BY)
    assert not Investigation.objects.exists()


def blamed(batch, mbq=5_000) -> Investigation:
    """A count that was mistyped, and the finding that says so."""
    count(batch, mbq, by=ROBIN)
    row = Investigation.objects.get()
    wrong = next(entry for entry in investigations.named_entries(row) if entry.way == "counted")
    investigations.take(row, now=NOW, by=SAM)
    investigations.conclude(row, found=Found.MISTYPED, finding="Printed 9,990", entry=wrong.pk, now=NOW, by=SAM)
    return row


def correct(row, mbq=9_990.0, *, at=NOW, why="The printout", by=SAM):
    return correcting.correct_entry(row, activity_mbq=mbq, at=at, why=why, now=NOW + MINUTE, by=by)


def test_an_entry_that_was_wrong_is_corrected_by_another_that_names_it_and_everything_balances(batch):
    row = blamed(batch)
    assert services.left_in(fresh(batch), NOW) == pytest.approx(5_000)
    new = correct(row)
    first = LedgerEntry.objects.get(pk=row.entry)
    assert (first.activity_mbq, first.by_name) == (5_000, "Robin Roe")
    assert (new.corrects, new.by_name, new.activity_mbq) == (first.pk, "Sam Poe", 9_990)
    at = NOW + MINUTE
    vial = batch.containers.get(kind="vial")
    assert services.statement(fresh(batch), at=at).within and services.vial_statement(fresh(batch), at=at).within
    assert statements.journey(vial, now=at).said.within
    assert statements.site_statement(batch.site, NOW.date(), at=at, now=at).to_ask == 0
    assert services.left_in(fresh(batch), NOW) == pytest.approx(9_990)
    event = Event.objects.get(kind="entry_corrected")
    assert (event.data["was_mbq"], event.data["wrote"]) == (5_000, "Robin Roe") and row.pk in event.subjects
    investigations.close(row, now=at, by=SAM)
    with pytest.raises(services.NotDone, match="corrected already"):
        correct(row)


def test_a_correction_needs_a_finding_a_reason_and_another_value_and_may_follow_the_end(batch):
    row = blamed(batch)
    with pytest.raises(services.NotDone, match="says already"):
        correct(row, 5_000)
    with pytest.raises(services.NotDone, match="how you know"):
        correct(row, why=" ")
    with pytest.raises(services.NotDone, match="not come yet"):
        correct(row, at=NOW + 5 * MINUTE)
    investigations.close(row, now=NOW, by=SAM)
    correct(row)
    assert services.statement(fresh(batch), at=NOW + MINUTE).within
    other = Investigation(state=State.TAKEN, batch=batch)
    with pytest.raises(services.NotDone, match="which entry was wrong"):
        correct(other)


def test_a_reading_on_arrival_and_a_draw_that_were_wrong_are_put_right_where_they_are_used(batch):
    dose = draw(batch, 300)
    Dose.objects.filter(pk=dose.pk).update(state=DoseState.ASSIGNED)
    dose.refresh_from_db()
    services.administer(dose, injected_at=NOW, now=NOW, by=BY)
    count(batch, 6_000)
    row = Investigation.objects.get()
    investigations.take(row, now=NOW, by=SAM)
    entry = next(each for each in investigations.named_entries(row) if each.way == "drawn")
    investigations.conclude(row, found=Found.MISTYPED, finding="Digits", entry=entry.pk, now=NOW, by=SAM)
    correct(row, 4_000)
    dose.refresh_from_db()
    assert dose.drawn_mbq == 4_000 and dose.net_mbq == pytest.approx(4_000)
    assert services.statement(fresh(batch), at=NOW + MINUTE).within and Investigation.objects.count() == 1


def test_a_correction_that_does_not_bear_the_finding_out_takes_the_question_back(batch):
    row = blamed(batch)
    correct(row, 8_000)
    assert row.state == State.TAKEN and row.difference_mbq > 1_900
