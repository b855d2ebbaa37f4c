"""A wrong match of images is taken back: held again with its reason, called back from where it went, and told to whom."""

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse

from gantry.apps.audit import outbox
from gantry.apps.audit.models import Event, OutboxMessage, OutboxState
from gantry.apps.audit.services import Stale
from gantry.apps.estate.models import Endpoint
from gantry.apps.reporting import services as reporting
from gantry.apps.scanning.models import ImageDispatch, ImageRemoval, ReconcileItem, Study
from gantry.apps.scanning.services import images
from gantry.domain.access import Role
from gantry.domain.events import EventKind
from tests.apps.factories import actor, make_accepted, make_organisation, make_person
from tests.apps.reports import READ_AT, Reading, make_reading

pytestmark = pytest.mark.django_db
LATER = READ_AT + timedelta(hours=1)
WHY = "The console showed another name"


def pacs(reading: Reading) -> Endpoint:
    return Endpoint.objects.create(
        organisation=reading.trust, kind="dicom", host="127.0.0.1", port=104, ae_title="HOSPITALPACS"
    )


def delivered(reading: Reading) -> ImageDispatch:
    pacs(reading)
    images.check_images(reading.study, acceptable=True, note="", by=reading.day.by, now=READ_AT)
    dispatch = ImageDispatch.objects.get()
    images.images_proved(outbox.take(dispatch.message_id, now=READ_AT), proved=1, proof="C-FIND", now=READ_AT)
    return dispatch


def take_back(reading: Reading, now=LATER) -> ReconcileItem:
    return images.withdraw(
        Study.objects.get(pk=reading.study.pk), procedure=reading.procedure.pk, reason=WHY, by=reading.by, now=now
    )


def test_a_match_by_rule_is_taken_back_and_can_be_made_again_for_another():
    reading = make_reading(checked=False)
    item = take_back(reading)
    study = Study.objects.get()
    assert (study.state, study.procedure, study.appointment) == ("held", None, None)
    assert item.state == "open" and WHY in item.reason and reading.procedure.accession_number in item.reason
    assert item.theirs["patient_id"] == reading.procedure.referral.patient.nhs_number
    assert str(reading.procedure.pk) in item.ours and item.site == reading.visit.site
    event = Event.objects.get(kind=EventKind.IMAGES_WITHDRAWN)
    assert event.data == {"reason": WHY, "to_be_told": []}
    assert {study.pk, reading.procedure.pk, reading.procedure.referral.patient_id} <= set(event.subjects)
    other = make_accepted(reading.day.made, practitioner=reading.day.practitioner).procedures.get()
    person = make_person(Role.RADIOGRAPHER, reading.day.made.provider)
    images.reconcile(item, procedure=other, note=WHY, by=reading.by, person=person, now=LATER)
    assert Study.objects.get().procedure == other
    assert reporting.latest_check(other) is None


@pytest.mark.parametrize("late", ["nothing", "reason"])
def test_it_is_taken_back_once_and_never_without_a_reason(late):
    reading = make_reading(checked=False)
    if late == "reason":
        with pytest.raises(images.NeedsNote):
            images.withdraw(reading.study, procedure=reading.procedure.pk, reason=" ", by=reading.by, now=LATER)
        assert Study.objects.get().state == "matched"
        return
    take_back(reading)
    with pytest.raises(Stale):
        take_back(reading)
    assert ReconcileItem.objects.count() == 1


def test_what_had_not_left_stays():
    reading = make_reading(checked=False)
    pacs(reading)
    images.check_images(reading.study, acceptable=True, note="", by=reading.day.by, now=READ_AT)
    take_back(reading)
    message = OutboxMessage.objects.get()
    assert (message.state, message.phase) == (OutboxState.GIVEN_UP, "withdrawn")
    assert not ImageRemoval.objects.exists()
    assert outbox.take(message.pk, now=LATER) is None


def test_what_was_delivered_is_followed_until_it_is_gone_and_only_then_goes_out_anew():
    reading = make_reading(checked=False)
    delivered(reading)
    item = take_back(reading)
    removal = ImageRemoval.objects.get()
    event = Event.objects.get(kind=EventKind.IMAGES_WITHDRAWN)
    assert event.data["to_be_told"] == [f"{reading.trust.name}, who holds the images"]
    images.reconcile(
        item, procedure=reading.procedure, note="They were theirs", by=reading.by, person=reading.reporter, now=LATER
    )
    # Checked and asked for: but the PACS would prove them at once, under the other name.
    study = Study.objects.get()
    images.check_images(study, acceptable=True, note="", by=reading.by, now=LATER)
    images.send_what_is_ready(now=LATER + timedelta(hours=1))
    assert ImageDispatch.objects.filter(withdrawn_at=None).count() == 0
    first = outbox.take(removal.message_id, now=LATER)
    images.removal_failed(first, phase="prove", reason="1 of 1 images are still shown there", now=LATER)
    removal.refresh_from_db()
    assert removal.removed_at is None and removal.message.state == OutboxState.FAILED
    assert images.told(removal, whom="PACS office, A Person", by=reading.by, now=LATER)
    again = outbox.take(removal.message_id, now=LATER)
    images.removal_proved(again, proof="C-FIND: none shown", now=LATER)
    images.removal_proved(again, proof="C-FIND: none shown", now=LATER)
    removal.refresh_from_db()
    assert (removal.removed_at, removal.told_whom) == (LATER, "PACS office, A Person")
    assert Event.objects.filter(kind=EventKind.IMAGES_WITHDRAWN, data__has_key="removed_by").count() == 1
    fresh = ImageDispatch.objects.get(withdrawn_at=None)
    assert fresh.message.key.endswith(":2") and fresh.state == "queued"


