from datetime import UTC, date, datetime
from uuid import uuid4

from gantry.domain.events import Cause, CauseCode, EventKind, Initiator
from gantry.domain.measures import Act, Share, unit_share
from gantry.reference.causes import causes_on
from gantry.reference.measures import measures_on

title = "The specification's two measures"
ON = date(2026, 3, 2)


def decide(rows, code):
    measure = measures_on(ON)[code]
    assert isinstance(measure, Share)
    read = unit_share(measure, [act(row) for row in rows])
    if read is None:
        return "not counted"
    day, met = read
    return f"counted on {day:%-d %B %Y}: {'in the number' if met else 'not in the number'}"


def act(row):
    at = datetime.fromisoformat(row["at"]).replace(tzinfo=UTC)
    cause = Cause(CauseCode(row["cause"]), Initiator(row["by"])) if row["cause"] else None
    data = {"for": row["told for"], "nhs": True} if row["told for"] else {"acceptable": True}
    return Act(uuid4(), EventKind(row["event"]), at, at, at.date(), cause, data)


LOST = """
    at               | event              | told for   | cause        | by
    2026-02-27T10:00 | patient_told       | 2026-03-02 |              |
    2026-03-01T18:30 | appointment_moved  |            | batch_failed | supplier
"""
SAVED = """
    at               | event              | told for   | cause        | by
    2026-02-27T10:00 | patient_told       | 2026-03-02 |              |
    2026-03-02T07:10 | appointment_moved  |            | batch_failed | supplier
    2026-03-02T15:40 | images_checked     |            |              |
"""


def test_a_scan_lost_to_the_isotope(spec):
    """It counts on the first date told, whatever day it was known: ringing the evening before takes nobody out."""
    spec(given=LOST, when="M1", then="counted on 2 March 2026: in the number")


def test_recovered_the_same_day(spec):
    """Another run or another site gave diagnostic images by the end of the day that was told."""
    spec(given=SAVED, when="M1", then="counted on 2 March 2026: not in the number")


def test_a_move_by_the_provider_counts_as_cancelled(spec):
    """M2 counts what ended or moved before the injection, by provider or referrer, for a non-clinical cause."""
    spec(given=SAVED, when="M2", then="counted on 2 March 2026: in the number")


def test_what_the_patient_decides_does_not_count(spec):
    """Shown beside the measure, not inside it."""
    spec(
        given="""
            at               | event                 | told for   | cause             | by
            2026-02-27T10:00 | patient_told          | 2026-03-02 |                   |
            2026-03-01T09:00 | appointment_cancelled |            | patient_cancelled | patient
        """,
        when="M2",
        then="counted on 2 March 2026: not in the number",
    )


def test_nobody_is_counted_who_was_not_told(spec):
    """A hold that nobody heard of is no promise."""
    spec(
        given="""
            at               | event                 | told for | cause        | by
            2026-03-01T09:00 | appointment_cancelled |          | batch_failed | supplier
        """,
        when="M1",
        then="not counted",
    )


def test_what_each_cause_means(spec):
    """The class, the NHS reason (01 clinical, 02 non-clinical) and the owner of each cause: a dated mapping, ours."""
    spec.table(
        ["Cause", "Class", "NHS reason", "Owner"],
        [
            (code.replace("_", " "), facts.cause_class.value, facts.nhs_reason or "none", facts.owner.value)
            for code, facts in causes_on(ON).items()
        ],
    )
