"""The referrer's and the practitioner's pages: nothing typed is lost, nothing is sent twice, nobody sees another's."""

from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from gantry.apps.audit.models import Event
from gantry.apps.referrals import services
from gantry.apps.referrals.models import Referral, ReferralDraft, ReferralQuestion, VettingDecision
from gantry.domain.access import Role
from gantry.domain.events import system
from gantry.domain.referral import plain
from tests.apps.factories import (
    complete_answers,
    make_accepted,
    make_network,
    make_organisation,
    make_person,
    make_practitioner,
    make_referral,
    submission,
)

pytestmark = pytest.mark.django_db
BY = system("tests")


def signed_in(person) -> Client:
    client = Client()
    client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def made():
    return make_network()


@pytest.fixture
def referrer(made):
    return make_person(Role.REFERRER, made.trust, name="Dr Pat Example", gmc="GMC C1234567")


def typed_in(made, **over) -> dict[str, object]:
    """The complete answers as a browser posts them."""
    posted: dict[str, object] = {}
    for name, value in plain(complete_answers(made, now=timezone.now(), **over)).items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            posted |= {f"{name}-{n}-{cell}": str(v) for n, row in enumerate(value) for cell, v in row.items()}
        elif value == []:
            posted[f"{name}_none"] = "on"
        elif name == "report_to":
            posted[name] = ", ".join(value)
        else:
            posted[name] = value
    return {"draft": str(uuid4()), **posted}


def test_the_page_is_prefilled_and_every_error_is_shown_at_once(made, referrer):
    client = signed_in(referrer)
    page = client.get(reverse("referrals:new")).content.decode()
    assert 'value="Dr Pat Example"' in page and 'value="C1234567"' in page
    assert 'data-item="insulin_regimen" hidden' in page
    sent = client.post(reverse("referrals:new"), {"draft": str(uuid4()), "family_name": "Half-typed", "act": "send"})
    body = sent.content.decode()
    assert sent.status_code == 422 and 'value="Half-typed"' in body
    assert body.count('href="#id_') > 25 and 'href="#id_weight_kg"' in body
    assert not Referral.objects.exists()


def test_sending_makes_one_referral_however_often_it_is_pressed(made, referrer):
    client = signed_in(referrer)
    posted = typed_in(made)
    first = client.post(reverse("referrals:new"), posted)
    assert first.status_code == 302, first.content.decode()[:3000]
    second = client.post(reverse("referrals:new"), posted)
    referral = Referral.objects.get()
    assert first.url == second.url == reverse("referrals:detail", args=[referral.pk])
    assert (referral.state, referral.door, referral.referrer) == ("to_vet", "web", referrer)
    assert referral.answers["declared_by"] == "Dr Pat Example" and referral.priors.count() == 1


def test_an_urgent_referral_may_go_with_gaps_but_never_without_the_declaration(made, referrer):
    client = signed_in(referrer)
    posted = typed_in(made, diabetes=None)
    refused = client.post(reverse("referrals:new"), {**posted, "act": "send"}).content.decode()
    assert "answer 1 question later" in refused
    undeclared = {name: value for name, value in posted.items() if name != "declaration"}
    assert client.post(reverse("referrals:new"), {**undeclared, "act": "send_with_gaps"}).status_code == 422
    assert client.post(reverse("referrals:new"), {**posted, "act": "send_with_gaps"}).status_code == 302
    assert Referral.objects.get().state == "awaiting_referrer"


def test_a_draft_survives_and_belongs_to_one_person(made, referrer):
    client, key = signed_in(referrer), str(uuid4())
    client.post(
        reverse("referrals:new"), {"draft": key, "family_name": "Drafted", "date_of_birth": "27/3/61", "act": "save"}
    )
    page = client.get(reverse("referrals:new"), {"draft": key}).content.decode()
    assert 'value="Drafted"' in page and 'value="27/3/61"' in page
    other = signed_in(make_person(Role.REFERRER, made.trust))
    assert "Drafted" not in other.get(reverse("referrals:new"), {"draft": key}).content.decode()
    assert other.post(reverse("referrals:check"), {"draft": key, "family_name": "Mine"}).status_code == 404
    client.post(reverse("referrals:drop_draft", args=[key]))
    assert not ReferralDraft.objects.exists()


