from datetime import date

import pytest

from gantry.domain.scheduling.weights import Signature, Unsigned, Weights, digest, signature_on, weight_of
from gantry.reference.day_plans import weights_on

title = "What a plan weighs, and its signature"
DAY = date(2026, 11, 24)
VALUES = weights_on(DAY).value
OTHERS = Weights(priority=((1, 1), (2, 2), (3, 5)), near=VALUES.near)


def decide(rows, asked):
    if asked.startswith("the weight"):
        return [
            weight_of(
                VALUES, priority=int(row["priority"]), days_left=int(row["days left"]) if row["days left"] else None
            )
            for row in rows
        ]  # fmt: skip
    given = [
        Signature(
            digest(VALUES if row["of"] == "these values" else OTHERS), row["by"], day(row["on"]), day(row["from"])
        )
        for row in rows
    ]
    found = signature_on(VALUES, given, DAY)
    return found.reason if isinstance(found, Unsigned) else f"signed by {found.by} on {found.signed_on:%-d %B %Y}"


def day(words):
    return date.fromisoformat(words)


def test_priority_counts_and_the_last_week_counts_more(spec):
    """A plan scans the greatest sum of weights. Whose breach has passed counts as on the last day: nobody is given up."""
    spec(
        given="""
            who                        | priority | days left
            routine, no date           | 1        |
            routine, in a fortnight    | 1        | 14
            routine, this week         | 1        | 5
            urgent, in two days        | 2        | 2
            two-week-wait, last day    | 3        | 0
            two-week-wait, overdue     | 3        | -4
        """,
        when="the weight of each is asked",
        then=[1, 1, 2, 4, 8, 8],
    )


def test_a_signature_stands_under_the_very_values(spec):
    """A plan names who signed, or is marked unsigned and says why."""
    one = """
        by            | on         | from       | of
        Dr Cleo Mercer | 2026-11-01 | 2026-11-02 | these values
    """
    spec(given=one, when="who signed is asked", then="signed by Dr Cleo Mercer on 1 November 2026")


def test_a_change_of_one_value_voids_the_signature(spec):
    spec(
        given="""
            by             | on         | from       | of
            Dr Cleo Mercer | 2026-11-01 | 2026-11-02 | other values
        """,
        when="who signed is asked",
        then="The values have changed since Dr Cleo Mercer signed others on 1 November 2026",
    )


def test_a_signature_counts_from_its_date_and_the_latest_one_is_named(spec):
    spec(
        given="""
            by             | on         | from       | of
            Dr Cleo Mercer | 2026-11-20 | 2026-12-01 | these values
        """,
        when="who signed is asked",
        then="Signed by Dr Cleo Mercer, but only from 1 December 2026",
    )
    spec(
        given="""
            by             | on         | from       | of
            Dr Cleo Mercer | 2026-11-01 | 2026-11-02 | these values
            Dr Ada Fuller  | 2026-11-10 | 2026-11-10 | these values
        """,
        when="who signed is asked",
        then="signed by Dr Ada Fuller on 10 November 2026",
    )


def test_values_that_make_no_sense_are_not_weights(spec):
    """A weight below 1 would give somebody up; days out of order would count the nearest least."""
    with pytest.raises(ValueError, match="at least 1"):
        Weights(((1, 0),), ())
    with pytest.raises(ValueError, match="fewest days"):
        Weights(((1, 1),), ((7, 1), (3, 2)))
    spec.table(
        ("what", "weight"),
        [
            *((f"priority {p}", w) for p, w in VALUES.priority),
            *((f"{d} days left at most", f"+{w}") for d, w in VALUES.near),
        ],
    )
