"""How often a booked person does not come or cannot be injected, and what asking the day before is taken to change."""

from gantry.domain.readiness import Item, Risk
from gantry.reference.dated import LIBRARY_FROM, Fact

HALVED = "that a settled answer halves it is ours, until a service measures its own"
RISKS: tuple[Fact[Risk], ...] = (
    Fact(
        Risk(Item.ANSWERED, 0.02, settled_leaves=0.5, open_leaves=4.0),
        "share of people",
        f"Did not attend: 1 to 3 %; {HALVED}",
        LIBRARY_FROM,
        recalled=True,
    ),
    Fact(
        Risk(Item.INSTRUCTIONS, 0.03, settled_leaves=0.5, open_leaves=2.0),
        "share of people",
        f"Cancelled on the day: 3 to 6 % together with transport; {HALVED}",
        LIBRARY_FROM,
        recalled=True,
    ),
    Fact(
        Risk(Item.TRANSPORT, 0.015, settled_leaves=0.5, open_leaves=6.0),
        "share of people",
        f"Its part of those cancelled on the day; {HALVED}",
        LIBRARY_FROM,
        recalled=True,
    ),
)
GLUCOSE = Fact(
    Risk(None, 0.03), "share of people", "Glucose too high on the day: 1 to 5 %", LIBRARY_FROM, recalled=True
)
GLUCOSE_TREATED = Fact(
    Risk(Item.GLUCOSE_PLAN, 0.174, settled_leaves=0.5, open_leaves=1.5),
    "share of people with treated diabetes",
    f"Cancelled among people with diabetes: 17.4 %; {HALVED}",
    LIBRARY_FROM,
    notice="The share is published; what a plan changes is assumed",
)


def risks_of(asked: tuple[Item, ...], *, glucose_matters: bool) -> tuple[Risk, ...]:
    """Those that this person runs."""
    glucose = GLUCOSE_TREATED if Item.GLUCOSE_PLAN in asked else GLUCOSE
    return (*(fact.value for fact in RISKS), *((glucose.value,) if glucose_matters else ()))
