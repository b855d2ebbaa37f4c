from datetime import UTC, datetime

from gantry.domain.decay import Assay
from gantry.domain.ledger import END, INWARD, Entry, Way, balance, investigation
from gantry.reference.hot_lab import CALIBRATOR
from gantry.reference.nuclides import F18

title = "What came in went somewhere, or somebody asks"

EIGHT = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)


def decide(rows, question):
    """`question` is the moment of the statement."""
    entries = []
    for number, row in enumerate(rows):
        hour, minute = row["at"].split(":")
        way, at = Way(row["what"].replace(" ", "_")), EIGHT.replace(hour=int(hour), minute=int(minute))
        far = END.get(way, "S1")
        source, target = (far, "V1") if way in INWARD else ("V1", "V1" if way is Way.COUNTED else far)
        entries.append(
            Entry(str(number), way, source, target, Assay(F18, float(row["MBq"]), at), CALIBRATOR.value, row["by"])
        )
    hour, minute = question.split()[-1].split(":")
    at = EIGHT.replace(hour=int(hour), minute=int(minute))
    said = balance(entries, at, {"V1"})
    asked = investigation(said)
    left = f"{said.left_mbq:,.0f} MBq left"
    if not any(each.way is Way.COUNTED for each in entries):
        return left
    return f"{left}; {asked}" if asked else f"{left}; within ±{said.uncertainty_mbq:,.0f} MBq"


def test_every_entry_is_decayed_to_one_instant(spec):
    """In = out + left, each entry decayed to the moment of the statement. Readings are uncertain, and so is each
    calibration: what they explain together (k = 2) is no difference."""
    spec(
        given="""
            at    | what     | MBq   | by
            08:00 | received | 10000 | Robin
            08:30 | drawn    | 300   | Robin
            09:00 | wasted   | 50    | Sam
        """,
        when="the book at 09:50",
        then="4,775 MBq left",
    )


def test_a_count_that_the_instruments_cannot_explain_is_asked_about(spec):
    spec(
        given="""
            at    | what     | MBq   | by
            08:00 | received | 10000 | Robin
            08:30 | drawn    | 300   | Robin
            09:50 | counted  | 4770  | Sam
        """,
        when="the book at 09:50",
        then="4,770 MBq left; within ±138 MBq",
    )
    spec(
        given="""
            at    | what     | MBq   | by
            08:00 | received | 10000 | Robin
            08:30 | drawn    | 300   | Robin
            09:50 | counted  | 4300  | Sam
        """,
        when="the book at 09:50",
        then="4,300 MBq left; 511.7 MBq is missing; ±133.4 MBq is explained",
    )
