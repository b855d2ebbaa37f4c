"""Who may authorise what, where and when; and what an authorisation still reaches later."""

from dataclasses import replace
from datetime import date, timedelta

import pytest

from gantry.apps.accounts.models import PractitionerLicence
from gantry.apps.audit.models import Event
from gantry.apps.audit.services import Stale
from gantry.apps.referrals import services
from gantry.apps.referrals.models import Authorisation, RequestedProcedure, VettingDecision
from gantry.domain.events import system
from gantry.domain.identifiers import is_our_accession
from gantry.domain.referral import RejectionReason, VetDecision
from tests.apps.factories import (
    FDG_BODY,
    NOW,
    accepting,
    actor,
    make_accepted,
    make_network,
    make_practitioner,
    make_referral,
    make_site,
)

pytestmark = pytest.mark.django_db
TODAY = NOW.date()
BY = system("tests")


def vet(referral, decision, person, **more):
    return services.vet(
        referral, decision, version=more.pop("version", referral.version), now=NOW, by=actor(person), person=person
    )


def test_accepting_makes_the_procedure_its_numbers_and_the_authorisation():
    made = make_network()
    person = make_practitioner(made)
    referral = make_referral(made)
    vetted = vet(referral, accepting(), person)
    assert vetted.referral.state == "accepted" and vetted.referral.next_owner == "booking_coordinator"
    procedure = RequestedProcedure.objects.get()
    assert is_our_accession(procedure.accession_number) and procedure.study_uid.startswith("2.25.")
    assert len(procedure.requested_procedure_id) <= 16
    (authorisation,) = vetted.authorisations
    assert set(authorisation.sites) == {made.site.pk, made.other_site.pk} and not vetted.left_out
    assert set(authorisation.employers) == {made.provider.pk, made.trust.pk}
    assert authorisation.activity_mbq == 250.0 and authorisation.licence_number
    assert VettingDecision.objects.get().indication_edition == "RCR 2022, 4th edition"
    kinds = set(Event.objects.filter(subjects__contains=[procedure.pk]).values_list("kind", flat=True))
    assert kinds == {"exposure_justified", "exposure_authorised"}


def test_an_employer_that_has_not_entitled_the_practitioner_is_left_out_with_its_reason():
    made = make_network()
    person = make_practitioner(made, employers=[made.provider])
    vetted = vet(make_referral(made), accepting(), person)
    assert vetted.authorisations[0].sites == [made.site.pk]
    assert "has not entitled" in vetted.left_out[made.other_site.pk][0]


def test_no_covered_site_records_nothing_and_says_every_reason():
    made = make_network()
    person = make_practitioner(made, employers=[], licensed=(date(2024, 1, 1), TODAY + timedelta(days=3)))
    referral = make_referral(made)
    refused = vet(referral, accepting(), person)
    assert isinstance(refused, services.NotVetted)
    assert any("No licence of this practitioner" in reason for reason in refused.reasons)
    assert any("has not entitled" in reason for reason in refused.reasons)
    referral.refresh_from_db()
    assert referral.state == "to_vet"
    assert not VettingDecision.objects.exists() and not RequestedProcedure.objects.exists()


def test_a_licence_that_ends_inside_the_window_does_not_cover_it():
    made = make_network()
    short = make_site(made.network, made.provider, "NZZ09", licensed=(date(2024, 1, 1), TODAY + timedelta(days=2)))
    vetted = vet(make_referral(made), accepting(sites=[short.pk, made.site.pk]), make_practitioner(made))
    assert vetted.authorisations[0].sites == [made.site.pk] and list(vetted.left_out) == [short.pk]


def test_a_site_that_cannot_do_it_is_not_in_play():
    made = make_network()
    plain = make_site(made.network, made.provider, "NZZ08", capabilities=())
    referral = make_referral(made, date_of_birth=date(2016, 1, 1), **CHILD)
    assert "paediatric" in referral.capabilities
    assert plain not in services.sites_of(referral)


CHILD = {
    "next_of_kin": "A parent",
    "next_of_kin_phone": "01632 960 002",
    "play_specialist_assessment": "awake",
    "consent_holder": "A parent",
    "safeguarding_concern": False,
    "weight_kg": 31.0,
}


def test_the_stale_second_decision_is_told_who_decided():
    made = make_network()
    first, second = make_practitioner(made), make_practitioner(made)
    referral = make_referral(made)
    before = referral.version
    vet(referral, accepting(), first)
    with pytest.raises(Stale) as stale:
        vet(referral, accepting(), second, version=before)
    assert stale.value.last.by_name == first.name
    assert Authorisation.objects.count() == 1


