"""Decides which questions apply to this patient, and with which choices."""

from datetime import date

from gantry.domain.referral.data_set import ITEMS
from gantry.domain.referral.facts import Answers, Case, Choice, Context
from gantry.domain.referral.items import Item, Kind, Need


def applies_to(item: Item, case: Case) -> bool:
    """Whether the question is asked. A number that was given is still a question that applies."""
    if item.kind is Kind.DERIVED or item.filled_here:
        return False
    return item.condition is None or item.condition.holds(case)


def is_required(item: Item, case: Case) -> bool:
    return item.mandatory is not Need.OPTIONAL and not item.rule_decides and applies_to(item, case)


def applies(item: Item, answers: Answers, *, on: date, context: Context) -> bool:
    return applies_to(item, Case(answers, on, context))


def questions(answers: Answers, *, on: date, context: Context) -> list[Item]:
    """The items a form shows for these answers, in order."""
    case = Case(answers, on, context)
    return [item for item in ITEMS if applies_to(item, case)]


def is_answered(value: object) -> bool:
    """An empty tuple is an answer ("none"); an empty text is not."""
    return value is not None and not (isinstance(value, str) and not value.strip())


def choices_of(item: Item, context: Context) -> tuple[Choice, ...]:
    return tuple(context.lists.get(item.choices_from, ())) if item.choices_from else item.choices