def test_a_removal_that_is_never_proved_has_a_person():
    reading = make_reading(checked=False)
    owner = make_person(Role.MANAGER, reading.day.made.provider)
    delivered(reading)
    take_back(reading)
    now = LATER
    for _ in range(9):
        message = OutboxMessage.objects.get(door="dicom.removal")
        now = max(now, message.due_at)
        images.removal_failed(outbox.take(message.pk, now=now), phase="connect", reason="refused", now=now)
    message.refresh_from_db()
    assert (message.state, message.owner) == (OutboxState.GIVEN_UP, owner.pk)
    assert Event.objects.filter(kind=EventKind.DISPATCH_GIVEN_UP, data__what="removal of images").count() == 1


@pytest.mark.parametrize("how", ["proved", "failed"])
def test_a_try_that_was_under_way_is_followed_too(how):
    """A worker had the message in its hands when the match was taken back: what it brought there is looked for."""
    reading = make_reading(checked=False)
    pacs(reading)
    images.check_images(reading.study, acceptable=True, note="", by=reading.day.by, now=READ_AT)
    under_way = outbox.take(OutboxMessage.objects.get().pk, now=LATER)
    take_back(reading)
    removal = ImageRemoval.objects.get()
    assert removal.message.due_at > LATER
    soon = removal.message.due_at
    images.removal_proved(outbox.take(removal.message_id, now=soon), proof="C-FIND: none shown", now=soon)
    if how == "proved":
        images.images_proved(under_way, proved=1, proof="C-FIND", now=soon)
    else:
        images.images_failed(under_way, phase="prove", reason="0 of 1", proved=0, instances=1, now=soon)
    removal.refresh_from_db()
    assert removal.removed_at is None and removal.message.state == OutboxState.QUEUED
    assert ImageDispatch.objects.get().state == "withdrawn"
    assert not Event.objects.filter(kind__in=[EventKind.IMAGES_PROVED, EventKind.DISPATCH_FAILED]).exists()


def test_who_wrote_read_and_acted_on_the_report_is_named_and_the_report_says_so():
    reading = make_reading()
    version = reading.verified()
    reader = make_person(Role.REFERRER, reading.trust, name="Dr Reader")
    reporting.record_action(
        version, action="Surgery planned", organisations=frozenset([reading.trust.pk]), by=actor(reader),
        person=reader, now=READ_AT,
    )  # fmt: skip
    named = [(one.who, one.what) for one in images.must_be_told(Study.objects.get())]
    assert named == [
        (reading.reporter.name, "verified the report"),
        ("Dr Reader", "read the report"),
        ("Dr Reader", "acted on the report"),
    ]
    take_back(reading)
    assert len(Event.objects.get(kind=EventKind.IMAGES_WITHDRAWN).data["to_be_told"]) == 3
    referral = reading.procedure.referral
    referral.refresh_from_db()
    assert referral.state != "accepted" or referral.next_step.startswith("Withdraw or amend the report")
    client = Client()
    client.force_login(reading.reporter, backend="django.contrib.auth.backends.ModelBackend")
    page = client.get(reverse("reporting:read", args=[version.report_id])).content.decode()
    assert "taken back" in page and "before anybody acts on it" in page
    # Nothing new is issued from them either.
    report = version.report
    assert (
        "images"
        in " ".join(
            reporting.why_not_issued(report, reporting.Sections("", "x", "y"), person=reading.reporter, now=LATER)
        ).lower()
    )


def test_the_page_shows_who_has_them_takes_them_back_and_follows(settings):
    reading = make_reading(checked=False)
    delivered(reading)
    person = make_person(Role.RADIOGRAPHER, reading.day.made.provider)
    client = Client()
    client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    study = reverse("scanning:study", args=[reading.study.pk])
    address = reverse("scanning:withdraw", args=[reading.study.pk])
    assert address in client.get(study).content.decode()
    page = client.get(address).content.decode()
    assert f"<strong>{reading.trust.name}</strong> holds the images" in page
    assert client.post(address, {"procedure": reading.procedure.pk, "reason": ""}).status_code == 422
    other = make_accepted(reading.day.made, practitioner=reading.day.practitioner).procedures.get()
    stale = client.post(address, {"procedure": other.pk, "reason": WHY})
    assert stale.url == study and Study.objects.get().state == "matched"
    answer = client.post(address, {"procedure": reading.procedure.pk, "reason": WHY})
    item = ReconcileItem.objects.get()
    assert answer.url == reverse("scanning:reconcile_item", args=[item.pk])
    body = client.get(answer.url).content.decode()
    assert WHY in body and "Looked for" in body and f"To be told: {reading.trust.name}, who holds the images" in body
    removal = ImageRemoval.objects.get()
    told = reverse("scanning:removal_told", args=[removal.pk])
    client.post(told, {"whom": ""})
    assert ImageRemoval.objects.get().told_at is None
    client.post(told, {"whom": "A Person, PACS office"})
    assert ImageRemoval.objects.get().told_whom == "A Person, PACS office"
    assert "A Person, PACS office" in client.get(study).content.decode()
    assert client.post(address, {"procedure": reading.procedure.pk, "reason": WHY}).status_code == 404


def test_nobody_else_may_take_a_match_back():
    reading = make_reading(checked=False)
    address = reverse("scanning:withdraw", args=[reading.study.pk])
    stranger = make_person(Role.RADIOGRAPHER, make_organisation("RZZ"))
    referrer = make_person(Role.REFERRER, reading.trust)
    for person, status in ((stranger, 404), (referrer, 403)):
        client = Client()
        client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
        assert client.post(address, {"procedure": reading.procedure.pk, "reason": WHY}).status_code == status
    assert Study.objects.get().state == "matched"
