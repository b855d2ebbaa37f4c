"""Decides whether a referral is enough to act on: every gap and contradiction, all at once.

A rule is a function and its name in `RULES`. Rules yield; `findings` collects. Clinical sense is in `clinical_rules.py`.
"""

from collections.abc import Iterator
from datetime import timedelta

from gantry.domain import identifiers
from gantry.domain.identifiers import NhsNumberStatus, OdsKind
from gantry.domain.referral.asking import is_answered, is_required
from gantry.domain.referral.data_set import ITEMS
from gantry.domain.referral.facts import Case, Finding, OrganisationKind, Severity, age_on
from gantry.domain.referral.items import Need

WARN, REFUSE, REDIRECT = Severity.WARN, Severity.REFUSE, Severity.REDIRECT


def everything_needed_is_given(case: Case) -> Iterator[Finding]:
    for item in ITEMS:
        if not is_required(item, case):
            continue
        if not is_answered(case.get(item.name)):
            why = f", because {item.condition.text}" if item.mandatory is Need.CONDITIONAL and item.condition else ""
            yield Finding("MDS-01", item.name, f"{item.label} is needed{why}")
        for number, row in enumerate(case.rows(item.name)):
            for column in item.columns:
                if column.mandatory is Need.MANDATORY and not is_answered(row.get(column.name)):
                    where = f"{item.name}-{number}-{column.name}"
                    yield Finding("MDS-01", where, f"{item.label}, row {number + 1}: {column.label} is needed")


def identity(case: Case) -> Iterator[Finding]:
    number = case.text("nhs_number")
    reason = case.text("nhs_number_unavailable_reason")
    if number:
        why_not = identifiers.why_not_nhs_number(number)
        if why_not:
            yield Finding("MDS-10", "nhs_number", why_not, REFUSE, case.context.signposts.mend)
        else:
            expected = case.context.invented_people and identifiers.nhs_range(number) is identifiers.NhsRange.TEST
            for warning in [] if expected else identifiers.nhs_number_warnings(number):
                yield Finding("MDS-11", "nhs_number", warning, WARN)
        if reason:
            yield Finding(
                "MDS-12", "nhs_number_unavailable_reason", "There is an NHS number and a reason for none", WARN
            )
    elif not reason:
        yield Finding("MDS-13", "nhs_number", "Give the NHS number, or say why there is none")
    status = case.text("nhs_number_status")
    absent = NhsNumberStatus.NOT_PRESENT_NOT_REQUIRED
    if number and status == absent:
        yield Finding(
            "MDS-14", "nhs_number_status", "The status says that there is no NHS number, but one is given", WARN
        )
    if not number and status in (NhsNumberStatus.VERIFIED, NhsNumberStatus.NOT_TRACED):
        yield Finding(
            "MDS-14", "nhs_number_status", "The status says that the NHS number is present, but none is given"
        )


def date_of_birth(case: Case) -> Iterator[Finding]:
    born = case.day("date_of_birth")
    if born is None:
        return
    mend = case.context.signposts.mend
    greatest = case.context.limits.greatest_age
    if born > case.on:
        yield Finding("MDS-15", "date_of_birth", "The date of birth is in the future", REFUSE, mend)
    elif age_on(born, case.latest) >= greatest:
        yield Finding("MDS-15", "date_of_birth", f"The patient would be {greatest} or older", REFUSE, mend)


def contact_details(case: Case) -> Iterator[Finding]:
    postcode = case.text("postcode")
    if postcode and identifiers.clean_postcode(postcode) is None:
        yield Finding("MDS-16", "postcode", "This is not a postcode; ZZ99 3VZ means no fixed abode")
    phone = case.text("phone_primary")
    if phone and sum(character.isdigit() for character in phone) < 7:
        yield Finding("MDS-17", "phone_primary", "This phone number is too short to ring")


def codes_are_well_formed(case: Case) -> Iterator[Finding]:
    names = (
        "local_patient_id_assigner",
        "gp_practice_ods",
        "referring_org_ods",
        "referring_site_ods",
        "pathway_issuer",
    )
    for name in names:
        code = case.text(name)
        if code and not identifiers.valid_ods(code):
            yield Finding("MDS-18", name, f"“{code[:20]}” is not an ODS code")
    for code in case.several("report_to"):
        if not identifiers.valid_ods(code):
            yield Finding("MDS-18", "report_to", f"“{code[:20]}” is not an ODS code")
    for name in ("gmc_or_hcpc", "responsible_consultant_gmc"):
        number = case.text(name)
        if number and identifiers.registration(number) is None:
            yield Finding("MDS-19", name, f"“{number[:20]}” has not the form of a GMC, HCPC or NMC number")


