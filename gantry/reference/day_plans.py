"""What a day plan weighs, dated: a clinical lead signs each set. When diabetes suits a scan, and how long people stay."""

from datetime import date, time

from gantry.domain.scheduling.weights import Weights
from gantry.reference.dated import LIBRARY_FROM, Fact, in_force

WEIGHTS: tuple[Fact[Weights], ...] = (
    Fact(
        Weights(priority=((1, 1), (2, 2), (3, 4)), near=((0, 4), (3, 2), (7, 1))),
        "weight by DID priority, and by days left to the breach",
        "Ours: routine, urgent, two-week-wait type; more in the last week, most on the last day and after it",
        LIBRARY_FROM,
        notice="Assumed: a clinical lead signs the weights",
    ),
)
EARLY, MIDDAY = (time(7, 0), time(10, 30)), (time(11, 30), time(14, 0))
DIABETES_SLOTS = Fact(
    {
        "diet": EARLY,
        "oral": EARLY,
        "glp1_sglt2": EARLY,
        "long_acting": EARLY,
        "pump": EARLY,
        "basal_bolus": MIDDAY,
        "mixed": MIDDAY,
    },
    "local time of the scan",
    "Early before breakfast, or midday after breakfast with its insulin, by regimen; the hours are ours",
    LIBRARY_FROM,
    recalled=True,
)
"""By the insulin regimen where one is known, else by the kind of diabetes. For tracers that need fasting."""
ANAESTHESIA_AFTER_MIN = Fact(
    10, "minutes", "Ours: from the end of the scan until the patient is handed over", LIBRARY_FROM, notice="Assumed"
)


def weights_on(on: date) -> Fact[Weights]:
    return in_force(WEIGHTS, on)
