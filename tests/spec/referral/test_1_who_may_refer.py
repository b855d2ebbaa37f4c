from gantry.domain.referral import OrganisationKind, event_after_checking, findings
from gantry.reference.context import referral_context
from gantry.reference.network import REFERRERS
from tests.domain.answers import ON, complete

title = "Who may refer"


def decide(directory, organisation, patient_status="03"):
    kinds = {row["ODS code"]: OrganisationKind(row["kind"]) for row in directory}
    context = referral_context(ON, organisations=kinds, network=REFERRERS)
    answers = complete(referring_org_ods=organisation, referring_site_ods=organisation, patient_status=patient_status)
    found = findings(answers, on=ON, context=context)
    grave = [f"{one.message}. {one.where_to}" for one in found if one.where_to]
    return [f"{event_after_checking(found)}", *grave]


DIRECTORY = """
    ODS code | kind
    RBV      | specialist_centre
    RH8      | acute_trust
    P99999   | gp_practice
"""


def test_an_acute_hospital_or_specialist_centre_of_the_network_may(spec):
    """Specification 7.2: by referral from an appropriate specialist centre or acute hospital."""
    spec(given=DIRECTORY, when="RBV", then=["complete"])


def test_a_GP_practice_may_not(spec):
    """Specification 7.2: never directly from primary care. The refusal says where the patient should go instead."""
    spec(
        given=DIRECTORY,
        when="P99999",
        then=[
            "refuse",
            "A GP practice cannot refer for PET-CT directly (specification 7.2). "
            "Refer the patient to an acute hospital or specialist centre, whose team can ask for PET-CT; "
            "for suspected cancer use the urgent suspected cancer route. "
            "If it cannot wait, ring the Northern PET-CT referral desk on 01632 960 100",
        ],
    )


def test_GP_direct_access_may_not_whoever_sends_it(spec):
    """The patient's source setting 04 is direct access, even on a hospital's form."""
    spec(
        given=DIRECTORY,
        when=("RBV", "04"),
        then=[
            "refuse",
            "GP direct access is not possible for PET-CT (specification 7.2). "
            "Refer the patient to an acute hospital or specialist centre, whose team can ask for PET-CT; "
            "for suspected cancer use the urgent suspected cancer route. "
            "If it cannot wait, ring the Northern PET-CT referral desk on 01632 960 100",
        ],
    )


def test_a_hospital_outside_the_network_is_redirected_to_a_person(spec):
    """Nobody is bounced: the referral stays ours until someone else has accepted it."""
    spec(
        given=DIRECTORY,
        when="RH8",
        then=[
            "redirect",
            "RH8 is outside the network that this service covers. "
            "The Northern PET-CT referral desk sends it to the provider for that hospital and tells you who has it; "
            "to ask, ring the Northern PET-CT referral desk on 01632 960 100",
        ],
    )
