"""The minimum data set: each rule forbids what it names, stays silent otherwise, and all speak at once."""

from dataclasses import fields, replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gantry.domain.lifecycle import IllegalMove, advance, allowed
from gantry.domain.referral import (
    ITEM,
    ITEMS,
    KIND,
    OPEN_STATES,
    REFERRAL,
    VETTED,
    Case,
    FundingRule,
    Kind,
    Limits,
    Need,
    OrganisationKind,
    Population,
    ReferralEvent,
    ReferralState,
    RejectionReason,
    Severity,
    VetDecision,
    age_on,
    applies,
    choices_of,
    event_after_checking,
    exceeds_table_limit,
    findings,
    is_answered,
    questions,
    why_not_decided,
)
from gantry.reference.limits import LIMITS
from tests.domain.answers import CONTEXT, ON, codes, complete, found

DAY = timedelta(days=1)
CHILD = {"date_of_birth": date(2016, 1, 1)}
CHILD_BLOCK = {
    "next_of_kin": "A parent",
    "next_of_kin_phone": "01632 960 002",
    "play_specialist_assessment": "awake",
    "consent_holder": "A parent",
    "safeguarding_concern": False,
}


def test_a_complete_referral_has_nothing_but_the_mark_of_a_test_number():
    assert [finding.code for finding in found()] == ["MDS-11"]
    assert event_after_checking(found()) is ReferralEvent.COMPLETE


def test_where_everybody_is_invented_a_test_number_is_what_is_expected():
    assert found(replace(CONTEXT, invented_people=True)) == []
    doubted = found(replace(CONTEXT, invented_people=True), nhs_number="1111111111")
    assert [finding.code for finding in doubted] == ["MDS-11"], "any other doubt is still said"


def test_an_empty_referral_lists_every_gap_and_no_code_twice():
    gaps = findings({}, on=ON, context=CONTEXT)
    assert len(gaps) > 50
    assert len({(gap.code, gap.field) for gap in gaps}) == len(gaps)
    assert all(gap.severity is Severity.QUERY for gap in gaps)
    assert event_after_checking(gaps) is ReferralEvent.ASK


