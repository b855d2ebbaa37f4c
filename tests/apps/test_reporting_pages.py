"""The pages of a report and of held images: who sees what, no word lost, nothing shown that was withdrawn."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from gantry.apps.accounts.models import Person
from gantry.apps.audit.models import Event
from gantry.apps.referrals.models import ReportRecipient
from gantry.apps.reporting import services as reporting
from gantry.apps.reporting.models import Report, ReportVersion
from gantry.apps.scanning.models import ReconcileItem
from gantry.apps.scanning.services import images
from gantry.domain.access import Role
from gantry.domain.events import EventKind
from tests.apps.factories import NOW, make_person
from tests.apps.reports import READ_AT, TEXT, Reading, another_trust, make_reading, make_reporter, receive

pytestmark = pytest.mark.django_db


def signed_in(person: Person) -> Client:
    client = Client()
    client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def reading(monkeypatch) -> Reading:
    monkeypatch.setattr(timezone, "now", lambda: READ_AT)
    return make_reading()


def typed(report: Report, **over: str) -> dict[str, str]:
    said = {"technique": TEXT.technique, "findings": TEXT.findings, "conclusion": TEXT.conclusion}
    base = {f"initial-{name}": report.draft.get(name, "") for name in said}
    return {**said, **base, "version": str(report.version), "do": "verify", **over}


def test_the_list_says_what_to_read_next_and_who_has_it_open(reading) -> None:
    client = signed_in(reading.reporter)
    page = client.get(reverse("reporting:list")).content.decode()
    assert reading.procedure.referral.patient.name in page
    assert "Checked" in page
    reading.report()
    other = make_reporter(reading.day)
    assert f"Open: {reading.reporter.name}" in signed_in(other).get(reverse("reporting:list")).content.decode()
    reading.verified()
    assert "Nothing waits to be read" in client.get(reverse("reporting:list")).content.decode()


def test_the_list_asks_the_database_the_same_whatever_its_length(reading, django_assert_max_num_queries) -> None:
    make_reading(day=reading.day, arrival_at=NOW + timedelta(hours=2))
    client = signed_in(reading.reporter)
    client.get(reverse("reporting:list"))
    with django_assert_max_num_queries(14):
        client.get(reverse("reporting:list"))


def asked_for(client: Client, address: str) -> int:
    client.get(address)
    with CaptureQueriesContext(connection) as asked:
        assert client.get(address).status_code == 200
    return len(asked)


def test_writing_asks_the_same_however_often_the_person_was_scanned(reading) -> None:
    client = signed_in(reading.reporter)

    def again(hours: int) -> Reading:
        return make_reading(
            day=reading.day, number=4321, arrival_at=NOW + timedelta(hours=hours), now=NOW + timedelta(minutes=hours)
        )

    again(2)
    once = reverse("reporting:write", args=[again(4).procedure.pk])
    alone = asked_for(client, once)
    again(6)
    often = again(8)
    assert often.procedure.referral.patient == again(10).procedure.referral.patient
    assert asked_for(client, reverse("reporting:write", args=[often.procedure.pk])) == alone


def test_an_amended_report_is_listed_once_as_it_was_issued_last(reading) -> None:
    version = reading.verified()
    report = version.report
    report.refresh_from_db()
    later = READ_AT + timedelta(minutes=1)
    reporting.amend(
        report,
        TEXT,
        reason="A node was missed",
        version=report.version,
        by=reading.by,
        person=reading.reporter,
        now=later,
    )
    referrer = make_person(Role.REFERRER, reading.day.made.trust)
    listing = signed_in(referrer).get(reverse("reporting:issued")).content.decode()
    assert listing.count(f'list-table__open" href="{reverse("reporting:read", args=[report.pk])}"') == 1
    assert "Amended" in listing


def test_a_report_is_written_beside_its_question_and_verified(reading) -> None:
    client = signed_in(reading.reporter)
    address = reverse("reporting:write", args=[reading.procedure.pk])
    page = client.get(address)
    assert reading.procedure.referral.answers["clinical_question"] in page.content.decode()
    answer = client.post(address, typed(Report.objects.get()))
    assert answer.url == reverse("reporting:read", args=[Report.objects.get().pk])
    assert ReportVersion.objects.get().findings == TEXT.findings


def test_a_refusal_says_why_and_keeps_every_word(reading) -> None:
    images.check_images(reading.study, acceptable=False, note="Moved", by=reading.by, now=READ_AT)
    client = signed_in(reading.reporter)
    address = reverse("reporting:write", args=[reading.procedure.pk])
    client.get(address)
    answer = client.post(address, typed(Report.objects.get(), conclusion=""))
    page = answer.content.decode()
    assert answer.status_code == 422
    assert "The images have not been checked" in page and "The report has no conclusion" in page
    assert Report.objects.get().draft["findings"] == TEXT.findings
    assert f'value="{Report.objects.get().version}"' in page


def test_typing_saves_itself_and_the_next_save_builds_on_it(reading) -> None:
    client = signed_in(reading.reporter)
    client.get(reverse("reporting:write", args=[reading.procedure.pk]))
    report = Report.objects.get()
    address = reverse("reporting:draft", args=[report.pk])
    first = client.post(address, typed(report, do=""))
    assert b"Saved" in first.content and b'value="2"' in first.content
    again = client.post(address, typed(report, findings="Other"))
    assert "changed elsewhere" in again.content.decode()
    assert Report.objects.get().draft["findings"] == TEXT.findings


def test_a_page_that_was_overtaken_shows_both_texts(reading) -> None:
    client = signed_in(reading.reporter)
    address = reverse("reporting:write", args=[reading.procedure.pk])
    client.get(address)
    old = Report.objects.get()
    reporting.save_draft(
        old, reporting.Sections("", "Written elsewhere", ""), version=1, person=reading.reporter, now=READ_AT
    )
    answer = client.post(address, typed(old, do="save"))
    assert answer.status_code == 409
    assert "Written elsewhere" in answer.content.decode()
    assert "Avid right hilar node." in answer.content.decode()


def test_open_elsewhere_is_said_with_a_name_and_can_be_taken_over(reading) -> None:
    reading.report()
    other = make_reporter(reading.day)
    client, address = signed_in(other), reverse("reporting:write", args=[reading.procedure.pk])
    page = client.get(address).content.decode()
    assert "Open elsewhere" in page and reading.reporter.name in page
    assert 'value="verify"' not in page
    assert client.post(address, typed(Report.objects.get())).status_code == 409
    client.post(address, {"take_over": "1"})
    assert Report.objects.get().opened_by == other


def test_a_referrer_reads_what_was_issued_and_says_what_was_done(reading) -> None:
    version = reading.verified()
    referrer = make_person(Role.REFERRER, reading.trust)
    client, address = signed_in(referrer), reverse("reporting:read", args=[version.report_id])
    listed = client.get(reverse("reporting:list"), follow=True).content.decode()
    assert "Not read" in listed
    page = client.get(address).content.decode()
    assert TEXT.conclusion in page
    dispatch = version.dispatches.get()
    assert (dispatch.state, dispatch.read_by_name) == ("read", referrer.name)
    client.get(address)
    assert Event.objects.filter(kind=EventKind.REPORT_READ).count() == 1
    assert client.post(reverse("reporting:act", args=[version.report_id]), {"action": ""}).status_code == 422
    client.post(reverse("reporting:act", args=[version.report_id]), {"action": "Referred to surgery"})
    assert version.dispatches.get().action == "Referred to surgery"
    paper = client.get(reverse("reporting:pdf", args=[version.pk]))
    assert paper["Content-Type"] == "application/pdf" and paper.content.startswith(b"%PDF")


def test_nobody_outside_the_referral_sees_its_report(reading) -> None:
    version = reading.verified()
    stranger = signed_in(make_person(Role.REFERRER, another_trust()))
    for address in (
        reverse("reporting:read", args=[version.report_id]),
        reverse("reporting:pdf", args=[version.pk]),
        reverse("scanning:study", args=[reading.study.pk]),
    ):
        assert stranger.get(address).status_code == 404
    assert stranger.post(reverse("reporting:act", args=[version.report_id]), {"action": "x"}).status_code == 404
    listed = stranger.get(reverse("reporting:issued")).content.decode()
    assert reading.procedure.referral.patient.name not in listed
    assert not ReportRecipient.objects.filter(organisation__ods_code="RXX").exists()


def test_a_draft_is_nobodys_but_the_writers(reading) -> None:
    report = reading.report()
    referrer = signed_in(make_person(Role.REFERRER, reading.trust))
    assert referrer.get(reverse("reporting:read", args=[report.pk])).status_code == 404
    assert referrer.get(reverse("reporting:write", args=[reading.procedure.pk])).status_code == 403


def test_what_was_withdrawn_is_shown_to_no_recipient_any_more(reading) -> None:
    first = reading.verified()
    report = Report.objects.get()
    client = signed_in(reading.reporter)
    address = reverse("reporting:withdraw", args=[report.pk])
    assert client.get(address).status_code == 200
    said = {"wrong_person": "yes", "why": "Images of another person", "version": str(report.version)}
    assert client.post(address, said | {"why": ""}).status_code == 422
    assert client.post(address, said).status_code == 302
    referrer = signed_in(make_person(Role.REFERRER, reading.trust))
    page = referrer.get(reverse("reporting:read", args=[report.pk])).content.decode()
    assert "This report is withdrawn" in page and "Images of another person" in page
    assert TEXT.conclusion not in page and "Avid right hilar node" not in page
    assert referrer.get(reverse("reporting:pdf", args=[first.pk])).status_code == 404
    assert TEXT.conclusion in client.get(reverse("reporting:read", args=[report.pk])).content.decode()
    client.post(reverse("reporting:reopen", args=[report.pk]))
    assert Report.objects.get().state == "draft"


def test_checking_the_images_on_the_page_is_recorded(reading) -> None:
    client = signed_in(reading.reporter)
    address = reverse("reporting:check", args=[reading.procedure.pk])
    client.post(address, {"acceptable": "no", "note": ""})
    assert reading.study.checks.count() == 1
    client.post(address, {"acceptable": "no", "note": "Arm down"})
    assert reading.study.checks.order_by("-at", "-pk").first().note == "Arm down"


def test_held_images_show_both_sides_and_markup_is_only_text(reading) -> None:
    stray = receive(
        reading.visit,
        number=9,
        sop_instance_uid="1.2.9",
        patient_id="9990000018",
        nhs_number="9990000018",
        patient_name="<script>alert(1)</script>^X",
    )
    item = ReconcileItem.objects.get(study=stray)
    client = signed_in(make_person(Role.RADIOGRAPHER, reading.day.made.provider))
    queue = client.get(reverse("scanning:reconcile")).content.decode()
    assert "&lt;script&gt;" in queue and "<script>alert" not in queue
    address = reverse("scanning:reconcile_item", args=[item.pk])
    page = client.get(address).content.decode()
    assert "&lt;script&gt;" in page and "<script>alert" not in page
    assert "<strong>Differs</strong>" in page and reading.procedure.referral.patient.name in page
    chosen = {"choice": str(reading.procedure.pk), "note": ""}
    assert client.post(address, chosen).status_code == 422
    assert client.post(address, chosen | {"note": "Rang the site"}).status_code == 302
    stray.refresh_from_db()
    assert (stray.state, stray.procedure) == ("matched", reading.procedure)
    assert client.post(address, chosen | {"note": "Again"}).url == address


def test_a_request_is_found_by_accession_number_only_within_ones_scope(reading) -> None:
    stray = receive(reading.visit, number=9, sop_instance_uid="1.2.9", study_uid="1.2.8", patient_id="",
                    nhs_number="", accession_number="")  # fmt: skip
    item = ReconcileItem.objects.get(study=stray)
    client = signed_in(make_person(Role.RADIOGRAPHER, reading.day.made.provider))
    address = reverse("scanning:reconcile_item", args=[item.pk])
    assert "We hold nothing" in client.get(address).content.decode()
    found = client.get(address, {"accession": reading.procedure.accession_number}).content.decode()
    assert reading.procedure.referral.patient.name in found
    assert "No request of yours" in client.get(address, {"accession": "NOSUCH"}).content.decode()
    assert client.post(address, {"choice": "apart", "note": "A phantom"}).status_code == 302
    item.refresh_from_db()
    assert (item.decision, item.note) == ("kept_apart", "A phantom")
    stranger = signed_in(make_person(Role.MANAGER, another_trust()))
    assert stranger.get(address).status_code == 404
    assert stranger.get(reverse("scanning:study", args=[stray.pk])).status_code == 404


def test_a_study_shows_what_came_and_where_it_went(reading) -> None:
    client = signed_in(reading.reporter)
    page = client.get(reverse("scanning:study", args=[reading.study.pk])).content.decode()
    assert "PET AC" in page and "248" in page and "Acceptable" in page


def test_a_failed_delivery_is_sent_again_by_its_owner(reading) -> None:
    from tests.apps.reports import listener

    manager = make_person(Role.MANAGER, reading.day.made.provider)
    listener(reading.trust, 1)
    dispatch = reading.verified().dispatches.get()
    reporting.report_failed(dispatch.message, phase="answer", reason="AE no", now=READ_AT, for_good=True)
    client = signed_in(manager)
    page = client.get(reverse("reporting:read", args=[dispatch.version.report_id])).content.decode()
    assert "Stopped at answer: AE no" in page and "Send again" in page
    client.post(reverse("reporting:again", args=[dispatch.pk]))
    dispatch.refresh_from_db()
    assert (dispatch.state, dispatch.owner, dispatch.message.state) == ("queued", None, "queued")
    assert READ_AT + timedelta(0) == dispatch.message.due_at
