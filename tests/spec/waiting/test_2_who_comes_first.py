from datetime import UTC, date, datetime

from gantry.domain.waiting import Waiting, in_order
from gantry.reference.lists import PRIORITY_RANKS

title = "Who comes first"


def decide(rows, asked):
    people = [
        Waiting(
            row["who"],
            row["priority"],
            datetime.fromisoformat(row["received"]).replace(tzinfo=UTC),
            date.fromisoformat(row["wanted by"]) if row["wanted by"] else None,
        )
        for row in rows
    ]
    return [one.ref for one in in_order(people, PRIORITY_RANKS.value)]


def test_soonest_due_then_clinical_priority_then_longest_wait(spec):
    """Who pays is not known to the order. A patient without a date comes first: someone must find out."""
    spec(
        given="""
            who            | priority | received   | wanted by
            routine        | 1        | 2026-11-02 | 2026-11-20
            urgent, later  | 2        | 2026-11-05 | 2026-11-20
            urgent         | 2        | 2026-11-02 | 2026-11-20
            soonest        | 1        | 2026-11-09 | 2026-11-13
            no date        | 1        | 2026-11-09 |
        """,
        when="the list is put in order",
        then=["no date", "soonest", "urgent", "urgent, later", "routine"],
    )