@pytest.mark.parametrize("name", sorted(complete()))
def test_each_answer_of_the_complete_referral_is_needed(name):
    assert any(finding.field == name or finding.code == "MDS-13" for finding in found(**{name: None}))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"nhs_number": "9990000019"}, ("MDS-10", "nhs_number")),
        ({"nhs_number_unavailable_reason": "overseas-patient"}, ("MDS-12", "nhs_number_unavailable_reason")),
        ({"nhs_number": None}, ("MDS-13", "nhs_number")),
        ({"nhs_number_status": "07"}, ("MDS-14", "nhs_number_status")),
        ({"nhs_number": None, "nhs_number_unavailable_reason": "overseas-patient"}, ("MDS-14", "nhs_number_status")),
        ({"date_of_birth": ON + DAY}, ("MDS-15", "date_of_birth")),
        ({"date_of_birth": date(1890, 1, 1)}, ("MDS-15", "date_of_birth")),
        ({"postcode": "NOWHERE"}, ("MDS-16", "postcode")),
        ({"phone_primary": "123"}, ("MDS-17", "phone_primary")),
        ({"gp_practice_ods": "!"}, ("MDS-18", "gp_practice_ods")),
        ({"report_to": ("RBV", "?")}, ("MDS-18", "report_to")),
        ({"gmc_or_hcpc": "abc"}, ("MDS-19", "gmc_or_hcpc")),
        ({"referring_org_ods": "P99999"}, ("MDS-20", "referring_org_ods")),
        ({"referring_org_ods": "A81001"}, ("MDS-20", "referring_org_ods")),
        ({"patient_status": "04"}, ("MDS-21", "patient_status")),
        ({"referring_org_ods": "X99999"}, ("MDS-22", "referring_org_ods")),
        ({"referring_org_ods": "RH8", "referring_site_ods": "RH802"}, ("MDS-23", "referring_org_ods")),
        ({"referring_site_ods": "REM01"}, ("MDS-24", "referring_site_ods")),
        ({"fds_clock_start": ON + DAY}, ("MDS-30", "fds_clock_start")),
        ({"fds_clock_start": ON, "target_fds_date": ON + 27 * DAY}, ("MDS-31", "target_fds_date")),
        ({"breach_62_date": ON - DAY}, ("MDS-32", "breach_62_date")),
        ({"not_before": ON + 8 * DAY}, ("MDS-33", "requested_scan_by")),
        ({"requested_scan_by": ON - DAY}, ("MDS-34", "requested_scan_by")),
        ({"weight_date": ON + DAY}, ("MDS-35", "weight_date")),
        ({"declaration": False}, ("MDS-36", "declaration")),
        ({"weight_kg": 1.9}, ("MDS-40", "weight_kg")),
        ({"weight_kg": 351}, ("MDS-40", "weight_kg")),
        ({"weight_kg": 201}, ("MDS-41", "weight_kg")),
        ({"height_cm": 1.7}, ("MDS-42", "height_cm")),
        ({"surgery_or_biopsy_date": ON - DAY}, ("MDS-43", "surgery_or_biopsy_date")),
        ({"iv_contrast_requested": True, "allergies": ("contrast",)}, ("MDS-48", "iv_contrast_requested")),
        ({"iv_contrast_requested": True, "egfr": 900}, ("MDS-49", "egfr")),
        ({"iv_contrast_requested": True, "egfr_date": ON - 90 * DAY}, ("MDS-50", "egfr_date")),
        ({"indication_code": "ONC-XXX"}, ("MDS-51", "indication_code")),
        ({"indication_code": "BON-NAF"}, ("MDS-53", "indication_code")),
        ({"tracer_requested": "NAF"}, ("MDS-54", "tracer_requested")),
        ({"indication_code": "ONC-PED"}, ("MDS-55", "indication_code")),
        ({"indication_code": "PRO-REC", **CHILD, **CHILD_BLOCK}, ("MDS-55", "indication_code")),
        ({"tracer_requested": "GOLD"}, ("MDS-56", "tracer_requested")),
        ({"clinical_question": "Stage?"}, ("MDS-57", "clinical_question")),
        ({"overseas_private_status": "insured"}, ("MDS-58", "funding_route")),
        ({"claustrophobia": "general_anaesthetic"}, ("MDS-59", "anaesthetic_required")),
        ({"lie_flat_30min": False}, ("MDS-60", "lie_flat_30min")),
        ({"patient_status": "01"}, ("MDS-61", "transport")),
        ({"escort": "needed"}, ("MDS-62", "escort")),
    ],
)
def test_a_rule_finds_what_it_names(changes, expected):
    assert expected in codes(**changes)
    assert expected not in codes()