def from_secondary_care(case: Case) -> Iterator[Finding]:
    """Only a specialist centre or acute hospital may refer, never primary care (specification 7.2)."""
    code = case.text("referring_org_ods")
    kind = case.context.organisations.get(code)
    where = case.context.signposts.primary_care
    practice = kind is OrganisationKind.GP_PRACTICE if kind else identifiers.looks_like_gp_practice(code)
    if code and practice:
        message = "A GP practice cannot refer for PET-CT directly (specification 7.2)"
        yield Finding("MDS-20", "referring_org_ods", message, REFUSE, where)
    if case.get("patient_status") == "04":
        message = "GP direct access is not possible for PET-CT (specification 7.2)"
        yield Finding("MDS-21", "patient_status", message, REFUSE, where)


def from_inside_the_network(case: Case) -> Iterator[Finding]:
    code = case.text("referring_org_ods")
    network = case.context.network
    if not identifiers.valid_ods(code) or identifiers.looks_like_gp_practice(code):
        return
    if identifiers.ods_kind(code) is OdsKind.DEFAULT:
        yield Finding("MDS-22", "referring_org_ods", "Say which hospital refers: a report must have somewhere to go")
    elif network is not None and not {code, trust_of(code)} & network:
        message = f"{code} is outside the network that this service covers"
        yield Finding("MDS-23", "referring_org_ods", message, REDIRECT, case.context.signposts.outside_network)
    site = case.text("referring_site_ods")
    if identifiers.ods_kind(code) is OdsKind.TRUST and site and not site.startswith(code):
        yield Finding("MDS-24", "referring_site_ods", f"{site} does not look like a site of {code}", WARN)


def trust_of(code: str) -> str:
    """Senders put a site's code where the trust's belongs; a trust's sites begin with its code."""
    return code[:3] if identifiers.ods_kind(code) in (OdsKind.TRUST_SITE, OdsKind.INDEPENDENT_SITE) else code


def referrer_is_entitled(case: Case) -> Iterator[Finding]:
    """The employer's list of entitled referrers (IR(ME)R regulation 6)."""
    entitled = case.context.entitled_referrers
    number = identifiers.clean_registration(case.text("gmc_or_hcpc"))
    if entitled is not None and number and number not in entitled and number.removeprefix("C") not in entitled:
        yield Finding("MDS-25", "gmc_or_hcpc", "The referrer is not on this employer's list of entitled referrers")


def clocks(case: Case) -> Iterator[Finding]:
    started, target = case.day("fds_clock_start"), case.day("target_fds_date")
    if started and started > case.on:
        yield Finding("MDS-30", "fds_clock_start", "The 28-day clock cannot start in the future")
    days = case.context.limits.fds_days
    if started and target and target != started + timedelta(days=days):
        message = f"The target is {days} days after the clock started: {started + timedelta(days=days):%-d %B %Y}"
        yield Finding("MDS-31", "target_fds_date", message)
    for name in ("target_fds_date", "breach_62_date"):
        due = case.day(name)
        if due and due < case.on:
            yield Finding("MDS-32", name, f"This date has already passed ({due:%-d %B %Y})", WARN)


def dates_in_order(case: Case) -> Iterator[Finding]:
    by, not_before = case.day("requested_scan_by"), case.day("not_before")
    if by and not_before and by < not_before:
        yield Finding("MDS-33", "requested_scan_by", "The scan is wanted by a day that is before “not before”")
    if by and by < case.on:
        yield Finding("MDS-34", "requested_scan_by", "The scan is wanted by a day that has passed")
    past = ("weight_date", "egfr_date", "surgery_or_biopsy_date", "pregnancy_lmp", "decision_to_treat_date")
    for name in past:
        day = case.day(name)
        if day and day > case.on:
            yield Finding("MDS-35", name, "This day has not come yet")


def declaration(case: Case) -> Iterator[Finding]:
    if case.get("declaration") is False:
        yield Finding("MDS-36", "declaration", "The referrer must declare that they are entitled to refer (IR(ME)R)")


ADMINISTRATIVE = (
    everything_needed_is_given,
    identity,
    date_of_birth,
    contact_details,
    codes_are_well_formed,
    from_secondary_care,
    from_inside_the_network,
    referrer_is_entitled,
    clocks,
    dates_in_order,
    declaration,
)
