"""The day and its plan after an option was accepted: whoever it moved has been told, and counts as moved once more."""

from collections.abc import Iterator
from dataclasses import replace

from gantry.domain.scheduling.failures import Circumstances, Situation, injected, left_of
from gantry.domain.scheduling.problem import Day, Patient, Plan, Told
from gantry.domain.scheduling.recovery import Option, arrival, given_less


def carried_out(s: Situation, accepted: Option) -> tuple[Day, Plan]:
    """What the next failure meets. Whoever goes to another day, or was injected in vain, is no longer of this one."""
    left, used = left_of(s), {visit.delivery for visit in accepted.plan.visits}
    stay = {visit.patient for visit in accepted.plan.visits}
    day = replace(
        s.day,
        scanners=left.scanners,
        places=left.places,
        deliveries=tuple(
            replace(d, ordered_mbq=accepted.plan.orders.get(d.ref, 0.0)) if d.ordered_mbq is None else d
            for d in accepted.day.deliveries
            if d.ref in used or d.ref in {each.ref for each in s.day.deliveries}
        ),
        patients=tuple(_patients(s, accepted, stay)),
    )
    return day, Plan(accepted.plan.visits)


def known_after(s: Situation, accepted: Option) -> dict[str, Circumstances]:
    """What was given less of already is counted from the whole: no rule is used twice on one person."""
    less = set(given_less(s, accepted))
    return {
        ref: replace(about, fraction=about.fraction * accepted.fraction) if ref in less else about
        for ref, about in ((p.ref, s.about(p.ref)) for p in s.day.patients)
    }


def _patients(s: Situation, accepted: Option, stay: set[str]) -> Iterator[Patient]:
    moved = {move.patient for move in accepted.moves}
    for was in s.day.patients:
        visit = accepted.plan.visit(was.ref)
        if visit is None or was.ref not in stay:
            continue
        planned = accepted.day.patient(was.ref)
        # What was agreed for them stays agreed: another tracer, a longer scan, another place.
        now = replace(
            was,
            tracer=planned.tracer,
            activity_mbq=planned.activity_mbq,
            scan_min=planned.scan_min,
            uptake=was.uptake if planned.tracer == was.tracer else planned.uptake,
            away_pence={**was.away_pence, accepted.day.scanner(visit.scanner).place: 0} if was.away_pence else {},
        )
        if was.ref in moved and not injected(s, was):
            before = was.told.moves_before + 1 if was.told else 0
            place = accepted.day.scanner(visit.scanner).place
            now = replace(now, told=Told(place, arrival(planned, visit), before), latest_min=None)
        yield now
