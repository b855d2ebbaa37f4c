from datetime import date

from gantry.domain.waiting import Standard, days_left_in_words, why_not_changed
from gantry.reference.clocks import clock

title = "Cancer clocks"


def decide(rows, asked, day_or_organisation):
    row = rows[0]
    running = clock(Standard(row["standard"]), date.fromisoformat(row["started"]), row["owner"])
    match asked:
        case "breach date":
            return f"{running.breach_on:%-d %B %Y}"
        case "days left on":
            return days_left_in_words(running.days_left(date.fromisoformat(day_or_organisation)))
        case _:
            return why_not_changed(running, by=day_or_organisation)


CLOCK = """
    standard               | started    | owner
    28-day faster diagnosis | 2026-11-02 | RBV
"""


def test_the_last_day_inside_the_standard(spec):
    """The day that the clock starts is day nought."""
    spec(given=CLOCK, when=("breach date", "for the patient"), then="30 November 2026")


def test_days_left_in_words(spec):
    """Overdue is said as plainly as the rest."""
    spec(given=CLOCK, when=("days left on", "2026-11-20"), then="10 days left")
    spec(given=CLOCK, when=("days left on", "2026-12-01"), then="1 day over")


def test_a_provider_never_pauses_or_stops_a_clock(spec):
    """It belongs to the trust of the pathway, which may adjust it with its code."""
    spec(
        given=CLOCK,
        when=("pause by", "NZZ"),
        then=["This clock belongs to RBV: only it may adjust or stop it; a provider never does"],
    )
    spec(given=CLOCK, when=("pause by", "RBV"), then=[])
