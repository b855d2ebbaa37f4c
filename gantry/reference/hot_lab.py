"""The limits a hot lab works to; each says whether a physicist has confirmed it."""

from datetime import timedelta

from gantry.domain.instrument import Allowed, DeviceKind, TestKind
from gantry.domain.ledger import Instrument
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

CALIBRATOR = Fact(
    Instrument("", scale_percent=2.0, reading_percent=1.0),
    "% of the reading, k = 1",
    "Usual of a calibrator traceable to a national standard; replaced by the certificate of each device",
    LIBRARY_FROM,
    recalled=True,
)
VOLUME_TOLERANCE_PERCENT = Fact(
    15.0,
    "% of concentration × volume",
    "A small syringe's graduation, and 0.05 mL of dead space",
    LIBRARY_FROM,
    notice="Assumed",
)
CHECK_PERCENT = Fact(5.0, "%", "Two readings of one syringe on a tested calibrator", LIBRARY_FROM, recalled=True)
TELLERS_APART_PERCENT = Fact(
    5.0, "%", "Two instruments that measure one dose, as two readings of one syringe", LIBRARY_FROM, recalled=True
)
"""Between what the room, an injector and a scanner say of one injection: beyond it somebody is asked to look."""
CLOCKS_APART = Fact(
    timedelta(minutes=1),
    "",
    "Clocks of calibrator, injector and scanner; F-18 loses 0.6 % in it",
    LIBRARY_FROM,
    recalled=True,
)
INJECTOR_NEAR = Fact(
    timedelta(minutes=30),
    "",
    "Further apart, two times are not taken for one injection",
    LIBRARY_FROM,
    notice="Assumed",
)
RESIDUAL_WITHIN = Fact(
    timedelta(minutes=30),
    "",
    "A residual is measured before the next person is injected",
    LIBRARY_FROM,
    notice="Assumed",
)
INVESTIGATE_WITHIN = Fact(
    timedelta(days=1),
    "",
    "A difference in the ledger is explained and closed by the next day, sooner where the activity decays sooner",
    LIBRARY_FROM,
    notice="Assumed",
)
TO_SEWER = Fact(0.15, "share of the net activity", "A first void removes about 15 %", LIBRARY_FROM, recalled=True)
"""What a person passes into the drains before leaving; the permit's own method replaces it."""

DAY, QUARTER, YEAR = timedelta(days=1), timedelta(days=92), timedelta(days=366)
IPEM = "IPEM 108 schedule; a medical physics expert confirms the numbers"
DEVICE_TESTS: dict[DeviceKind, tuple[tuple[TestKind, Fact[Allowed]], ...]] = {
    DeviceKind.CALIBRATOR: (
        (TestKind.CONSTANCY, Fact(Allowed(5.0, DAY, daily=True), "%", IPEM, LIBRARY_FROM, recalled=True)),
        (TestKind.LINEARITY, Fact(Allowed(5.0, QUARTER), "%", IPEM, LIBRARY_FROM, recalled=True)),
        (TestKind.ACCURACY, Fact(Allowed(5.0, YEAR), "%", IPEM, LIBRARY_FROM, recalled=True)),
    ),
    DeviceKind.INJECTOR: (
        (TestKind.CONSTANCY, Fact(Allowed(5.0, DAY, daily=True), "%", IPEM, LIBRARY_FROM, recalled=True)),
        (TestKind.ACCURACY, Fact(Allowed(5.0, YEAR), "%", IPEM, LIBRARY_FROM, recalled=True)),
    ),
    DeviceKind.GLUCOMETER: (
        (
            TestKind.CONSTANCY,
            Fact(
                Allowed(15.0, DAY, daily=True), "%", "Usual of a meter's control solution", LIBRARY_FROM, recalled=True
            ),
        ),
    ),
}
