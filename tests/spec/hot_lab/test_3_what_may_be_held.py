from datetime import UTC, date, datetime, timedelta

from gantry.domain.permit import Coming, Terms, why_not_disposed, why_not_ordered
from gantry.domain.staff_dose import Part, Reading, why_look, why_year
from gantry.reference.hot_lab import TO_SEWER
from gantry.reference.nuclides import F18, NUCLIDES
from gantry.reference.staff_dose import staff_limits

title = "What may be held, may leave, and may be received by those who work there"

SEVEN = datetime(2026, 11, 23, 7, 0, tzinfo=UTC)
TERMS = Terms("EPR-1", "F-18", date(2026, 1, 1), date(2026, 12, 31), 15_000, {"sewer": 500.0}, timedelta(days=30))


def numbers(text):
    return [float(word) for word in text.replace(",", "").split() if word.replace(".", "").isdigit()]


def decide(first, second):
    if second.startswith("order") and "sewer" in first:
        (month,), (wanted,) = numbers(first), numbers(second)
        return list(
            why_not_ordered(
                TERMS, nuclide=F18, held_mbq=0, coming=[], wanted=Coming(wanted, SEVEN), now=SEVEN, on=SEVEN.date(),
                month_mbq={"sewer": month + TO_SEWER.value * wanted},
            )
        )  # fmt: skip
    if second.startswith("order") and "names" in first:
        ga68 = NUCLIDES[second.split()[-1]].value
        return list(
            why_not_ordered(
                None, nuclide=ga68, held_mbq=0, coming=[], wanted=Coming(100, SEVEN), now=SEVEN, on=SEVEN.date(),
                names_others=True,
            )
        )  # fmt: skip
    if second.startswith("order"):
        (held,), (wanted,) = numbers(first), numbers(second)
        return list(
            why_not_ordered(
                TERMS, nuclide=F18, held_mbq=held, coming=[], wanted=Coming(wanted, SEVEN), now=SEVEN, on=SEVEN.date()
            )
        )
    if "sewer" in first:
        (gone,), (more,) = numbers(first), numbers(second)
        return list(
            why_not_disposed(TERMS, route="sewer", activity_mbq=more, this_month_mbq=gone, releases=[], at=SEVEN)
        )
    part, (msv,) = Part(first), numbers(second)
    limits = staff_limits(part, SEVEN.date()).value
    if "this year" in second:
        return list(why_year(msv, limits, 2026))
    return list(why_look(Reading(part, date(2026, 10, 1), date(2026, 10, 31), msv), limits))


def test_an_order_that_would_break_the_permit_is_refused(spec):
    """The permit of this example allows 15,000 MBq of F-18 to be held. What is here and what is coming are decayed to
    the moment at which the order would arrive."""
    spec(when=("the site holds 6,000 MBq", "order 9,000 MBq"), then=[])
    spec(
        when=("the site holds 6,000 MBq", "order 9,001 MBq"),
        then=["Permit EPR-1 allows 15,000 MBq of F-18 here; with this order there would be 15,001 MBq"],
    )


def test_an_order_that_would_break_the_month_is_refused_before_anybody_is_given_it(spec):
    """The permit of this example allows 500 MBq a month to the sewer. What has gone and 15 % of what is still to be given
    in the month count: each person at their injection, and the whole of an order that nobody is booked on."""
    spec(when=("350 MBq will have gone to the sewer this month", "order 1,000 MBq"), then=[])
    spec(
        when=("360 MBq will have gone to the sewer this month", "order 1,000 MBq"),
        then=[
            "Permit EPR-1 allows 500 MBq of F-18 to the sewer a month; with this order it would be 510 MBq in November"
        ],
    )


def test_a_nuclide_that_no_permit_of_the_site_names_is_not_ordered(spec):
    """Half-lives below 100 s have an exempt regime. A site of which no permit at all is recorded is not judged; it says so."""
    spec(when=("the site's permit names F-18", "order Ga-68"), then=["No permit of this site names Ga-68"])
    spec(when=("the site's permit names F-18", "order Rb-82"), then=[])


def test_each_route_has_its_month(spec):
    spec(when=("480 MBq went to the sewer this month", "pour away 20 MBq"), then=[])
    spec(
        when=("480 MBq went to the sewer this month", "pour away 25 MBq"),
        then=["480 MBq went to the sewer this month; with 25 MBq more it would be above the 500 MBq of the permit"],
    )


def test_a_badge_asks_for_a_look_long_before_a_limit(spec):
    spec(when=("fingers", "8 mSv in October"), then=[])
    spec(
        when=("fingers", "35 mSv in October"),
        then=["35 mSv to the fingers in 31 days; the local rules ask above 10 mSv in that time"],
    )
    spec(
        when=("whole body", "7 mSv this year"),
        then=["7 mSv to the whole body in 2026: above 6 mSv somebody is a classified worker"],
    )
    spec(
        when=("whole body", "21 mSv this year"),
        then=["21 mSv to the whole body in 2026 is above the limit of 20 mSv"],
    )
