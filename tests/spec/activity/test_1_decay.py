from datetime import datetime, timedelta

from gantry.domain.decay import Assay, net_administered_mbq
from gantry.reference.nuclides import NUCLIDES

title = "What is left, and what was given"


def decide(rows, asked):
    """Activity in MBq to one decimal place."""
    before, *rest = [
        Assay(
            NUCLIDES[row["nuclide"]].value, float(row["MBq"]), datetime.fromisoformat(f"2026-11-20T{row['at']}+00:00")
        )
        for row in rows
    ]
    when = datetime.fromisoformat(f"2026-11-20T{asked.removeprefix('injected at ')}+00:00")
    return f"{net_administered_mbq(before, rest[0] if rest else None, when):.1f} MBq"


def test_a_syringe_loses_a_third_in_an_hour(spec):
    """F-18 halves every 109.77 minutes; the moment is part of the number."""
    spec(
        given="nuclide | MBq | at\nF-18 | 300 | 09:00:00",
        when="injected at 10:00:00",
        then="205.4 MBq",
    )


def test_what_was_left_in_the_syringe_is_brought_back_to_the_injection(spec):
    """Net administered activity: before, decayed forward, less after, decayed back."""
    spec(
        given="""
            nuclide | MBq | at
            F-18    | 300 | 09:00:00
            F-18    | 6   | 09:20:00
        """,
        when="injected at 09:10:00",
        then="275.3 MBq",
    )


def test_gallium_goes_faster(spec):
    """Ten minutes cost a tenth."""
    spec(given="nuclide | MBq | at\nGa-68 | 150 | 09:00:00", when="injected at 09:10:00", then="135.4 MBq")


def test_half_lives_are_dated_facts_with_a_source(spec):
    """A(t) = A₀ · 2^(−t/T). The T of each nuclide, where it was read, from when it holds, and whether it was confirmed."""
    spec.table(
        ("Nuclide", "Half-life", "Source", "From", "Mark"),
        [
            (
                symbol,
                in_time(fact.value.half_life),
                fact.source,
                f"{fact.valid_from:%-d %B %Y}",
                fact.mark or "confirmed",
            )
            for symbol, fact in NUCLIDES.items()
        ],
    )


def in_time(half_life: timedelta) -> str:
    for unit, length in (("days", timedelta(days=3)), ("hours", timedelta(hours=3)), ("minutes", timedelta(minutes=2))):
        if half_life > length:
            return f"{half_life / timedelta(**{unit: 1}):.6g} {unit}"
    return f"{half_life.total_seconds():.6g} seconds"
