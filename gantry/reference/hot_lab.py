"""The limits a hot lab works to; each says whether a physicist has confirmed it."""

from datetime import timedelta

from gantry.reference.dated import LIBRARY_FROM, Fact

DELIVERY_TOLERANCE_PERCENT = Fact(
    10.0, "% of the stated activity", "Common practice on receipt; configure by site", LIBRARY_FROM, recalled=True
)
DISPENSE_LOSS = Fact(
    0.05, "share of the activity drawn", "Left in lines and needles", LIBRARY_FROM, notice="Assumed until measured"
)
MAX_VOLUME_ML = Fact(10.0, "mL", "Greatest volume of one FDG injection", LIBRARY_FROM, recalled=True)
GLUCOSE_ACTION_MMOL_PER_L = Fact(11.0, "mmol/L", "EANM 2015, clinical action level", LIBRARY_FROM, recalled=True)
USABLE_FOR = Fact(timedelta(hours=8), "", "CMA 2014: FDG is usable for at most 8 hours of its making", LIBRARY_FROM)
RECEIPT_TAKES = Fact(
    timedelta(minutes=20), "", "Receive, measure and accept before the first dose", LIBRARY_FROM, notice="Assumed"
)