def test_only_the_questions_that_apply_are_asked(made, referrer):
    client = signed_in(referrer)
    said = client.post(reverse("referrals:check"), {"draft": str(uuid4()), "diabetes": "insulin"}).json()
    assert "insulin_regimen" in said["asked"] and "ward" not in said["asked"]
    said = client.post(reverse("referrals:check"), {"draft": str(uuid4()), "patient_status": "01"}).json()
    assert "ward" in said["asked"] and said["left"] > 30
    hidden = typed_in(made) | {"ward": "Left over from another choice"}
    client.post(reverse("referrals:new"), hidden)
    assert "ward" not in Referral.objects.get().answers


def test_known_patients_are_filled_in_without_their_number_in_an_address(made, referrer):
    client = signed_in(referrer)
    referral = make_referral(made, number=6200, family_name="Known")
    key = str(uuid4())
    posted = {"draft": key, "nhs_number": referral.patient.nhs_number, "act": "find"}
    moved = client.post(reverse("referrals:new"), posted, follow=True)
    assert 'value="Known"' in moved.content.decode() and referral.patient.nhs_number not in moved.redirect_chain[-1][0]
    again = client.get(reverse("referrals:new"), {"patient": referral.patient_id}).content.decode()
    assert 'value="Known"' in again
    stranger = signed_in(make_person(Role.REFERRER, make_organisation("R0A")))
    assert stranger.get(reverse("referrals:new"), {"patient": referral.patient_id}).status_code == 404


def test_a_practice_is_told_where_to_send_it_and_nothing_typed_is_lost(made):
    practice = make_organisation("P99999", kind="gp_practice")
    client = signed_in(make_person(Role.REFERRER, practice))
    posted = {"draft": str(uuid4()), "referring_org_ods": "P99999", "family_name": "Kept", "act": "send"}
    refused = client.post(reverse("referrals:new"), posted)
    assert refused.status_code == 422 and "acute hospital" in refused.content.decode()
    assert Event.objects.filter(kind="referral_refused").count() == 1
    assert ReferralDraft.objects.get().answers["family_name"] == "Kept"


def test_the_list_shows_where_everybody_is_and_nobody_elses(made, referrer):
    mine = make_referral(made, referrer=referrer, family_name="Mine")
    make_referral(made, family_name="Colleague")
    client = signed_in(referrer)
    page = client.get(reverse("referrals:list")).content.decode()
    assert "MINE" in page and "COLLEAGUE" not in page and "Being decided" in page
    assert "COLLEAGUE" in client.get(reverse("referrals:list"), {"who": ""}).content.decode()
    sheet = client.get(reverse("referrals:list"), {"format": "csv", "who": ""}).content.decode()
    assert "COLLEAGUE" in sheet and sheet.count("\n") == 3
    stranger = signed_in(make_person(Role.REFERRER, make_organisation("R0A")))
    assert "MINE" not in stranger.get(reverse("referrals:list"), {"who": ""}).content.decode()
    for name in ("detail", "answer", "withdraw"):
        assert stranger.get(reverse(f"referrals:{name}", args=[mine.pk])).status_code == 404


def test_an_answer_is_kept_and_the_rest_is_asked_again(made, referrer):
    given = submission(
        made, complete_answers(made, now=timezone.now(), weight_kg=None, diabetes=None), referrer=referrer
    )
    referral = services.receive(given, now=timezone.now(), by=BY).referral
    client, where = signed_in(referrer), reverse("referrals:answer", args=[referral.pk])
    page = client.get(where).content.decode()
    assert 'id="id_weight_kg"' in page and 'id="id_family_name"' not in page
    half = client.post(where, {"version": referral.version, "weight_kg": "70,5"})
    assert half.status_code == 422 and "give a number" in half.content.decode()
    referral.refresh_from_db()
    half = client.post(where, {"version": referral.version, "weight_kg": "70.5"})
    assert half.status_code == 422 and "Diabetes is needed" in half.content.decode()
    referral.refresh_from_db()
    assert referral.weight_kg == 70.5
    assert client.post(where, {"version": 1, "diabetes": "none"}).status_code == 409
    assert client.post(where, {"version": referral.version, "diabetes": "none"}).status_code == 302
    referral.refresh_from_db()
    assert referral.state == "to_vet"


