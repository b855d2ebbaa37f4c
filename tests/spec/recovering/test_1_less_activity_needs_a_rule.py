from datetime import UTC, date, datetime, timedelta

from gantry.domain.scheduling.approval import why_not_less, why_not_transfer
from gantry.domain.scheduling.failures import Circumstances, Failure, FailureKind, LengthenRule, Rules, Situation
from gantry.domain.scheduling.problem import Day, Patient, Plan, Tracer, Uptake
from gantry.domain.scheduling.recovery import lengthened

title = "Less activity and a longer scan, only inside a practitioner's rule"

TODAY = date(2026, 11, 24)


def decide(rows, fraction, *person):
    """One adult of 250 MBq and twenty minutes, whose batch is short."""
    patient = Patient("P1", "FDG", 250.0, Uptake(60, 60, 60), 20, 20, 0, 0)
    day = Day(datetime(2026, 11, 24, tzinfo=UTC), "Europe/London", (Tracer("FDG", 109.77),), (), (), (), (patient,))
    rules = tuple(
        LengthenRule(
            row["approved by"],
            "FDG",
            float(row["at least"].removesuffix("%")) / 100,
            row["children"] == "yes",
            patients=frozenset({"P1"}) if row["protocol"] == "body" else frozenset(),
        )
        for row in rows
    )
    had = next((float(p.split()[-1].removesuffix("%")) / 100 for p in person if "before" in p), 1.0)
    about = {"P1": Circumstances(child="a child" in person, fraction=had)}
    s = Situation(day, Plan(()), Failure(FailureKind.BATCH_SHORT, "D1", 430), about, Rules(rules))
    made = lengthened(s, patient, float(fraction.split()[-1].removesuffix("%")) / 100)
    if made is patient:
        return "nothing changes"
    return f"{made.activity_mbq:g} MBq and {made.scan_min} minutes"


def test_activity_times_minutes_stays(spec):
    """What is given less is scanned longer, rounded up to whole minutes, never below the floor that was approved."""
    rule = """
        approved by | protocol | at least | children
        Dr Example  | body     | 70%      | no
    """
    spec(given=rule, when=("give 80%", "an adult, body"), then="200 MBq and 25 minutes")
    spec(given=rule, when=("give 70%", "an adult, body"), then="175 MBq and 29 minutes")
    spec(given=rule, when=("give 60%", "an adult, body"), then="nothing changes")


def test_whom_a_rule_does_not_cover_is_given_the_whole(spec):
    """A rule names a protocol and a site. Children are covered only where it says so, and nobody is given less twice."""
    rule = """
        approved by | protocol | at least | children
        Dr Example  | body     | 70%      | no
    """
    spec(given=rule, when=("give 80%", "a child"), then="nothing changes")
    spec(given=rule, when=("give 80%", "given less before, to 80%"), then="nothing changes")
    other = """
        approved by | protocol | at least | children
        Dr Example  | brain    | 70%      | no
    """
    spec(given=other, when=("give 80%", "an adult, body"), then="nothing changes")


def test_what_may_be_approved(spec):
    """A practitioner approves in their own name, for a protocol of one scan, between two days at most a year apart. The
    licences of site and practitioner and the entitlement are asked when it is approved and again on each day it is used."""
    asked = [
        (0.7, 1, 90, "may be approved"),
        (0.4, 1, 90, "Give at least 50% and less than the whole of the activity"),
        (0.7, 2, 90, "A protocol with several scans has no one scan to lengthen"),
        (0.7, 1, 400, "An approval stands for at most 366 days"),
    ]
    rows = []
    for fraction, scans, days, then in asked:
        found = list(
            why_not_less(
                least_fraction=fraction, scans=scans, valid_from=TODAY, valid_to=TODAY + timedelta(days=days), today=TODAY
            )
        )  # fmt: skip
        assert (found or ["may be approved"]) == [then]
        rows.append((f"{fraction:.0%}", scans, days, then))
    spec.table(("at least", "scans of the protocol", "days", "then"), rows)


def test_what_an_adviser_may_allow(spec):
    """Somebody injected is taken to another site only on a journey for which the radiation protection adviser wrote a rule."""
    asked = [(15, "another site", "may be kept"), (15, "the same site", "A transfer goes to another site"),
             (120, "another site", "The journey takes between 1 and 90 minutes, door to couch")]  # fmt: skip
    for minutes, to, then in asked:
        found = list(
            why_not_transfer(minutes=minutes, same=to == "the same site", valid_from=TODAY, valid_to=TODAY, today=TODAY)
        )
        assert (found or ["may be kept"]) == [then]
    spec.table(("minutes, door to couch", "to", "then"), asked)
