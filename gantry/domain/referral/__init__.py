"""The referral: its minimum data set, what is wrong with one, and what may happen to it."""

from datetime import date

from gantry.domain.referral.asking import applies, choices_of, is_answered, is_required, questions
from gantry.domain.referral.clinical_rules import CLINICAL, exceeds_table_limit
from gantry.domain.referral.data_set import ITEM, ITEMS
from gantry.domain.referral.facts import (
    Answers,
    Case,
    Choice,
    Context,
    Finding,
    FundingRule,
    Indication,
    Limits,
    OrganisationKind,
    Population,
    Rule,
    Severity,
    Signposts,
    age_on,
)
from gantry.domain.referral.items import DATA_SET_VERSION, Condition, Group, Item, Kind, Need
from gantry.domain.referral.lifecycle import (
    KIND,
    OPEN_STATES,
    REFERRAL,
    VETTED,
    ReferralEvent,
    ReferralState,
    RejectionReason,
    VetDecision,
    event_after_checking,
    why_not_decided,
)
from gantry.domain.referral.rules import ADMINISTRATIVE
from gantry.domain.referral.typed import plain, typed, unknown_names

RULES: tuple[Rule, ...] = (*ADMINISTRATIVE, *CLINICAL)


def findings(answers: Answers, *, on: date, context: Context) -> list[Finding]:
    """Everything that is missing, wrong or worth a look, in one reply; `on` is the day of receipt."""
    case = Case(answers, on, context)
    return [finding for rule in RULES for finding in rule(case)]


__all__ = [
    "DATA_SET_VERSION",
    "ITEM",
    "ITEMS",
    "KIND",
    "OPEN_STATES",
    "REFERRAL",
    "RULES",
    "VETTED",
    "Answers",
    "Case",
    "Choice",
    "Condition",
    "Context",
    "Finding",
    "FundingRule",
    "Group",
    "Indication",
    "Item",
    "Kind",
    "Limits",
    "Need",
    "OrganisationKind",
    "Population",
    "ReferralEvent",
    "ReferralState",
    "RejectionReason",
    "Severity",
    "Signposts",
    "VetDecision",
    "age_on",
    "applies",
    "choices_of",
    "event_after_checking",
    "exceeds_table_limit",
    "findings",
    "is_answered",
    "is_required",
    "plain",
    "questions",
    "typed",
    "unknown_names",
    "why_not_decided",
]