def test_two_keys_accept_the_plain_case_and_open_the_next(made):
    person = make_practitioner(made, employers=[made.provider])
    first = make_referral(made, now=timezone.now(), number=6300)
    second = make_referral(made, now=timezone.now(), number=6301)
    client = signed_in(person)
    page = client.get(reverse("referrals:vet", args=[first.pk])).content.decode()
    assert 'data-key="y"' in page and 'data-key="a"' in page
    assert "has not entitled this practitioner" in page and "RCR 2022, 4th edition" in page
    posted = plain_case(first)
    unjustified = client.post(reverse("referrals:vet", args=[first.pk]), posted)
    assert unjustified.status_code == 422 and "Justify the exposure" in unjustified.content.decode()
    done = client.post(reverse("referrals:vet", args=[first.pk]), posted | {"justified": "on"})
    assert done.url == reverse("referrals:vet", args=[second.pk])
    authorisation = first.procedures.get().authorisations.get()
    assert authorisation.activity_mbq == 250 and authorisation.sites == [made.site.pk]
    late = client.post(reverse("referrals:vet", args=[first.pk]), posted | {"justified": "on"})
    assert late.status_code == 409 and "accepted" in late.content.decode()


def test_of_two_who_decide_at_once_the_second_is_refused_and_sees_both_decisions(made):
    """The second was sent away, and what they had written was gone."""
    first, second = (make_practitioner(made, employers=[made.provider]) for _ in range(2))
    referral = make_referral(made, now=timezone.now(), number=6310)
    where = reverse("referrals:vet", args=[referral.pk])
    assert signed_in(first).post(where, plain_case(referral) | {"justified": "on"}).status_code == 302
    reject = {
        "decision": "reject",
        "version": referral.version,
        "reason": "not_indicated",
        "explanation": "The CT of June answers the question already",
        "where_to": "Send the CT report to the MDT",
    }
    late = signed_in(second).post(where, reject)
    page = late.content.decode()
    assert late.status_code == 409
    assert first.name in page and "Exposure authorised" in page
    assert "The CT of June answers the question already" in page and "Not indicated" in page
    referral.refresh_from_db()
    assert referral.state == "accepted"
    assert VettingDecision.objects.filter(referral=referral).count() == 1


def test_a_decision_on_a_page_from_before_an_answer_is_refused_and_can_be_made_again(made):
    person = make_practitioner(made, employers=[made.provider])
    referral = make_referral(made, now=timezone.now(), number=6311)
    where = reverse("referrals:vet", args=[referral.pk])
    old = plain_case(referral)
    services.answer(referral, {"weight_kg": 118.0}, now=timezone.now(), by=BY)
    client = signed_in(person)
    late = client.post(where, old | {"justified": "on"})
    assert late.status_code == 409 and f'href="{where}"' in late.content.decode()
    referral.refresh_from_db()
    assert referral.state == "to_vet" and not VettingDecision.objects.exists()
    for version in ("", "x", "-1"):
        assert client.post(where, old | {"justified": "on", "version": version}).status_code in (409, 422)
    assert not VettingDecision.objects.exists()


def plain_case(referral) -> dict[str, object]:
    return {
        "decision": "accept",
        "version": referral.version,
        "proposed_for": "FDG",
        "requested_tracer": "FDG",
        "tracer": "FDG",
        "protocol": "fdg_body",
        "activity_mbq": "250",
        "indication_row": "ONC-NSC",
    }


