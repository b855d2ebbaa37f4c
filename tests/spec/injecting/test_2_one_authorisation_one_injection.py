from datetime import UTC, datetime

from gantry.domain.injecting import Given, in_all, why_not_again

title = "One authorisation is one injection"

DAY = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


def decide(rows, question, authorised="on the 20th"):
    earlier = [
        Given(DAY.replace(day=int(r["day"])), float(r["MBq"]), float(r["mSv"]), r["step"], r["visit"]) for r in rows
    ]
    if question.startswith("what is it in all"):
        return in_all(earlier, mbq=250, msv=4.75) or "nothing is said: it is the first"
    at = DAY.replace(day=int(authorised.removeprefix("authorised on the ").removesuffix("th")))
    return why_not_again(earlier, step="inject", visit="second", authorised_at=at)


def test_a_second_injection_has_an_authorisation_of_its_own(spec):
    """Injected and not scanned is always an incident. Before the same step is injected on another day, a practitioner
    decides again; two injections of one protocol on one day, rest and stress, are one decision."""
    had = """
        day | MBq | mSv  | step   | visit
        23  | 247 | 4.69 | inject | first
    """
    spec(
        given=had,
        when=("inject at the second visit", "authorised on the 20th"),
        then="The authorisation was used for 247 MBq: a new injection needs its own",
    )
    spec(given=had, when=("inject at the second visit", "authorised on the 24th"), then=None)


def test_and_whoever_authorises_it_sees_the_sum(spec):
    """Of the tracer alone, by age where it has a table."""
    spec(
        given="""
            day | MBq | mSv  | step   | visit
            23  | 247 | 4.69 | inject | first
        """,
        when="what is it in all with 250 MBq more",
        then="Injected once before for this referral: 247 MBq, 4.7 mSv. With 250 MBq more it is 497 MBq, 9.4 mSv in all",
    )