@pytest.mark.parametrize(
    ("changes", "asked"),
    [
        ({"interpreter_required": True}, {"interpreter_language"}),
        ({"patient_status": "01"}, {"ward", "ward_phone"}),
        (CHILD, set(CHILD_BLOCK)),
        ({"cancer_pathway": "urgent_suspected"}, {"suspected_cancer_type", "fds_clock_start"}),
        ({"cancer_pathway": "31_day"}, {"decision_to_treat_date"}),
        ({"cancer_pathway": "62_day", "mdt_date": None, "breach_62_date": None}, {"mdt_date", "breach_62_date"}),
        ({"planned_scan": True}, {"planned_scan_due"}),
        ({"funding_route": "exceptional"}, {"ifr_reference"}),
        (
            {"funding_route": "trial"},
            {"trial_rec_number", "trial_name", "trial_commercial", "trial_arsac_approval", "trial_visit_label"},
        ),
        ({"surgery_or_biopsy_last_6w": True}, {"surgery_or_biopsy_site", "surgery_or_biopsy_date"}),
        ({"prior_imaging": ({"modality": "CT", "region": "Chest", "date": ON},)}, {"recent_reports_attached"}),
        ({"iv_contrast_requested": True}, {"egfr", "egfr_date"}),
        ({"scan_purpose": "rt_planning"}, {"rt_planning_position"}),
        ({"diabetes": "oral"}, {"diabetes_detail", "metformin"}),
        ({"diabetes": "insulin"}, {"diabetes_detail", "metformin", "insulin_regimen"}),
        ({"allergies": ("plaster",)}, {"allergy_detail"}),
        ({"claustrophobia": "sedation"}, {"sedation_prescriber"}),
        ({"anaesthetic_required": "iv_sedation"}, {"asa_grade"}),
        (
            {"date_of_birth": date(1990, 1, 1)},
            {"organs_for_pregnancy", "pregnancy_status", "breastfeeding"},
        ),
        ({"date_of_birth": date(1990, 1, 1), "organs_for_pregnancy": "no"}, {"breastfeeding"}),
        ({"date_of_birth": date(1990, 1, 1), "sex_assigned_at_birth": "male"}, set()),
    ],
)
def test_a_condition_asks_its_questions_and_only_those(changes, asked):
    before = {name for code, name in codes() if code == "MDS-01"}
    assert {name for code, name in codes(**changes) if code == "MDS-01"} - before == asked


@pytest.mark.parametrize("gender", ["1", "2", "9", "X"])
def test_stated_gender_never_decides_the_pregnancy_enquiry(gender):
    young = {"date_of_birth": date(1990, 1, 1), "stated_gender": gender}
    assert ("MDS-01", "pregnancy_status") in codes(**young)
    assert ("MDS-01", "pregnancy_status") not in codes(**young, sex_assigned_at_birth="male")


@pytest.mark.parametrize(
    ("born", "by", "asked"),
    [
        (date(2014, 11, 26), ON + 7 * DAY, True),  # twelve the day before the last day
        (date(2014, 11, 28), ON + 7 * DAY, False),  # twelve the day after it
        (date(1970, 11, 21), ON, True),  # still 55
        (date(1970, 11, 20), ON, False),  # 56 today
        (None, ON, True),
    ],
)
def test_the_pregnancy_enquiry_looks_at_the_age_on_any_day_the_scan_could_be(born, by, asked):
    changes = {"date_of_birth": born, "requested_scan_by": by}
    assert (("MDS-01", "pregnancy_status") in codes(**changes)) is asked


def test_pregnancy_answers():
    young = {"date_of_birth": date(1990, 1, 1)}
    assert ("MDS-45", "pregnancy_status") in codes(**young, pregnancy_status="Y")
    assert ("MDS-46", "pregnancy_status") in codes(**young, pregnancy_status="Z")
    assert ("MDS-46", "pregnancy_status") not in codes(pregnancy_status="Z")
    assert ("MDS-47", "pregnancy_status") in codes(pregnancy_status="Y")
    assert ("MDS-47", "pregnancy_status") not in codes(**young, pregnancy_status="Y")


@pytest.mark.parametrize(
    ("treatment", "days", "warned"),
    [
        ("chemo", 9, True),
        ("chemo", 10, False),
        ("rt", 55, True),
        ("rt", 56, False),
        ("surgery", 41, True),
        ("surgery", 42, False),
        ("hormone", 1, False),
    ],
)
def test_time_since_treatment_is_counted_to_the_last_day_wanted(treatment, days, warned):
    by = ON + 60 * DAY
    row = {"treatment_type": treatment, "last_date": by - days * DAY}
    moved = {"requested_scan_by": by, "treatment_history": (row,)}
    later = findings(complete(**moved), on=by - DAY, context=CONTEXT)
    assert any(finding.code == "MDS-43" and finding.recalled for finding in later) is warned
    interim = findings(complete(**moved, scan_purpose="interim_response"), on=by - DAY, context=CONTEXT)
    assert not any(finding.code == "MDS-43" for finding in interim)


