"""Decides what in a referral a clinician would stop at: weight, timing, pregnancy, contrast, indication, tracer."""

from collections.abc import Callable, Iterator
from datetime import date

from gantry.domain.referral.facts import Case, Finding, FundingRule, Population, Severity
from gantry.domain.referral.items import PREGNANCY, could_be_pregnant

WARN = Severity.WARN


def weight(case: Case) -> Iterator[Finding]:
    """The activity and every SUV rest on it; it is measured again on the day."""
    limits = case.context.limits
    kg = case.number("weight_kg")
    if kg is None:
        return
    if not limits.weight_from_kg <= kg <= limits.weight_to_kg:
        message = f"{kg:g} kg is not between {limits.weight_from_kg:g} and {limits.weight_to_kg:g}"
        yield Finding("MDS-40", "weight_kg", message)
    elif exceeds_table_limit(case):
        message = f"Over {limits.usual_table_limit_kg:g} kg: only some scanners' tables carry this weight"
        yield Finding("MDS-41", "weight_kg", message, WARN, recalled=case.recalled("usual_table_limit_kg"))
    cm = case.number("height_cm")
    if cm is not None and not 25 <= cm <= 250:
        yield Finding("MDS-42", "height_cm", f"{cm:g} cm is not a height: give centimetres")


def exceeds_table_limit(case: Case) -> bool:
    """The derived item of that name."""
    kg = case.number("weight_kg")
    return kg is not None and kg > case.context.limits.usual_table_limit_kg


def time_since_treatment(case: Case) -> Iterator[Finding]:
    """Healing tissue takes up FDG: too soon after treatment, inflammation is read as disease."""
    limits = case.context.limits
    waits = {
        "chemo": ("chemotherapy", "days_after_chemotherapy", limits.days_after_chemotherapy),
        "rt": ("radiotherapy", "days_after_radiotherapy", limits.days_after_radiotherapy),
        "surgery": ("surgery", "days_after_surgery", limits.days_after_surgery),
    }
    for number, row in enumerate(case.rows("treatment_history")):
        known = waits.get(str(row.get("treatment_type")))
        last = case_day(row.get("last_date"))
        if known is None or last is None:
            continue
        name, limit, days = known
        where = f"treatment_history-{number}-last_date"
        # A scan for planning or mid-course is meant to fall inside the course.
        if last <= case.on and (case.latest - last).days < days and case.get("scan_purpose") != "interim_response":
            yield too_soon(where, name, days, (case.latest - last).days, recalled=case.recalled(limit))
    operated = case.day("surgery_or_biopsy_date")
    if operated and operated <= case.on and (case.latest - operated).days < limits.days_after_surgery:
        gap = (case.latest - operated).days
        recalled = case.recalled("days_after_surgery")
        yield too_soon("surgery_or_biopsy_date", "surgery or biopsy", limits.days_after_surgery, gap, recalled=recalled)


def too_soon(where: str, what: str, days: int, gap: int, *, recalled: bool) -> Finding:
    message = f"The scan is wanted {gap} days after {what}; {days} days or more are usual"
    return Finding("MDS-43", where, message, WARN, recalled=recalled)


def case_day(value: object) -> date | None:
    return value if isinstance(value, date) else None


def next_treatment(case: Case) -> Iterator[Finding]:
    for number, row in enumerate(case.rows("treatment_history")):
        upcoming = case_day(row.get("next_date"))
        if upcoming and case.on <= upcoming < case.latest:
            message = f"Treatment is due on {upcoming:%-d %B %Y}, before the scan is wanted: say which comes first"
            yield Finding("MDS-44", f"treatment_history-{number}-next_date", message, WARN)


def pregnancy(case: Case) -> Iterator[Finding]:
    status = case.get("pregnancy_status")
    recalled = case.recalled("pregnancy_from_age", "pregnancy_to_age")
    if status == "Y":
        message = "The patient is pregnant: the practitioner decides with the referrer before any booking"
        yield Finding("MDS-45", "pregnancy_status", message, WARN)
    if status == "Z" and could_be_pregnant(case):
        message = "Not known counts as possibly pregnant: a test or the date of the last period is needed"
        yield Finding("MDS-46", "pregnancy_status", message, WARN, recalled=recalled)
    if status == "Y" and not PREGNANCY.holds(case):
        message = "Pregnant, but sex at birth, organs or age say that this cannot be: one of them is wrong"
        yield Finding("MDS-47", "pregnancy_status", message, recalled=recalled)


