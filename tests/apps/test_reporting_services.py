"""What becomes of a report: who may write it, what is issued, who is to have it, and what is known to have happened."""

from datetime import timedelta

import pytest
from django.db import ProgrammingError, connection, transaction

from gantry.apps.accounts.models import Entitlement
from gantry.apps.audit.models import Event, OutboxMessage
from gantry.apps.audit.services import Stale
from gantry.apps.patients.models import Patient
from gantry.apps.referrals.models import ReportRecipient
from gantry.apps.reporting import services as reporting
from gantry.apps.reporting.models import ReportDispatch, ReportVersion
from gantry.apps.scanning.services import images
from gantry.domain.access import Role
from gantry.domain.events import EventKind
from gantry.domain.lifecycle import IllegalMove
from tests.apps.factories import actor, make_person
from tests.apps.reports import READ_AT, TEXT, another_trust, listener, make_reading, make_reporter

pytestmark = pytest.mark.django_db


def why_not(reading, text=TEXT, **over) -> list[str]:
    with pytest.raises(reporting.Refused) as refused:
        report = reading.report()
        said = {"version": report.version, "by": reading.by, "person": reading.reporter, "now": READ_AT}
        reporting.verify(report, text, **(said | over))
    return refused.value.reasons


def test_a_verified_report_is_a_version_on_its_way_to_every_recipient() -> None:
    reading = make_reading()
    listener(reading.trust, 2575)
    version = reading.verified()
    assert (version.number, version.state, version.registration) == (1, "final", reading.reporter.registration)
    assert version.question == reading.procedure.referral.answers["clinical_question"]
    dispatch = version.dispatches.get()
    assert (dispatch.organisation, dispatch.state, dispatch.message.door) == (reading.trust, "queued", "hl7.report")
    event = Event.objects.get(kind=EventKind.REPORT_VERIFIED)
    assert event.about == {
        "report": str(version.report_id),
        "procedure": str(reading.procedure.pk),
        "referral": str(reading.procedure.referral_id),
        "patient": str(reading.procedure.referral.patient_id),
        "study": str(reading.study.pk),
        "appointment": str(reading.visit.appointment_id),
        "version": str(version.pk),
    }


def test_every_reason_is_said_at_once() -> None:
    reading = make_reading(checked=False)
    Entitlement.objects.all().delete()
    reasons = why_not(reading, reporting.Sections("", " ", ""))
    assert reasons[:3] == [
        "The images have not been checked",
        "The report has no findings",
        "The report has no conclusion",
    ]
    assert "No employer has entitled" in reasons[3]
    assert not ReportVersion.objects.exists()


def test_images_found_unacceptable_stop_it_until_they_are_checked_again() -> None:
    reading = make_reading()
    images.check_images(reading.study, acceptable=False, note="Moved", by=reading.by, now=READ_AT)
    assert why_not(reading) == ["The images have not been checked"]
    later = READ_AT + timedelta(minutes=5)
    images.check_images(reading.study, acceptable=True, note="Repeated", by=reading.by, now=later)
    assert reading.verified().state == "final"


def test_an_entitlement_counts_for_its_employer_its_procedures_and_its_days() -> None:
    reading = make_reading()
    mine = Entitlement.objects.filter(person=reading.reporter)
    for change in (
        {"procedures": ["OTHER"]},
        {"procedures": [], "valid_to": READ_AT.date() - timedelta(days=1)},
        {"valid_to": None, "employer": another_trust()},
        {"employer": reading.day.made.provider, "duty": "operator"},
    ):
        mine.update(**change)
        assert len(why_not(reading)) == 1
    mine.update(duty="reporter")
    assert reading.verified()


def test_without_a_verified_nhs_number_it_goes_only_with_a_reason_that_is_kept() -> None:
    reading = make_reading()
    Patient.objects.update(nhs_number_status="03")
    assert why_not(reading) == ["The patient has no verified NHS number: give the reason for releasing without it"]
    report = reading.report()
    version = reporting.verify(
        report,
        TEXT,
        version=report.version,
        by=reading.by,
        person=reading.reporter,
        now=READ_AT,
        exception_reason="Tracing failed twice",
    )
    assert version.reason == "Released without an NHS number: Tracing failed twice"