def test_the_next_cycle_before_the_scan_is_pointed_out():
    rows = ({"treatment_type": "chemo", "next_date": ON + DAY}, {"treatment_type": "rt"}, {"last_date": ON})
    assert ("MDS-44", "treatment_history-0-next_date") in codes(treatment_history=rows)
    assert ("MDS-01", "treatment_history-2-treatment_type") in codes(treatment_history=rows)


@pytest.mark.parametrize("funding", [FundingRule.NOT_COMMISSIONED, FundingRule.IFR])
def test_what_is_not_funded_needs_a_request(funding):
    row = replace(CONTEXT.indications["ONC-LYM"], funding=funding)
    context = replace(CONTEXT, indications={"ONC-LYM": row})
    assert ("MDS-52", "funding_route") in codes(context)
    assert ("MDS-52", "funding_route") not in codes(context, funding_route="exceptional")


def test_a_listed_population_that_fits_says_nothing():
    assert ("MDS-55", "indication_code") not in codes(indication_code="ONC-PED", **CHILD)
    row = replace(CONTEXT.indications["ONC-LYM"], population=Population.ADULT)
    assert ("MDS-55", "indication_code") not in codes(replace(CONTEXT, indications={"ONC-LYM": row}))
    assert ("MDS-55", "indication_code") not in codes(indication_code="ONC-PED", date_of_birth=None)


def test_the_directory_is_believed_before_the_shape_of_a_code():
    odd = replace(CONTEXT, organisations={"RBV": OrganisationKind.GP_PRACTICE}, network=None)
    assert ("MDS-20", "referring_org_ods") in codes(odd)
    fine = replace(CONTEXT, organisations={"A81001": OrganisationKind.ACUTE_TRUST}, network=None)
    assert ("MDS-20", "referring_org_ods") not in codes(fine, referring_org_ods="A81001")


def test_a_sites_code_stands_for_its_trust():
    assert ("MDS-23", "referring_org_ods") not in codes(referring_org_ods="RBV01")
    assert ("MDS-23", "referring_org_ods") in codes(referring_org_ods="RH802")


def test_an_unlisted_referrer_is_asked_about():
    context = replace(CONTEXT, entitled_referrers=frozenset({"1234567"}))
    assert ("MDS-25", "gmc_or_hcpc") not in codes(context)
    assert ("MDS-25", "gmc_or_hcpc") in codes(context, gmc_or_hcpc="C7654321")


def test_without_a_list_of_tracers_none_is_unknown():
    assert ("MDS-56", "tracer_requested") not in codes(replace(CONTEXT, lists={}), tracer_requested="GOLD")


def test_every_refusal_and_redirection_says_where_to():
    grave = found(
        nhs_number="9990000019", date_of_birth=date(1890, 1, 1), referring_org_ods="P99999", patient_status="04"
    ) + found(referring_org_ods="RH8")
    grave = [finding for finding in grave if finding.severity in (Severity.REFUSE, Severity.REDIRECT)]
    assert {finding.code for finding in grave} == {"MDS-10", "MDS-15", "MDS-20", "MDS-21", "MDS-23"}
    assert all("ring" in finding.where_to for finding in grave)


def test_the_gravest_finding_decides():
    assert event_after_checking(found(referring_org_ods="P99999", weight_kg=None)) is ReferralEvent.REFUSE
    assert event_after_checking(found(referring_org_ods="RH8", weight_kg=None)) is ReferralEvent.REDIRECT
    assert event_after_checking([]) is ReferralEvent.COMPLETE


def test_names_are_unique_and_choices_exist():
    assert len(ITEM) == len(ITEMS)
    for item in (*ITEMS, *(column for parent in ITEMS for column in parent.columns)):
        assert bool(choices_of(item, CONTEXT)) is (item.kind in (Kind.CHOICE, Kind.CHOICES)), item.name
        if item.mandatory is Need.CONDITIONAL:
            assert item.condition or item.rule_decides, item.name


