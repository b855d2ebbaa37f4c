"""What an order costs, and when a run may be opened or an order cancelled."""

from datetime import UTC, datetime, timedelta

import pytest

from gantry.domain.ordering import Payer, Tariff, why_not_cancelled, why_not_opened

T = datetime(2026, 11, 23, 16, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_only_the_first_order_of_a_run_pays_for_its_coming():
    tariff = Tariff(25_000, 4_000)
    assert tariff.of(7_500) == 25_000 + 30_000
    assert tariff.of(500, first=False) == 2_000
    with pytest.raises(ValueError, match="below 0"):
        Tariff(-1)


@pytest.mark.parametrize(
    ("over", "words"),
    [
        ({}, []),
        ({"now": T}, ["cut-off has passed"]),
        ({"cut_off_at": T + 20 * HOUR}, ["before the run is due"]),
        ({"reference_at": T + 50 * HOUR}, ["more than a day"]),
        ({"capacity_mbq": 0}, ["more than 0"]),
    ],
)
def test_a_run_is_opened_when_its_times_can_be(over, words):
    usual = {"now": T - HOUR, "cut_off_at": T, "reference_at": T + 15 * HOUR, "due_at": T + 15 * HOUR}
    said = list(why_not_opened(**{**usual, "capacity_mbq": 9000.0, **over}))
    assert len(said) == len(words) and all(word in reason for word, reason in zip(words, said, strict=True))


@pytest.mark.parametrize(
    ("over", "words"),
    [
        ({}, []),
        ({"reason": " "}, ["why"]),
        ({"payer": Payer.PROVIDER}, ["nobody pays"]),
        ({"left_without": 3}, []),
        ({"now": T + HOUR}, ["say who pays"]),
        ({"now": T + HOUR, "payer": Payer.PROVIDER}, []),
        ({"now": T + HOUR, "payer": Payer.SUPPLIER}, ["agreed to bear"]),
        ({"now": T + HOUR, "payer": Payer.SUPPLIER, "agreed": "Duty desk, 16:40"}, []),
        ({"now": T + HOUR, "payer": Payer.PROVIDER, "left_without": 1}, ["1 person has activity"]),
        ({"now": T + HOUR, "left_without": 2}, ["say who pays", "2 people have activity"]),
    ],
)
def test_a_cancelled_order_costs_nothing_until_the_cut_off_and_somebody_after_it(over, words):
    usual = {"now": T, "cut_off_at": T, "reason": "The scanner is down", "payer": Payer.NOBODY, "agreed": ""}
    said = list(why_not_cancelled(**{**usual, "left_without": 0, **over}))
    assert len(said) == len(words) and all(word in reason for word, reason in zip(words, said, strict=True))