def test_one_person_writes_and_the_other_sees_who_and_since_when() -> None:
    reading = make_reading()
    other = make_reporter(reading.day)
    report = reading.report()
    reporting.save_draft(report, TEXT, version=report.version, person=reading.reporter, now=READ_AT)
    soon = READ_AT + timedelta(minutes=10)
    seen = reporting.open_report(reading.procedure, by=actor(other), person=other, now=soon)
    assert (seen.elsewhere.name, seen.elsewhere.since) == (reading.reporter.name, READ_AT)
    with pytest.raises(reporting.OpenElsewhere):
        reporting.save_draft(seen.report, TEXT, version=seen.report.version, person=other, now=soon)
    mine = reporting.open_report(reading.procedure, by=actor(other), person=other, now=soon, take_over=True)
    assert mine.elsewhere is None
    assert Event.objects.filter(kind=EventKind.REPORT_DRAFTED, data__taken_over_from=reading.reporter.name).exists()
    late = soon + timedelta(hours=1)
    with pytest.raises(Stale):
        reporting.save_draft(mine.report, TEXT, version=report.version + 1, person=reading.reporter, now=late)
    assert mine.report.draft["findings"] == TEXT.findings


def test_a_pen_that_lies_for_half_an_hour_is_free() -> None:
    reading = make_reading()
    other = make_reporter(reading.day)
    reading.report()
    later = READ_AT + timedelta(minutes=31)
    assert reporting.open_report(reading.procedure, by=actor(other), person=other, now=later).elsewhere is None


def test_two_saves_on_one_version_do_not_overwrite_each_other() -> None:
    reading = make_reading()
    report = reading.report()
    reporting.save_draft(report, TEXT, version=report.version, person=reading.reporter, now=READ_AT)
    with pytest.raises(Stale):
        reporting.save_draft(
            report, reporting.Sections("", "x", ""), version=report.version, person=reading.reporter, now=READ_AT
        )


def test_an_amendment_goes_to_everyone_who_had_the_first_and_to_the_newly_named() -> None:
    reading = make_reading()
    listener(reading.trust, 2575)
    first = reading.verified()
    referral = reading.procedure.referral
    new = another_trust()
    ReportRecipient.objects.filter(referral=referral).delete()
    ReportRecipient.objects.create(referral=referral, organisation=new)
    report = reading.report()
    with pytest.raises(reporting.Refused):
        reporting.amend(
            report, TEXT, reason=" ", version=report.version, by=reading.by, person=reading.reporter, now=READ_AT
        )
    second = reporting.amend(
        report,
        reporting.Sections("", "Left, not right.", "N1."),
        reason="Side corrected",
        version=report.version,
        by=reading.by,
        person=reading.reporter,
        now=READ_AT,
    )
    assert (second.number, second.state, second.reason) == (2, "amended", "Side corrected")
    assert {d.organisation for d in second.dispatches.all()} == {reading.trust, new}
    first.refresh_from_db()
    assert first.findings == TEXT.findings


def test_a_version_can_be_neither_changed_nor_removed() -> None:
    version = make_reading().verified()
    for spoil in ("UPDATE reporting_reportversion SET findings = '?'", "DELETE FROM reporting_reportversion"):
        with pytest.raises(ProgrammingError, match="Cannot update or delete"), transaction.atomic():
            connection.cursor().execute(spoil)
    version.refresh_from_db()
    assert version.findings == TEXT.findings