def test_derived_and_our_own_items_are_never_asked():
    assert not applies(ITEM["timing_check"], {}, on=ON, context=CONTEXT)
    assert not applies(ITEM["received_datetime"], {}, on=ON, context=CONTEXT)
    shown = {item.name for item in questions(complete(), on=ON, context=CONTEXT)}
    assert "weight_kg" in shown
    assert "egfr" not in shown
    assert exceeds_table_limit(Case({"weight_kg": 300}, ON, CONTEXT))
    assert not exceeds_table_limit(Case({}, ON, CONTEXT))


def test_what_counts_as_an_answer():
    assert is_answered(())
    assert is_answered(False)
    assert is_answered(0)
    assert not is_answered(None)
    assert not is_answered("  ")


def test_age_turns_on_the_birthday():
    assert age_on(date(2010, 11, 21), date(2026, 11, 20)) == 15
    assert age_on(date(2010, 11, 20), date(2026, 11, 20)) == 16
    assert age_on(date(2008, 2, 29), date(2026, 2, 28)) == 17


def test_limits_are_all_in_reference_data():
    assert {field.name for field in fields(Limits)} == LIMITS.keys() | {"recalled"}


WORDS = st.one_of(
    st.none(),
    st.text(max_size=20),
    st.booleans(),
    st.integers(-10, 500),
    st.floats(),
    st.dates(date(1850, 1, 1), date(2200, 12, 31)),
    st.just(()),
)


@given(st.dictionaries(st.sampled_from(sorted(ITEM)), WORDS, max_size=30), st.dates(date(2020, 1, 1), date(2035, 1, 1)))
def test_the_rules_never_raise_whatever_the_answers(answers, on):
    for finding in findings(answers, on=on, context=CONTEXT):
        assert finding.message
        assert finding.code.startswith("MDS-")


@pytest.mark.parametrize("state", ReferralState)
@pytest.mark.parametrize("event", ReferralEvent)
def test_every_state_and_event_either_moves_or_is_refused(state, event):
    if event in allowed(REFERRAL, state):
        assert advance(REFERRAL, state, event) in ReferralState
    else:
        with pytest.raises(IllegalMove):
            advance(REFERRAL, state, event)


def test_no_state_is_a_trap_and_each_event_has_one_kind():
    assert {state for state, _ in REFERRAL} == set(ReferralState)
    assert set(KIND) == set(ReferralEvent)
    assert set(VETTED) == set(VetDecision)
    assert ReferralState.REDIRECTED in OPEN_STATES
    for decision, event in VETTED.items():
        assert event in allowed(REFERRAL, ReferralState.TO_VET), decision


@pytest.mark.parametrize(
    ("decision", "given", "missing"),
    [
        (VetDecision.ACCEPT, {}, 2),
        (VetDecision.ACCEPT, {"justified": True, "protocol": "FDG body"}, 0),
        (VetDecision.ACCEPT, {"justified": True, "protocol": "FDG body", "open_queries": 1}, 1),
        (VetDecision.ACCEPT, {"justified": True, "protocol": "FDG body", "open_queries": 2}, 1),
        (VetDecision.ACCEPT_WITH_CHANGE, {"justified": True, "protocol": "FDG body"}, 1),
        (VetDecision.ACCEPT_WITH_CHANGE, {"justified": True, "protocol": "FDG body", "change": "Brain added"}, 0),
        (VetDecision.QUERY, {"questions": [" "]}, 1),
        (VetDecision.QUERY, {"questions": ["Which lung?"]}, 0),
        (VetDecision.REJECT, {}, 2),
        (VetDecision.REJECT, {"reason": RejectionReason.DUPLICATE, "where_to": "See the first one"}, 0),
        (VetDecision.REDIRECT, {}, 1),
        (VetDecision.REDIRECT, {"where_to": "MRI"}, 0),
    ],
)
def test_a_decision_says_what_it_must(decision, given, missing):
    assert len(why_not_decided(decision, **given)) == missing
