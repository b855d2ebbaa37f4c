"""Says the checker's and the solver's words with names and clock times instead of ids and minutes; and what things cost."""

from collections.abc import Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from gantry.apps.scheduling.models import Fitting
from gantry.apps.scheduling.services.building import Built
from gantry.domain.scheduling.costs import Costs

ANOTHER = "a patient of another organisation"


def worded(said: str, built: Built, names: Mapping[str, str], zone: ZoneInfo) -> str:
    """People, scanners, runs and sites by name. A minute at the end is a clock time."""
    for ref in built.appointments:
        name = names.get(ref, ANOTHER)
        said = said.replace(f", {ref}", f" and {name}").replace(ref, name)
    for ref, scanner in built.scanners.items():
        said = said.replace(ref, scanner.name)
    for ref, row in built.allotments.items():
        said = said.replace(ref, f"the {row.tracer} run of {row.reference_at.astimezone(zone):%H:%M}")
    for ref, site in built.sites.items():
        said = said.replace(ref, site.name)
    for value, label in Fitting.choices:
        said = said.replace(value, f"a {label[0].lower()}{label[1:]}")
    head, mark, minute = said.rpartition(" at minute ")
    if mark and minute.lstrip("-").isdigit():
        said = f"{head} at {clock(built.at(int(minute)), zone)}"
    return said[:1].upper() + said[1:]


def clock(moment: datetime, zone: ZoneInfo) -> str:
    return f"{moment.astimezone(zone):%H:%M}"


def pounds(pence: float) -> str:
    return f"£{pence / 100:,.2f}" if pence >= 0 else f"−£{-pence / 100:,.2f}"


def signed(value: float, unit: str = "") -> str:
    """A difference: “no change”, or with its sign and unit."""
    if round(value) == 0:
        return "no change"
    return f"{'+' if value > 0 else '−'}{abs(value):,.0f}{' ' + unit if unit else ''}"


def priced(costs: Costs, *, priced_runs: bool) -> list[str]:
    """Each of a plan's costs as it stands, in the order in which they count."""
    return [
        f"{costs.unscanned_weight}",
        f"{costs.moved}",
        f"{costs.mbq:,.0f} MBq",
        pounds(costs.pence) if priced_runs else "price not recorded",
        f"{costs.overtime_min} min",
        f"{costs.waiting_min} min",
        f"{costs.staff_mbq_min:,.0f} MBq min",
    ]


def changed(more: Costs, *, priced_runs: bool) -> list[str]:
    """Each difference, in the same order."""
    money = "no change" if abs(more.pence) < 1 else ("+" if more.pence > 0 else "") + pounds(more.pence)
    return [
        signed(more.unscanned_weight),
        signed(more.moved),
        signed(more.mbq, "MBq"),
        money if priced_runs else "price not recorded",
        signed(more.overtime_min, "min"),
        signed(more.waiting_min, "min"),
        signed(more.staff_mbq_min, "MBq min"),
    ]


COSTS = (
    "Not scanned in time, by weight",
    "Told and moved, who was moved before counts more",
    "Activity drawn, at the runs' reference times",
    "Its price",
    "Overtime",
    "Waiting beyond the uptake or the time that suits",
    "Staff: activity within reach",
)
"""In the order in which a plan is judged: the first that differs decides."""
