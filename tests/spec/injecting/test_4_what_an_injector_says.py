from datetime import datetime
from zoneinfo import ZoneInfo

from gantry.domain.injector import Recorded, Told, match
from gantry.reference.hot_lab import INJECTOR_NEAR

title = "What an injector says stands beside our record, or is held"

LONDON = ZoneInfo("Europe/London")


def moment(clock):
    return datetime.fromisoformat(f"2026-11-23T{clock}").replace(tzinfo=LONDON)


def decide(rows, said):
    """Of a report that came at noon about one person."""
    recorded = [
        Recorded(row["at"], moment(row["at"]), float(row["MBq"]), row["nuclide"], here=row["site"] == "here")
        for row in rows
    ]
    activity, unit, nuclide, _, clock = said.split()
    told = Told(moment(clock), True, float(activity), unit, nuclide)
    answer = match(told, recorded, now=moment("12:00"), near=INJECTOR_NEAR.value)
    return [str(each) for each in answer] if isinstance(answer, list) else f"beside the injection at {answer.key}"


ROOM = """
    at    | MBq | nuclide | site
    09:10 | 250 | F-18    | here
    11:30 | 240 | F-18    | here
"""


def test_it_speaks_of_the_injection_that_it_is_nearest_to(spec):
    """The NHS number and the accession number name the person, as for images; then the time names the injection.
    Nothing it says changes our record, and no two sources are averaged."""
    spec(given=ROOM, when="254 MBq F-18 at 09:12", then="beside the injection at 09:10")
    spec(given=ROOM, when="238 MBq F-18 at 11:29", then="beside the injection at 11:30")


def test_what_cannot_be_read_as_it_stands_waits_for_a_person(spec):
    """No unit is converted, no clock is moved. What only waits for the room's record is asked again each minute."""
    spec(
        given=ROOM,
        when="250000 kBq F-18 at 09:12",
        then=["Not in MBq: the activity is stated in kBq; a dose report states MBq (PS3.16 TID 10022)"],
    )
    spec(
        given=ROOM,
        when="250000 MBq F-18 at 09:12",
        then=["Not in MBq: it says 250,000 MBq, and the room gave 250 MBq"],
    )
    spec(
        given=ROOM,
        when="254 MBq F-18 at 08:11",
        then=["Clock wrong by an hour: it says 08:11, and the room recorded 09:10"],
    )
    spec(
        given=ROOM,
        when="254 MBq Ga-68 at 09:12",
        then=["Wrong nuclide: it says Ga-68, and the room gave F-18"],
    )
    spec(
        given=ROOM,
        when="254 MBq F-18 at 09:55",
        then=["No injection recorded: the room recorded none of this person within 30 minutes of 09:55"],
    )
    spec(
        given="at | MBq | nuclide | site\n09:10 | 250 | F-18 | there",
        when="254 MBq F-18 at 09:12",
        then=["Another site: this injector stands at another site than the injection"],
    )
