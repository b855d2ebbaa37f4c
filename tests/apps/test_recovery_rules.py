"""Less activity and transfers: only inside a rule that somebody answers for, and only while it stands."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from gantry.apps.accounts.models import Appointee, PractitionerLicence
from gantry.apps.audit.models import Event
from gantry.apps.booking.models import Appointment
from gantry.apps.booking.services import history_faults, prescribed_for, prescribed_mbq
from gantry.apps.estate.models import Site
from gantry.apps.radiopharmacy.services.prescribing import advice_for
from gantry.apps.scanning.services.steps import protocol_of
from gantry.apps.scheduling.models import LessActivityRule, TransferRule
from gantry.apps.scheduling.services import approving, recovering
from gantry.apps.scheduling.services.building import build
from gantry.apps.scheduling.services.refusals import NotPossible
from gantry.apps.scheduling.services.telling import Said, tell
from gantry.domain.access import Role
from gantry.domain.scan import Act
from gantry.domain.scheduling.failures import FailureKind
from gantry.domain.scheduling.recovery import Way, given_less
from tests.apps.broken_morning import BY, KNOWN, TUESDAY, Morning, make_morning
from tests.apps.factories import NOW, PAPERS_TO, actor, make_person, make_practitioner, make_scanner, make_session
from tests.apps.test_recovery_sister import fail, inject
from tests.apps.test_scheduling_pages import client_of
from tests.apps.test_troubles import first_run

pytestmark = pytest.mark.django_db


def rule(sites: list[Site], **over) -> approving.Less:
    given = {
        "protocol": "fdg_body",
        "least_fraction": 0.7,
        "children": False,
        "sites": sites,
        "valid_from": NOW.date(),
        "valid_to": NOW.date() + timedelta(days=90),
        "reason": "Count statistics of the last audit",
    }
    return approving.Less(**given | over)


def short(morning: Morning) -> Event:
    """What there is would do for somewhat more than half of the people."""
    said = Said(FailureKind.BATCH_SHORT, run=first_run(), mbq=2_200.0)
    return tell(morning.made.site, TUESDAY, said, now=KNOWN, by=BY)


def lengthened(looked: recovering.Looked):
    return next((o for o in recovering.options_for(looked) if o.way is Way.LENGTHEN), None)


def test_less_is_given_only_under_a_rule_and_never_after_it_is_withdrawn():
    morning = make_morning(8)
    event = short(morning)
    assert lengthened(recovering.look(event, now=KNOWN)) is None, "nobody has approved it"
    doctor = make_practitioner(morning.made)
    (row,) = approving.approve(rule([morning.made.site]), doctor, now=NOW, by=actor(doctor))
    looked = recovering.look(event, now=KNOWN)
    made = lengthened(looked)
    assert made is not None and 0.7 <= made.fraction < 1
    plan, looked, options = recovering.open_recovery(event, now=KNOWN, again=True)
    number = next(i for i, o in enumerate(options) if o.way is Way.LENGTHEN)
    less = given_less(looked.situation, options[number])
    recovering.accept(
        plan, number, met=frozenset(n.key for n in options[number].needs), now=KNOWN, by=actor(morning.lead)
    )
    given = list(Appointment.objects.filter(state__in=["booked", "told"], given_under=row.pk))
    assert len(given) == len(less) > 0
    for each in given:
        assert each.fraction == pytest.approx(options[number].fraction)
        assert prescribed_for(each) == pytest.approx(each.fraction * prescribed_mbq(each.authorisation))
        assert advice_for(each, now=KNOWN).prescribed_mbq == pytest.approx(prescribed_for(each))
        minutes = (each.ends_at - each.scan_at).total_seconds() / 60
        assert minutes * each.fraction >= 20, "activity times minutes stays"
        (scan,) = protocol_of(each.visit).of(Act.ACQUIRE)
        assert scan.minutes == minutes, "the board counts the longer scan down"
    assert approving.used([row.pk]) == {row.pk: len(given)}
    booked = Event.objects.filter(kind="appointment_booked", data__given_under=str(row.pk))
    assert booked.count() == len(given), "each names the rule"
    assert history_faults() == []
    approving.withdraw(row, reason="The audit was redone", now=KNOWN, by=actor(doctor))
    assert approving.rules_on(build(morning.made.site, TUESDAY, now=KNOWN)).lengthen == ()


def test_a_rule_ends_with_its_day_its_site_and_its_practitioners_licence():
    morning = make_morning(2)
    doctor = make_practitioner(morning.made)
    approving.approve(
        rule([morning.made.site], valid_from=TUESDAY, valid_to=TUESDAY), doctor, now=NOW, by=actor(doctor)
    )  # fmt: skip
    assert len(approving.rules_on(build(morning.made.site, TUESDAY, now=KNOWN)).lengthen) == 1
    assert approving.rules_on(build(morning.made.site, TUESDAY + timedelta(days=1), now=KNOWN)).lengthen == ()
    assert approving.rules_on(build(morning.made.other_site, TUESDAY, now=KNOWN)).lengthen == ()
    PractitionerLicence.objects.filter(person=doctor).update(valid_to=NOW.date())
    assert approving.rules_on(build(morning.made.site, TUESDAY, now=KNOWN)).lengthen == ()


def test_a_rule_covers_its_own_protocol_and_no_child_unless_it_says_so():
    morning = make_morning(2)
    doctor = make_practitioner(morning.made)
    other = morning.booked[1].procedure
    other.protocol = "fdg_brain"
    other.save(update_fields=["protocol"])
    approving.approve(rule([morning.made.site]), doctor, now=NOW, by=actor(doctor))
    (found,) = approving.rules_on(build(morning.made.site, TUESDAY, now=KNOWN)).lengthen
    assert found.patients == {str(morning.booked[0].pk)}
    assert not found.children


def test_nobody_approves_what_their_papers_do_not_cover():
    morning = make_morning(1)
    stranger = make_practitioner(morning.made, employers=[])
    with pytest.raises(NotPossible, match="has not entitled this practitioner"):
        approving.approve(rule([morning.made.site]), stranger, now=NOW, by=actor(stranger))
    doctor = make_practitioner(morning.made)
    after = PAPERS_TO + timedelta(days=1)
    for wrong, words in (
        ({"least_fraction": 0.3}, "at least 50%"),
        ({"sites": []}, "Choose a site"),
        ({"reason": " "}, "Say why"),
        ({"protocol": "fdg_two_time_points"}, "several scans"),
        ({"valid_to": NOW.date() - timedelta(days=1)}, "before the first"),
        ({"valid_from": after, "valid_to": after}, "No licence of this practitioner"),
    ):
        with pytest.raises(NotPossible, match=words):
            approving.approve(rule(**{"sites": [morning.made.site]} | wrong), doctor, now=NOW, by=actor(doctor))
    assert not LessActivityRule.objects.exists()


def test_a_practitioner_approves_and_withdraws_on_the_page_and_nobody_else_can(monkeypatch):
    monkeypatch.setattr(timezone, "now", lambda: KNOWN)
    morning = make_morning(1)
    doctor, page = make_practitioner(morning.made), reverse("scheduling:rules")
    given = {
        "what": "less",
        "less-protocol": "fdg_body",
        "less-least_percent": "80",
        "less-sites": [str(morning.made.site.pk)],
        "less-valid_from": "23/11/2026",
        "less-valid_to": "23/5/2027",
        "less-reason": "Count statistics of the last audit",
    }
    lead = client_of(morning.lead)
    lead.post(page, given)
    assert not LessActivityRule.objects.exists(), "a session lead approves nothing"
    client = client_of(doctor)
    assert client.post(page, given | {"less-reason": ""}).status_code == 422
    assert client.post(page, given).status_code == 302
    row = LessActivityRule.objects.get()
    assert (row.practitioner, row.least_fraction, row.licence_number) == (doctor, 0.8, f"P-{doctor.registration[-4:]}")
    shown = client.get(page).content.decode()
    assert "Stands" in shown and doctor.name in shown
    lead.post(page, {"what": "withdraw", "rule": str(row.pk), "reason": "no"})
    assert LessActivityRule.objects.filter(withdrawn_at=None).exists()
    client.post(page, {"what": "withdraw", "rule": str(row.pk), "reason": "The audit was redone"})
    row.refresh_from_db()
    assert (row.withdrawn_by, row.withdrawn_reason) == (doctor.name, "The audit was redone")
    kinds = Event.objects.filter(kind__startswith="recovery_rule").order_by("recorded_at", "pk")
    assert [event.kind for event in kinds] == ["recovery_rule_approved", "recovery_rule_withdrawn"]


def test_somebody_injected_is_taken_to_another_site_only_by_the_advisers_rule():
    morning = make_morning(1, received=False)
    here, there = morning.made.site, morning.made.other_site
    beyond = make_scanner(there, name="Scanner 9")
    make_session(there, beyond, TUESDAY)
    row = morning.booked[0]
    inject(row)
    failed = row.scan_at - timedelta(minutes=20)
    event = fail(morning, failed)
    _, _, options = recovering.open_recovery(event, now=failed)
    assert [len(option.abandoned) for option in options] == [1], "without a rule nobody is taken anywhere"
    manager = make_person(Role.MANAGER, morning.made.provider)
    page = reverse("scheduling:rules")
    given = {
        "what": "transfer",
        "transfer-site": str(here.pk),
        "transfer-to_site": str(there.pk),
        "transfer-minutes": "15",
        "transfer-adviser": "Dr A. Example",
        "transfer-appointed_by": "RPA letter 2026/4",
        "transfer-letter": "Local rules 7.3",
        "transfer-conditions": "Our own driver, both sites rung",
        "transfer-valid_from": "23/11/2026",
        "transfer-valid_to": "23/5/2027",
    }
    assert client_of(manager).post(page, given).status_code == 302
    assert Appointee.objects.get().office == "rpa" and TransferRule.objects.get().minutes == 15
    plan, _, options = recovering.open_recovery(event, now=failed, again=True)
    made = options[0]
    (need,) = [n for n in made.needs if n.holds_up]
    assert need.kind == "adviser" and "Local rules 7.3" in need.words and not made.ready
    with pytest.raises(NotPossible, match="transfer under the rule"):
        recovering.accept(plan, 0, now=failed, by=actor(morning.lead))
    recovering.accept(plan, 0, met=frozenset({need.key}), now=failed, by=actor(morning.lead))
    row.refresh_from_db()
    new = row.replaced_by
    assert (new.site, new.scanner, new.state) == (there, beyond, "arrived")
    assert new.scan_at >= failed + timedelta(minutes=15)
    assert new.visit.site == there and new.visit.injections.count() == 1
    assert "injected: the driver and both sites know" in new.transport
    assert new.scheduled_step.station_ae_title == beyond.ae_title
    assert history_faults() == []
