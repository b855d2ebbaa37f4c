"""Who can be scanned in time by whom, and what an authorisation still covers."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from gantry.domain.injecting import Given, ScannerNow, able, in_all, why_no_scan, why_not_again, why_not_inject
from gantry.domain.scan import Waiting

T = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
EIGHT = ((T - timedelta(hours=1), T + timedelta(hours=8)),)


def at(minutes: float) -> datetime:
    return T + timedelta(minutes=minutes)


def waits(least: float, most: float, length: float = 20) -> Waiting:
    return Waiting(at(least), at(most), timedelta(minutes=length))


ONE = ScannerNow("Scanner 1", None, T, hours=EIGHT)
MINE = [waits(55, 75)]


def test_one_scanner_takes_those_whose_windows_close_first() -> None:
    owed = (waits(75, 95), waits(95, 115))
    assert why_no_scan(replace(ONE, owed=owed), MINE) is None
    assert why_no_scan(replace(ONE, owed=owed, free_from=at(75)), MINE) is None
    assert why_no_scan(replace(ONE, owed=owed, free_from=at(76)), MINE)
    assert why_no_scan(replace(ONE, owed=(waits(55, 75), waits(56, 76))), MINE) == (
        "Scanner 1 cannot scan this person inside the window beside 2 others already injected"
    )


def test_a_scanner_runs_until_its_hours_end_and_finishes_what_it_began() -> None:
    def until(minutes: float) -> ScannerNow:
        return replace(ONE, hours=((T, at(minutes)),))

    assert why_no_scan(until(56), MINE) is None
    assert why_no_scan(until(55), MINE) == "Scanner 1 is not running inside the window"
    assert why_no_scan(replace(ONE, hours=()), MINE)
    assert why_no_scan(replace(ONE, hours=None), MINE) is None
    split = replace(ONE, hours=((T, at(30)), (at(70), at(200))))
    assert why_no_scan(split, MINE) is None
    assert why_no_scan(split, [waits(40, 65)])


def test_a_named_fallback_helps_only_if_it_can() -> None:
    broken, sister = replace(ONE, unfit="Scanner 1 is out of use"), replace(ONE, name="Scanner 2")
    assert why_not_inject(ONE, MINE) == []
    assert why_not_inject(broken, MINE) == ["Scanner 1 is out of use"]
    assert why_not_inject(broken, MINE, sisters=[sister]) == [
        "Scanner 1 is out of use. Scanner 2 could take this person: name it as the fallback"
    ]
    assert why_not_inject(broken, MINE, named=sister) == []
    late = replace(sister, free_from=at(90))
    assert why_not_inject(broken, MINE, named=late)[1].startswith("The fallback does not help: Scanner 2")
    assert able([broken, sister, late], MINE) == ["Scanner 2"]


def test_an_authorisation_is_used_up_by_an_injection_on_another_day() -> None:
    had = Given(at(0), 250, 4.75, "inject", "v1")
    assert why_not_again([], step="inject", visit="v2", authorised_at=at(-60)) is None
    assert why_not_again([had], step="inject", visit="v1", authorised_at=at(-60)) is None
    assert why_not_again([had], step="inject_stress", visit="v2", authorised_at=at(-60)) is None
    assert why_not_again([had], step="inject", visit="v2", authorised_at=at(60)) is None
    assert why_not_again([had], step="inject", visit="v2", authorised_at=at(-60)) == (
        "The authorisation was used for 250 MBq: a new injection needs its own"
    )


def test_the_sum_is_said_before_another_injection_and_not_before_the_first() -> None:
    had = [Given(at(0), 250, 4.75, "inject", "v1"), Given(at(90), 100, 1.9, "inject", "v2")]
    assert in_all([], mbq=250, msv=4.75) == ""
    assert in_all(had, mbq=250, msv=4.75).endswith("With 250 MBq more it is 600 MBq, 11.4 mSv in all")
