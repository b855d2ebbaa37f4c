"""`gantry day`: plan a day from a file, judge a plan, say why a patient has their time."""

import json
from pathlib import Path
from typing import Annotated

import typer

from gantry.cli import day_orders, day_recover, day_replay
from gantry.cli.day_files import day_in, day_of, plan_of, read, refuse
from gantry.domain.scheduling.certificate import Certificate, bound
from gantry.domain.scheduling.check import faults, score
from gantry.domain.scheduling.files import Refused, read_certificate, write_plan
from gantry.domain.scheduling.problem import Day, Plan, Score

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
app.command()(day_recover.recover)
app.command()(day_orders.orders)
app.command()(day_replay.replay)
app.command()(day_replay.lift)


@app.command()
def plan(
    day_file: Annotated[Path, typer.Argument(metavar="DAY.json", exists=True, dir_okay=False)],
    seconds: Annotated[float, typer.Option(min=0.0, help="When to stop looking for better.")] = 30.0,
    out: Annotated[Path | None, typer.Option(metavar="PLAN.json", help="Where to keep the plan.")] = None,
    seed: Annotated[int, typer.Option(help="The same day and seed give the same plan.")] = 0,
    before: Annotated[
        Path | None,
        typer.Option(
            metavar="PLAN.json", exists=True, dir_okay=False, help="Begin with what still stands of this plan."
        ),
    ] = None,
) -> None:
    """Find the best plan of a day, with its proof."""
    from gantry.solvers.day_plan import Infeasible, Unfinished, plan_day

    day = day_of(day_file)
    standing = plan_of(day, before, read(before)) if before is not None else None
    found = plan_day(day, seconds=seconds, seed=seed, before=standing)
    match found:
        case Infeasible(reasons, smallest):
            also = (
                "no fewer contradict one another" if smallest else "fewer may do: time ran out before that was proved"
            )
            refuse(f"No plan keeps all of these; {also}:", reasons)
        case Unfinished():
            refuse("Out of time: neither a plan that keeps every lock, nor a proof that there is none", ())
    show(day, found.plan, found.score)
    print(f"Proved best: {', '.join(sorted(found.proved)) or 'nothing in this time'}")
    print(f"Activity: at least {found.bound / 100:.2f}, gap {found.gap:.4%}")
    if out is not None:
        out.write_text(json.dumps(write_plan(day, found.plan, found.certificate), indent=1) + "\n")


@app.command()
def check(
    day_file: Annotated[Path, typer.Argument(metavar="DAY.json", exists=True, dir_okay=False)],
    plan_file: Annotated[Path, typer.Argument(metavar="PLAN.json", exists=True, dir_okay=False)],
) -> None:
    """Judge a plan by the day alone, and its proof by itself; exit 1 where something is wrong."""
    day, data = day_of(day_file), read(plan_file)
    given = plan_of(day, plan_file, data)
    if found := faults(day, given):
        refuse(f"{len(found)} wrong with this plan:", found)
    reached = score(day, given)
    print(f"Nothing wrong. {in_words(reached)}")
    if isinstance(data, dict) and "certificate" in data:
        proof = read_certificate(day, data)
        if isinstance(proof, Refused):
            refuse(f"{plan_file.name} is not a plan:", [str(fault) for fault in proof.faults])
        prove(day, given, reached, proof)


def prove(day: Day, given: Plan, reached: Score, proof: Certificate) -> None:
    try:
        least = bound(day, proof)
    except (ValueError, KeyError) as refused:
        refuse("The proof does not hold:", [str(refused)])
    scanned = sum(p.weight for p in day.patients) - reached.unscanned_weight
    if least > reached.activity_pence + 0.01 and scanned >= proof.weight and reached.moved <= proof.moves:
        refuse("The proof contradicts the plan:", [f"{least:.2f} is more than {reached.activity_pence:.2f}"])
    print(
        f"Any plan that scans a weight of {proof.weight} in time with moves of at most {proof.moves} costs at least "
        f"{least / 100:.2f} for activity; this one costs {reached.activity_pence / 100:.2f}."
    )


@app.command()
def explain(
    plan_file: Annotated[Path, typer.Argument(metavar="PLAN.json", exists=True, dir_okay=False)],
    patient: str,
    day_file: Annotated[Path | None, typer.Option("--day", metavar="DAY.json", help="Else the plan's own day.")] = None,
    seconds: Annotated[float, typer.Option(min=0.0)] = 10.0,
) -> None:
    """Why a patient has this time, and what the next best would cost."""
    from gantry.solvers.day_plan.explain import explain as explained

    data = read(plan_file)
    day = day_of(day_file) if day_file else day_in(plan_file, data)
    given = plan_of(day, plan_file, data)
    if patient not in {p.ref for p in day.patients}:
        refuse(f"{patient} is not a patient of this day", ())
    told = explained(day, given, patient, seconds=seconds)
    for reason in told.reasons:
        print(reason)
    best = told.next_best
    if best is None:
        if given.visit(patient) is not None:
            print("No other time keeps every lock.")
        return
    if best.visit is None:
        print("Next best: the patient is left out.")
    else:
        print(
            f"Next best: injection at {day.clock(best.visit.injection_min)} on {best.visit.scanner}, the scan "
            f"{abs(best.scan_later_min)} minutes {'later' if best.scan_later_min >= 0 else 'earlier'}."
        )
    now = score(day, given)
    print(f"It draws {best.mbq:+.1f} MBq and costs {best.pence:+.1f} pence over the whole day;")
    print(
        f"unscanned weight {best.score.unscanned_weight - now.unscanned_weight:+d}, moves "
        f"{best.score.moved - now.moved:+d}, overtime {best.score.overtime_min - now.overtime_min:+d} min, waiting "
        f"{best.score.waiting_min - now.waiting_min:+d} min."
    )


def show(day: Day, given: Plan, reached: Score) -> None:
    print(f"{'injection':>9}  {'scan':>5}  {'patient':<12}{'scanner':<12}{'delivery':<12}")
    for visit in given.visits:
        times = f"{day.clock(visit.injection_min):>9}  {day.clock(visit.scan_min):>5}"
        print(f"{times}  {visit.patient:<12}{visit.scanner:<12}{visit.delivery:<12}")
    for ref, mbq in given.orders.items():
        print(f"Order {mbq:.0f} MBq of {ref} at {day.clock(day.delivery(ref).reference_min)}")
    for ref, why in given.left_out.items():
        print(f"Left out: {ref}. {why}")
    print(in_words(reached))


def in_words(reached: Score) -> str:
    return (
        f"Unscanned weight {reached.unscanned_weight}, moves {reached.moved}, activity "
        f"{reached.activity_pence / 100:.2f} pounds, overtime {reached.overtime_min} min, waiting "
        f"{reached.waiting_min} min, staff dose {reached.staff_dose:.0f} MBq min."
    )
