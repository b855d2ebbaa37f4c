from datetime import UTC, datetime

from gantry.domain.investigation import IN_WORDS, INVESTIGATION, due_at, why_not_closed, why_not_concluded
from gantry.reference.hot_lab import INVESTIGATE_WITHIN
from gantry.reference.nuclides import NUCLIDES

title = "A difference is somebody's until a named person closes it"

NINE = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
BY_WORDS = {words: found for found, words in IN_WORDS.items()}


def decide(*asked):
    if asked[0].startswith("a difference in "):
        symbol = asked[0].removeprefix("a difference in ").split()[0]
        return f"due by {due_at(NUCLIDES[symbol].value, NINE, INVESTIGATE_WITHIN.value):%H:%M on %-d %B}"
    found, *facts = asked
    said = dict(fact.split(": ") for fact in facts)
    if "closing" in said:
        return list(
            why_not_closed(
                BY_WORDS[found], concluded_by=said["found by"], wrote=said.get("entry by", ""), closing=said["closing"]
            )
        )
    entry = said.get("entry", "")
    return list(why_not_concluded(BY_WORDS[found], said.get("finding", ""), entry=entry, named=("received", "counted")))


def test_it_is_due_while_it_can_still_be_found(spec):
    """A difference beyond uncertainty is asked about the moment it is seen, with the entries that made it. It belongs to
    the radiopharmacist until a person takes it, and is due within a day, or ten half-lives where that is sooner."""
    spec(when="a difference in F-18 at 09:00", then="due by 03:17 on 24 November")
    spec(when="a difference in Rb-82 at 09:00", then="due by 10:00 on 23 November")
    spec(when="a difference in Zr-89 at 09:00", then="due by 09:00 on 24 November")


def test_a_finding_says_what_it_was_and_whose_slip(spec):
    spec(when=("spilt or leaked", "finding: wet bench"), then=[])
    spec(when=("kBq typed for MBq", "finding: the printout says so", "entry: received"), then=[])
    spec(
        when=("kBq typed for MBq", "finding: the printout says so"),
        then=["Say which of the entries was wrong"],
    )
    spec(when=("spilt or leaked",), then=["Say what you found, and how you know"])


def test_nobody_closes_the_question_about_their_own_entry(spec):
    spec(when=("spilt or leaked", "found by: Robin", "closing: Robin"), then=[])
    spec(
        when=("kBq typed for MBq", "entry by: Robin", "found by: Sam", "closing: Robin"),
        then=["Whoever made the entry does not close the question about it"],
    )
    spec(
        when=("nobody could explain it", "found by: Sam", "closing: Sam"),
        then=["What nobody could explain is closed by somebody else than who looked"],
    )


def test_from_asked_to_closed(spec):
    """The same container has one open question; a reading that a finding does not bear out takes the finding back."""
    spec.table(
        ("When it is", "and somebody", "it becomes"),
        [(start, step.replace("_", " "), end) for (start, step), end in INVESTIGATION.items()],
    )
