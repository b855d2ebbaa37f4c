"""`gantry day orders`: how much activity to order for a plan, by when, and whom to ask first."""

from pathlib import Path
from typing import Annotated

import typer

from gantry.cli.day_files import day_of, plan_of, read, refuse
from gantry.domain.scheduling.check import faults
from gantry.domain.scheduling.files import Refused
from gantry.domain.scheduling.orders import Amount, Order, Terms
from gantry.domain.scheduling.orders import orders as orders_of
from gantry.domain.scheduling.problem import Day
from gantry.domain.scheduling.terms_files import read_terms


def orders(
    day_file: Annotated[Path, typer.Argument(metavar="DAY.json", exists=True, dir_okay=False)],
    plan_file: Annotated[Path, typer.Argument(metavar="PLAN.json", exists=True, dir_okay=False)],
    terms_file: Annotated[
        Path, typer.Argument(metavar="TERMS.json", exists=True, dir_okay=False, help="Readiness, costs and cut-offs.")
    ],
) -> None:
    """How much activity to order on each run, what a margin costs, and whom to ask before the cut-off."""
    day, terms_data = day_of(day_file), read(terms_file)
    given = plan_of(day, plan_file, read(plan_file))
    if found := faults(day, given):
        refuse(f"{len(found)} wrong with this plan:", found)
    terms = read_terms(day, terms_data)
    if isinstance(terms, Refused):
        refuse(f"{terms_file.name} is not the terms of an order:", [str(fault) for fault in terms.faults])
    made = orders_of(day, given, terms)
    if not made:
        print("Nothing can still be ordered for this plan.")
    for order in made:
        show(day, terms, order)


def show(day: Day, terms: Terms, order: Order) -> None:
    delivery = day.delivery(order.delivery)
    until = "" if order.cut_off_min is None else f", to be changed until {day.clock(order.cut_off_min)}"
    print(f"{order.delivery}: order {order.best.mbq:.0f} MBq at {day.clock(delivery.reference_min)}{until}")
    print(f"{'':<12}{'MBq':>8}{'pounds':>10}{'sent home':>11}{'left MBq':>10}{'all served':>12}")
    lines: list[tuple[str, Amount]] = [("this order", order.best), ("if all came", order.everybody)]
    lines += [("beside", each) for each in order.compared]
    for name, each in lines:
        print(
            f"{name:<12}{each.mbq:>8.0f}{each.pence / 100:>10.2f}{each.sent_home:>11.3f}{each.left_mbq:>10.0f}"
            f"{each.all_served:>12.1%}"
        )
    for question in order.questions:
        lacking = f"; open: {', '.join(sorted(question.missing))}" if question.missing else ""
        print(
            f"Ask {question.patient}: comes with {question.chance:.0%}, draws {question.mbq:.0f} MBq; knowing is worth "
            f"{question.worth_pence / 100:.2f} pounds{lacking}"
        )
