"""What an order for tracer is weighed by: its price where the run has none, and a patient sent home for want of it."""

from gantry.reference.dated import LIBRARY_FROM, Fact

PENCE_PER_GBQ = Fact(
    31_500,
    "pence for each GBq at the reference time",
    "A dose cost £315 in 2004 (Hansard), taken as 1 GBq at the reference time; each run's own price replaces it",
    LIBRARY_FROM,
    notice="Assumed",
)
SENT_HOME_PENCE = Fact(
    90_000,
    "pence for each unit of a patient's weight",
    "Ours: a lost hour of scanner and staff, a second journey, and days of the pathway; a service sets its own",
    LIBRARY_FROM,
    notice="Assumed",
)
STEP_MBQ = Fact(10.0, "MBq", "Ours: finer than any supplier fills a vial", LIBRARY_FROM, notice="Assumed")
CHANGED_MBQ, CHANGED_CHANCE = 5.0, 0.015
"""Below these nobody is told that a patient's part of an order has changed."""