def test_a_report_about_another_person_is_withdrawn_everywhere_and_can_be_written_afresh() -> None:
    reading = make_reading()
    listener(reading.trust, 2575)
    reading.verified()
    report = reading.report()
    gone = reporting.withdraw(
        report,
        reason="Images were of the next patient",
        wrong_person=True,
        version=report.version,
        by=reading.by,
        person=reading.reporter,
        now=READ_AT,
    )
    assert (gone.state, gone.findings) == ("withdrawn", "")
    assert gone.reason.startswith("It was about another person.")
    assert [d.organisation for d in gone.dispatches.all()] == [reading.trust]
    report.refresh_from_db()
    assert report.draft == {}
    with pytest.raises(IllegalMove):
        reporting.verify(
            report, TEXT, version=report.version, by=reading.by, person=reading.reporter, now=READ_AT
        )  # fmt: skip
    again = reporting.reopen(
        report, version=report.version, by=reading.by, person=reading.reporter, now=READ_AT
    )  # fmt: skip
    assert again.state == "draft"
    assert reading.verified().number == 3


def test_a_recipient_without_an_address_has_a_person_and_reads_it_here() -> None:
    reading = make_reading()
    manager = make_person(Role.MANAGER, reading.day.made.provider)
    dispatch = reading.verified().dispatches.get()
    assert (dispatch.state, dispatch.owner, dispatch.message) == ("given_up", manager, None)
    assert not OutboxMessage.objects.filter(door="hl7.report").exists()
    referrer = make_person(Role.REFERRER, reading.trust)
    theirs = {"organisations": frozenset({reading.trust.pk}), "by": actor(referrer), "person": referrer}
    assert reporting.record_reading(dispatch.version, now=READ_AT, **theirs)
    dispatch.refresh_from_db()
    assert (dispatch.state, dispatch.read_by_name, dispatch.delivered_at) == ("read", referrer.name, None)


def test_delivered_read_and_acted_on_are_three_facts_in_any_order() -> None:
    reading = make_reading()
    listener(reading.trust, 2575)
    version = reading.verified()
    referrer = make_person(Role.REFERRER, reading.trust)
    theirs = {"organisations": frozenset({reading.trust.pk}), "by": actor(referrer), "person": referrer}
    assert reporting.record_reading(version, now=READ_AT, **theirs)
    assert not reporting.record_reading(version, now=READ_AT + timedelta(hours=1), **theirs)
    dispatch = ReportDispatch.objects.get()
    later = READ_AT + timedelta(hours=2)
    reporting.report_delivered(dispatch.message, proof="AA to X", now=later)
    reporting.report_delivered(dispatch.message, proof="AA to X", now=later)
    assert not reporting.record_action(version, action=" ", now=later, **theirs)
    assert reporting.record_action(version, action="Referred to thoracic surgery", now=later, **theirs)
    dispatch.refresh_from_db()
    assert (dispatch.state, dispatch.proof) == ("acted_on", "AA to X")
    assert (dispatch.read_at, dispatch.delivered_at, dispatch.acted_at) == (READ_AT, later, later)
    kinds = [EventKind.REPORT_READ, EventKind.REPORT_DELIVERED, EventKind.REPORT_ACTED_ON]
    assert [Event.objects.filter(kind=kind).count() for kind in kinds] == [1, 1, 1]


def test_somebody_of_no_recipient_reads_nothing_on_its_behalf() -> None:
    reading = make_reading()
    version = reading.verified()
    mine = {"organisations": frozenset({reading.day.made.provider.pk}), "by": reading.by, "person": reading.reporter}
    assert not reporting.record_reading(version, now=READ_AT, **mine)
    assert not Event.objects.filter(kind=EventKind.REPORT_READ).exists()


def test_the_paper_is_the_same_each_time_and_another_when_it_is_superseded() -> None:
    reading = make_reading()
    first = reading.verified()
    paper = reporting.pdf_of(first)
    assert paper.startswith(b"%PDF-")
    assert b"/Lang (en-GB)" in paper
    assert reporting.pdf_of(ReportVersion.objects.get(pk=first.pk)) == paper
    report = reading.report()
    reporting.amend(
        report, TEXT, reason="Side", version=report.version, by=reading.by, person=reading.reporter, now=READ_AT
    )
    assert reporting.paper_of(first).superseded_by == 2
    assert reporting.pdf_of(first) != paper
