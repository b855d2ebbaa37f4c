"""How soon a scan is reported and a report is acted on: what the list of work says is due."""

from datetime import date, timedelta

from gantry.reference.dated import ASSUMED_NOTICE, Fact, in_force

REPORT_WITHIN: tuple[Fact[timedelta], ...] = (
    Fact(
        timedelta(days=2),
        "days from the end of the scan",
        "Leeds PET-CT reports within two days (CQC location 1-137505340); the national limit is 28 days (9 August 2023)",
        date(2023, 8, 9),
    ),
)
ACT_WITHIN: tuple[Fact[timedelta], ...] = (
    Fact(
        timedelta(days=7),
        "days from the verified report",
        "Ours: no published limit was found",
        date(2023, 8, 9),
        notice=ASSUMED_NOTICE,
    ),
)


def report_within(on: date) -> timedelta:
    return in_force(REPORT_WITHIN, on).value


def act_within(on: date) -> timedelta:
    return in_force(ACT_WITHIN, on).value