def test_another_tracer_is_never_accepted_with_the_first_ones_activity(made):
    client = signed_in(make_practitioner(made))
    referral = make_referral(made, now=timezone.now())
    where = reverse("referrals:vet", args=[referral.pk])
    changed = client.post(where, plain_case(referral) | {"tracer": "NAF", "justified": "on"})
    assert changed.url == f"{where}?tracer=NAF" and not referral.procedures.exists()
    page = client.get(changed.url).content.decode()
    assert 'name="proposed_for" value="NAF"' in page
    again = plain_case(referral) | {"tracer": "NAF", "proposed_for": "NAF", "protocol": "naf", "justified": "on"}
    assert "Say what you changed" in client.post(where, again).content.decode()
    assert client.post(where, again | {"change": "Bone question"}).status_code == 302


def test_ask_pass_on_and_do_not_accept_say_what_the_referrer_needs(made):
    client = signed_in(make_practitioner(made))
    asked, passed, rejected = (make_referral(made, now=timezone.now(), number=6400 + n) for n in range(3))
    where = reverse("referrals:vet", args=[asked.pk])
    assert client.post(where, {"decision": "query", "version": asked.version}).status_code == 422
    client.post(where, {"decision": "query", "version": asked.version, "quick": ["weight"], "question": "And height?"})
    question = ReferralQuestion.objects.get()
    assert question.fields == ["weight_kg", "weight_date"] and "And height?" in question.text
    client.post(
        reverse("referrals:vet", args=[passed.pk]),
        {"decision": "redirect", "version": passed.version, "where_to": "Liver MRI"},
    )
    bare = {"decision": "reject", "version": rejected.version}
    assert client.post(reverse("referrals:vet", args=[rejected.pk]), bare).status_code == 422
    client.post(
        reverse("referrals:vet", args=[rejected.pk]),
        bare | {"reason": "not_indicated", "explanation": "Not helpful", "where_to": "Ask for CT"},
    )
    states = [Referral.objects.get(pk=one.pk).state for one in (asked, passed, rejected)]
    assert states == ["awaiting_referrer", "redirected", "rejected"]
    assert "Ask for CT" in client.get(reverse("referrals:detail", args=[rejected.pk])).content.decode()


def test_a_page_overtaken_by_somebody_else_says_who(made):
    first, second = make_practitioner(made), make_practitioner(made)
    referral = make_referral(made, now=timezone.now())
    where = reverse("referrals:vet", args=[referral.pk])
    client = signed_in(second)
    services.ask(referral, "Which lobe?", now=timezone.now(), by=BY, person=first)
    services.answer(Referral.objects.get(), {}, text="Left", now=timezone.now(), by=BY)
    shown = client.post(where, plain_case(referral) | {"justified": "on"}, follow=True).content.decode()
    assert "tests changed this first" in shown and not referral.procedures.exists()


def test_small_acts_move_it_and_only_the_right_people_may(made, referrer):
    coordinator = signed_in(make_person(Role.BOOKING_COORDINATOR, made.provider))
    referral = make_accepted(made, now=timezone.now())
    hold = reverse("referrals:hold", args=[referral.pk])
    assert signed_in(referrer).get(hold).status_code == 403
    assert coordinator.post(hold, {"version": referral.version, "reason": "Away"}).status_code == 422
    coordinator.post(hold, {"version": referral.version, "reason": "Away", "until": "+7"})
    referral.refresh_from_db()
    assert referral.state == "on_hold" and referral.due_at > timezone.now()
    coordinator.post(reverse("referrals:resume", args=[referral.pk]), {"version": referral.version})
    referral.refresh_from_db()
    assert referral.state == "accepted"
    coordinator.post(
        reverse("referrals:return", args=[referral.pk]), {"version": referral.version, "reason": "Pregnant"}
    )
    referral.refresh_from_db()
    assert referral.state == "to_vet"
    signed_in(referrer).post(
        reverse("referrals:withdraw", args=[referral.pk]), {"version": referral.version, "reason": "Changed plan"}
    )
    referral.refresh_from_db()
    assert referral.state == "withdrawn"