def contrast(case: Case) -> Iterator[Finding]:
    if case.get("iv_contrast_requested") is not True:
        return
    if "contrast" in case.several("allergies"):
        message = "Contrast is wanted for a patient allergic to it: say how that is to be managed"
        yield Finding("MDS-48", "iv_contrast_requested", message)
    egfr, taken = case.number("egfr"), case.day("egfr_date")
    if egfr is not None and not 0 < egfr <= 200:
        yield Finding("MDS-49", "egfr", f"{egfr:g} is not an eGFR")
    days = case.context.limits.egfr_valid_days
    if taken and (case.latest - taken).days > days:
        message = f"The eGFR will be more than {days} days old at the scan"
        yield Finding("MDS-50", "egfr_date", message, WARN, recalled=case.recalled("egfr_valid_days"))


def indication(case: Case) -> Iterator[Finding]:
    """Matched with the dated table; the row and its edition are kept with the decision."""
    code = case.text("indication_code")
    if not code:
        return
    found = case.indication
    if found is None:
        yield Finding("MDS-51", "indication_code", f"“{code[:20]}” is not in the table of indications")
        return
    if found.funding is FundingRule.NOT_COMMISSIONED and case.get("funding_route") == "nhse_standard":
        message = f"{found.title} is not commissioned: it needs an individual funding request"
        yield Finding("MDS-52", "funding_route", message, recalled=found.recalled)
    if found.funding is FundingRule.IFR and case.get("funding_route") == "nhse_standard":
        message = f"{found.title} is funded by individual request only"
        yield Finding("MDS-52", "funding_route", message, recalled=found.recalled)
    if found.funding is FundingRule.POLICY_LIMITED:
        message = f"{found.title} is funded within a policy: check its conditions"
        yield Finding("MDS-53", "indication_code", message, WARN, recalled=found.recalled)
    tracer = case.text("tracer_requested")
    if tracer and found.tracers and tracer not in found.tracers:
        message = f"{found.title} is listed with {', '.join(sorted(found.tracers))}, not with {tracer}"
        yield Finding("MDS-54", "tracer_requested", message, WARN, recalled=found.recalled)
    if case.day("date_of_birth") and found.population is not Population.ALL:
        wrong = found.population is (Population.ADULT if case.is_child else Population.CHILD)
        if wrong:
            message = f"{found.title} is listed for {'adults' if case.is_child else 'children and young people'}"
            yield Finding("MDS-55", "indication_code", message, WARN, recalled=found.recalled)


def tracer(case: Case) -> Iterator[Finding]:
    known = case.context.lists.get("tracers")
    code = case.text("tracer_requested")
    if known is not None and code and code not in {choice.value for choice in known}:
        yield Finding("MDS-56", "tracer_requested", f"“{code[:20]}” is not a tracer in the table")


def question(case: Case) -> Iterator[Finding]:
    text = case.text("clinical_question")
    least = case.context.limits.question_min_characters
    if text and len(text) < least:
        yield Finding("MDS-57", "clinical_question", f"Say a little more: at least {least} characters")


def funding(case: Case) -> Iterator[Finding]:
    private = case.get("overseas_private_status") in ("private", "insured")
    if private and case.get("funding_route") == "nhse_standard":
        yield Finding("MDS-58", "funding_route", "A private patient is not funded by NHS England", WARN)


def anaesthetic(case: Case) -> Iterator[Finding]:
    claustrophobia = case.get("claustrophobia") == "general_anaesthetic"
    if claustrophobia and case.get("anaesthetic_required") not in (None, "general_anaesthetic"):
        message = "Claustrophobia needs an anaesthetic, but none is asked for"
        yield Finding("MDS-59", "anaesthetic_required", message)
    needed = case.get("anaesthetic_required") in (None, "none")
    if case.get("lie_flat_30min") is False and needed and case.get("pain_control_needed") is not True:
        message = "The patient cannot lie flat for 30 minutes: say what would help"
        yield Finding("MDS-60", "lie_flat_30min", message, WARN)


def transport(case: Case) -> Iterator[Finding]:
    if case.get("patient_status") == "01" and case.get("transport") == "own":
        yield Finding(
            "MDS-61", "transport", "An inpatient needs a transfer between sites, not their own transport", WARN
        )
    if case.get("escort") == "needed":
        yield Finding("MDS-62", "escort", "An escort is to be arranged before the day", WARN)


CLINICAL: tuple[Callable[[Case], Iterator[Finding]], ...] = (
    weight,
    time_since_treatment,
    next_treatment,
    pregnancy,
    contrast,
    indication,
    tracer,
    question,
    funding,
    anaesthetic,
    transport,
)