def test_what_a_decision_lacks_is_said():
    made = make_network()
    person = make_practitioner(made)
    referral = make_referral(made)
    nothing = vet(referral, replace(accepting(), justified=False), person)
    assert any("Justify" in reason for reason in nothing.reasons)
    no_dose = vet(referral, accepting(replace(FDG_BODY, activity_mbq=None)), person)
    assert no_dose.reasons == ["Prescribe the activity of FDG"]
    bare = services.reject(
        referral, reason=RejectionReason.NOT_INDICATED, explanation="", where_to="", now=NOW, by=BY, person=person
    )
    assert bare.reasons == ["Say what the referrer should do instead"]
    assert vet(referral, services.Vetting(VetDecision.QUERY), person).reasons == ["Write the question"]


def test_reject_redirect_and_ask_back_keep_an_owner_where_somebody_owes_a_step():
    made = make_network()
    person = make_practitioner(made)
    rejected = services.reject(
        make_referral(made),
        reason=RejectionReason.NOT_INDICATED,
        explanation="MRI answers this",
        where_to="Ask for MRI of the liver",
        now=NOW,
        by=actor(person),
        person=person,
    )
    assert (rejected.referral.state, rejected.referral.next_owner) == ("rejected", "")
    passed = services.redirect(make_referral(made), where_to="Liver MRI list", now=NOW, by=actor(person), person=person)
    assert (passed.referral.state, passed.referral.next_owner) == ("redirected", "booking_coordinator")
    asked = vet(make_referral(made), services.Vetting(VetDecision.QUERY, question="Any recent biopsy?"), person)
    assert (asked.referral.state, asked.referral.next_owner) == ("awaiting_referrer", "referrer")


def test_cover_is_looked_at_again_for_site_day_state_and_papers():
    made = make_network()
    person = make_practitioner(made)
    referral = make_accepted(made, practitioner=person)
    procedure = referral.procedures.get()
    authorisation = services.authorisation_for(procedure)
    elsewhere = make_site(made.network, made.provider, "NZZ07")

    def why(site=made.site, on=TODAY + timedelta(days=2)):
        fresh = services.authorisation_for(procedure)
        return services.why_not_covered_now(fresh or Authorisation.objects.first(), site=site, on=on)

    assert why() == [] and why(on=TODAY) == []
    assert any("does not cover the site" in reason for reason in why(site=elsewhere))
    assert any("ended on" in reason for reason in why(on=authorisation.valid_to + timedelta(days=1)))
    PractitionerLicence.objects.update(valid_to=TODAY)
    assert any("No licence of this practitioner" in reason for reason in why())
    PractitionerLicence.objects.update(valid_to=date(2029, 1, 1))
    services.put_on_hold(referral, reason="Away", until=NOW + timedelta(days=7), now=NOW, by=BY)
    assert why() == ["The referral is on hold"]
    assert services.why_not_covered_now(None, site=made.site, on=TODAY) == ["Nobody has authorised this exposure"]


def test_going_back_to_vetting_withdraws_and_deciding_again_keeps_the_accession_number():
    made = make_network()
    person = make_practitioner(made)
    referral = make_accepted(made, practitioner=person)
    number = referral.procedures.get().accession_number
    back = services.return_to_vetting(referral, "The patient may be pregnant", now=NOW, by=BY)
    assert back.state == "to_vet" and Authorisation.objects.get().state == "withdrawn"
    again = vet(back, accepting(), person)
    assert again.referral.procedures.get().accession_number == number
    assert Authorisation.objects.filter(state="valid").count() == 1


def test_what_has_run_out_lapses_once_and_comes_back_to_be_decided():
    made = make_network()
    referral = make_accepted(made)
    end = Authorisation.objects.get().valid_to
    later = NOW + timedelta(days=(end - TODAY).days + 1)
    assert services.lapse_due(NOW) == []
    assert len(services.lapse_due(later)) == 1 and services.lapse_due(later) == []
    referral.refresh_from_db()
    assert (referral.state, Authorisation.objects.get().state) == ("to_vet", "lapsed")


def test_a_withdrawn_referral_leaves_no_authorisation_standing():
    made = make_network()
    referral = make_accepted(made)
    services.withdraw(referral, reason="Changed plan", now=NOW, by=BY)
    assert not Authorisation.objects.filter(state="valid").exists()
