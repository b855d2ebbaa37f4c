"""Dose limits of those who work with activity, by part of the body; and how often a sealed source is wiped."""

from datetime import date, timedelta

from gantry.domain.staff_dose import Part, YearLimits
from gantry.reference.dated import LIBRARY_FROM, Fact, in_force

IRR17 = "Ionising Radiations Regulations 2017, schedule 3 and regulation 21; the monthly level is a local rule"
IRR17_FROM = date(2018, 1, 1)

STAFF_LIMITS: dict[Part, tuple[Fact[YearLimits], ...]] = {
    Part.BODY: (Fact(YearLimits(Part.BODY, 0.3, 6.0, 20.0), "mSv", IRR17, IRR17_FROM, recalled=True),),
    Part.FINGER: (Fact(YearLimits(Part.FINGER, 10.0, 150.0, 500.0), "mSv", IRR17, IRR17_FROM, recalled=True),),
    Part.EYE: (Fact(YearLimits(Part.EYE, 1.0, 15.0, 20.0), "mSv", IRR17, IRR17_FROM, recalled=True),),
}

LEAK_TEST_EVERY = Fact(
    timedelta(days=2 * 365 + 1),
    "",
    "Ionising Radiations Regulations 2017, regulation 28: at least every two years",
    LIBRARY_FROM,
    recalled=True,
)


def staff_limits(part: Part, on: date) -> Fact[YearLimits]:
    return in_force(STAFF_LIMITS[part], max(on, IRR17_FROM))
