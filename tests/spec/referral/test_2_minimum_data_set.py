from gantry.domain.referral import DATA_SET_VERSION, ITEMS, Need, findings, typed
from tests.domain.answers import CONTEXT, ON, complete

title = f"The minimum data set, version {DATA_SET_VERSION}"


def decide(changes, asked):
    """A complete referral with these answers in place of its own; blank takes an answer out."""
    answers = complete()
    for row in changes:
        answers.pop(row["field"], None)
    read, unread = typed({row["field"]: row["answer"] for row in changes}, CONTEXT)
    found = unread + findings(answers | read, on=ON, context=CONTEXT)
    return [f"{one.severity} `{one.field}`: {one.message}" for one in found if one.code != "MDS-11"]


ASKED = "it is received on 20 November 2026"


def test_a_complete_referral_goes_straight_to_vetting(spec):
    """The answers not shown are those of an adult with lymphoma; here one of them is given again as it was."""
    spec(given="field | answer\nweight_kg | 70", when=ASKED, then=[])


def test_every_gap_is_told_at_once(spec):
    """A referrer gets one reply with everything, never one question after another."""
    spec(
        given="""
            field             | answer
            weight_kg         |
            diabetes          |
            clinical_question | Stage?
        """,
        when=ASKED,
        then=[
            "query `weight_kg`: Weight, kg is needed",
            "query `diabetes`: Diabetes is needed",
            "query `clinical_question`: Say a little more: at least 10 characters",
        ],
    )


def test_a_wrong_NHS_number_is_refused(spec):
    """Its check digit is modulo 11. Asking back would be about the wrong person."""
    spec(
        given="field | answer\nnhs_number | 999 000 0019",
        when=ASKED,
        then=["refuse `nhs_number`: The NHS number's check digit is wrong: a digit is mistyped or two are swapped"],
    )


def test_no_NHS_number_needs_a_reason(spec):
    """Overseas, devolved nation, or not known: then the patient is still seen."""
    spec(
        given="""
            field             | answer
            nhs_number        |
            nhs_number_status | 03
        """,
        when=ASKED,
        then=["query `nhs_number`: Give the NHS number, or say why there is none"],
    )


def test_a_child_brings_the_childrens_questions(spec):
    """Under 16 on the first day the scan could be (specification annex 1), not on the day of referral."""
    spec(
        given="field | answer\ndate_of_birth | 2016-02-01",
        when=ASKED,
        then=[
            f"query `{name}`: {label} is needed, because the patient is under 16 on the first day the scan could be"
            for name, label in (
                ("next_of_kin", "Parent, carer or next of kin"),
                ("next_of_kin_phone", "Their phone"),
                ("play_specialist_assessment", "Play specialist"),
                ("consent_holder", "Who may consent"),
                ("safeguarding_concern", "Safeguarding concern"),
            )
        ],
    )


def test_the_pregnancy_enquiry_goes_by_organs_and_age_never_by_gender(spec):
    """Twelve to 55 on any day the scan could be (a recalled range). A man who has a womb is asked; so is not known."""
    spec(
        given="""
            field                 | answer
            date_of_birth         | 1990-01-01
            stated_gender         | 1
            sex_assigned_at_birth | female
            organs_for_pregnancy  | yes
            breastfeeding         | no
        """,
        when=ASKED,
        then=["query `pregnancy_status`: Pregnant is needed, because the patient could be pregnant, by organs and age"],
    )


def test_contrast_brings_the_kidneys(spec):
    """Specification 7.1: contrast where the referrer asks for it; safely."""
    spec(
        given="field | answer\niv_contrast_requested | yes",
        when=ASKED,
        then=[
            "query `egfr`: eGFR, mL/min/1.73 m² is needed, because contrast is wanted",
            "query `egfr_date`: eGFR taken on is needed, because contrast is wanted",
        ],
    )


def test_too_soon_after_treatment_is_a_warning(spec):
    """Counted to the last day the scan is wanted. The number of days is recalled: whoever vets decides."""
    spec(
        given="""
            field                              | answer
            treatment_history-0-treatment_type | Chemotherapy
            treatment_history-0-last_date      | 19/11/2026
        """,
        when=ASKED,
        then=[
            "warn `treatment_history-0-last_date`: "
            "The scan is wanted 8 days after chemotherapy; 10 days or more are usual"
        ],
    )


def test_what_cannot_be_read_is_never_guessed(spec):
    """The answer is left out and asked again, in the sender's own field name."""
    spec(
        given="field | answer\nweight_kg | eleven stone",
        when=ASKED,
        then=["query `weight_kg`: Weight, kg: give a number, such as 72.5", "query `weight_kg`: Weight, kg is needed"],
    )


def test_every_item(spec):
    """M must be given, C must be given when its condition holds, O may be given."""
    spec.table(
        ["Group", "Field", "Question", "", "When", "Source"],
        [
            (
                item.group,
                f"`{item.name}`",
                item.label,
                item.mandatory,
                item.condition.text if item.condition else "always" if item.mandatory is not Need.OPTIONAL else "",
                item.source,
            )
            for item in ITEMS
        ],
    )
