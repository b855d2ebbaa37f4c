from datetime import datetime

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
