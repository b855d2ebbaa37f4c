"""Why people's decisions cannot all be kept: the smallest set of locks that already contradict one another."""

from dataclasses import replace
from time import perf_counter

from gantry.domain.scheduling.problem import Day, choices, locked_in_words, why_left_out
from gantry.solvers.day_plan.columns import columns_of
from gantry.solvers.day_plan.counting import most


def conflict(day: Day, *, deadline: float, seed: int) -> tuple[str, ...]:
    """A lock that nothing allows stands alone; otherwise drop one lock at a time, and keep those that are needed."""
    locked = [p for p in day.patients if p.lock is not None]
    for patient in locked:
        if next(choices(day, patient), None) is None:
            return (f"{locked_in_words(day, patient)}: {sentence(why_left_out(day, patient))}",)
    kept = [p.ref for p in locked]
    for ref in list(kept):
        without = [one for one in kept if one != ref]
        if not can_all_be_kept(day, without, deadline, seed):
            kept = without
    return tuple(locked_in_words(day, p) for p in locked if p.ref in kept)


def sentence(words: str) -> str:
    return words[0].lower() + words[1:]


def can_all_be_kept(day: Day, refs: list[str], deadline: float, seed: int) -> bool:
    """Out of time counts as possible: a reason is only named once it is proved."""
    alone = replace(day, patients=tuple(p for p in day.patients if p.ref in refs))
    columns = columns_of(alone)
    found = most(columns, columns.value // columns.lock_value, deadline=max(deadline, perf_counter() + 1), seed=seed)
    return found.bound >= len(refs)
