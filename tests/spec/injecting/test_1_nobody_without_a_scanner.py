from datetime import UTC, datetime, timedelta

from gantry.domain.injecting import ScannerNow, why_not_inject
from gantry.domain.scan import Waiting

title = "Nobody is injected without a scanner"

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def clock(text):
    hour, minute = text.split(":")
    return NOON.replace(hour=int(hour), minute=int(minute))


def decide(rows, act, fallback):
    """A window of 55 to 75 minutes after the injection at noon, and a scan of twenty minutes."""
    mine = [Waiting(NOON + timedelta(minutes=55), NOON + timedelta(minutes=75), timedelta(minutes=20))]
    scanners = {}
    for row in rows:
        owed = [clock(each) for each in row["owes scans that must begin by"].split()]
        scanners[row["scanner"]] = ScannerNow(
            row["scanner"],
            None if row["fit"] == "yes" else f"{row['scanner']} {row['fit']}",
            NOON,
            tuple(Waiting(by - timedelta(minutes=20), by, timedelta(minutes=20)) for by in owed),
            ((clock("08:00"), clock(row["shuts"])),),
        )
    own, *sisters = scanners.values()
    named = scanners.get(fallback.removeprefix("fallback: "))
    return why_not_inject(own, mine, named=named, sisters=sisters)


def test_fit_running_and_free_inside_the_window(spec):
    """The first scanner is the person's own. What was booked for others is not asked, for lists run late; what is
    owed to people who are injected is."""
    spec(
        given="""
            scanner   | fit | shuts | owes scans that must begin by
            Scanner 1 | yes | 18:00 | 12:50
        """,
        when=("inject at 12:00", "no fallback named"),
        then=[],
    )
    spec(
        given="""
            scanner   | fit | shuts | owes scans that must begin by
            Scanner 1 | yes | 18:00 | 13:10 13:14
        """,
        when=("inject at 12:00", "no fallback named"),
        then=["Scanner 1 cannot scan this person inside the window beside 2 others already injected"],
    )
    spec(
        given="""
            scanner   | fit | shuts | owes scans that must begin by
            Scanner 1 | yes | 12:50 |
        """,
        when=("inject at 12:00", "no fallback named"),
        then=["Scanner 1 is not running inside the window"],
    )


def test_or_a_fallback_is_named_that_can_take_them(spec):
    """Naming one is a person's act: that a sister could is said, never assumed. The refusal stops authorising; an injection
    that happened is recorded, as the breach it is."""
    both = """
        scanner   | fit                       | shuts | owes scans that must begin by
        Scanner 1 | has been out of use since | 18:00 |
        Scanner 2 | yes                       | 18:00 |
    """
    spec(
        given=both,
        when=("inject at 12:00", "no fallback named"),
        then=["Scanner 1 has been out of use since. Scanner 2 could take this person: name it as the fallback"],
    )
    spec(given=both, when=("inject at 12:00", "fallback: Scanner 2"), then=[])
