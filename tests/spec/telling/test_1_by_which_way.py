from datetime import timedelta

from gantry.domain.message import NOUNS, Occasion, Reach, way_for
from gantry.reference.messages import LEAD

title = "Their own way, where it serves"

RECORD = {"phone": "07700 900123", "email": "a@example.test", "address": "1 Example Road"}
NOTICE = {"an hour": timedelta(hours=1), "a day": timedelta(days=1), "two weeks": timedelta(days=14)}


def decide(rows, act):
    said = []
    for row in rows:
        record = dict(RECORD)
        for fact in (each.strip() for each in row["the record says"].split(";") if each.strip()):
            match fact:
                case "has died":
                    record["dead"] = True
                case "protected":
                    record["protected"] = True
                case "no mobile":
                    record["phone"] = "01632 960001"
                case "takes insulin":
                    record["prepares"] = True
                case "under 16":
                    record["child"] = True
                case "easy read":
                    record["needs"] = frozenset({"easy_read"})
                case "large print":
                    record["needs"] = frozenset({"large_print"})
                case "signs":
                    record["needs"] = frozenset({"bsl"})
                case _ if fact.startswith("interpreter for "):
                    record |= {"interpreter": True, "language": fact.removeprefix("interpreter for ")}
                case _:
                    raise ValueError(fact)
        reach = Reach(prefers=row["prefers"], **record)
        way = way_for(reach, Occasion.MOVED, notice=NOTICE[row["notice"]], lead=LEAD.value)
        if way is None:
            said.append("nothing")
        else:
            print_size = ", in large print" if way.large_print else ""
            said.append(f"{NOUNS[way.channel]}{print_size}: {way.why}")
    return said


def test_a_move(spec):
    """Somebody was told a time and has another now. The notice is until the first of the two times; a person rings where
    the channel would be too late, or cannot be understood."""
    spec(
        given="""
            prefers | the record says        | notice
            text    |                        | a day
            text    |                        | an hour
            text    | no mobile              | a day
            email   |                        | two weeks
            letter  |                        | two weeks
            letter  | large print            | two weeks
            letter  |                        | a day
            phone   |                        | two weeks
            phone   | signs                  | a day
            text    | interpreter for Polish | a day
            letter  | easy read              | two weeks
            text    | takes insulin          | a day
            text    | under 16               | a day
            text    | protected              | two weeks
            text    | has died               | two weeks
        """,
        when="they are to hear of it",
        then=[
            "a text: Prefers a text",
            "a call: Too soon for a text",
            "a call: Prefers a text, and we hold no mobile number",
            "an email: Prefers an email",
            "a letter: Prefers a letter",
            "a letter, in large print: Prefers a letter",
            "a call: Too soon for a letter",
            "a call: Prefers a call",
            "a text: Signs: in writing",
            "a call: With an interpreter: Polish",
            "a call: Easy read: say it, for we have no such letter",
            "a call: Their preparation changes with the time: talk it through",
            "a call: A child: speak to the parent or carer",
            "a call: Protected details: speak to the person alone, as their record says",
            "nothing",
        ],
    )
