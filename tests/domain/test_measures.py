"""The plain reading of measures: what counts, what meets, and how long a wait was."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gantry.domain.events import Cause, CauseCode, EventKind, Initiator
from gantry.domain.measures import (
    Act,
    Correction,
    First,
    FirstDate,
    Pick,
    Share,
    Wait,
    corrected,
    quantile,
    share,
    unit_share,
    unit_wait,
    wait,
)
from gantry.reference.measures import measures_on

MONDAY = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
MEASURES = measures_on(MONDAY.date())
M1, M2 = MEASURES["M1"], MEASURES["M2"]
T1, T2 = MEASURES["T1"], MEASURES["T2"]
assert isinstance(M1, Share) and isinstance(M2, Share) and isinstance(T1, Wait) and isinstance(T2, Wait)


def act(n: int, kind: EventKind, hours: float = 0, *, code: CauseCode | None = None, by=Initiator.PROVIDER, **data):
    at = MONDAY + timedelta(hours=hours)
    return Act(UUID(int=n), kind, at, at, at.date(), Cause(code, by) if code else None, data)


def told(n: int = 1, hours: float = -72, on: str = "2026-03-02", nhs: bool = True) -> Act:
    return act(n, EventKind.PATIENT_TOLD, hours, **{"for": on, "nhs": nhs})


def ended(code: CauseCode, hours: float = -15, kind=EventKind.APPOINTMENT_CANCELLED, by=Initiator.PROVIDER) -> Act:
    return act(2, kind, hours, code=code, by=by)


def images(hours: float, acceptable: bool = True) -> Act:
    return act(3, EventKind.IMAGES_CHECKED, hours, acceptable=acceptable)


@pytest.mark.parametrize(
    ("acts", "met"),
    [
        ([told(), ended(CauseCode.BATCH_FAILED)], True),
        # Ringing the evening before does not take a patient out.
        ([told(), ended(CauseCode.BATCH_FAILED, hours=-14, kind=EventKind.APPOINTMENT_MOVED)], True),
        ([told(), ended(CauseCode.SCANNER_FAILED, hours=2, kind=EventKind.VISIT_ABANDONED)], True),
        # Another run the same day saved it.
        ([told(), ended(CauseCode.BATCH_FAILED, hours=0), images(7)], False),
        ([told(), ended(CauseCode.BATCH_FAILED, hours=0), images(7, acceptable=False)], True),
        ([told(), ended(CauseCode.BATCH_FAILED, hours=0), images(24)], True),
        ([told(), ended(CauseCode.STAFF_ABSENT)], False),
        ([told(), images(3)], False),
        # Ended before anybody was told: no promise was broken.
        ([told(hours=-10), ended(CauseCode.BATCH_FAILED, hours=-20)], False),
    ],
)
def test_m1_counts_what_the_isotope_or_the_equipment_lost(acts, met):
    assert unit_share(M1, acts) == (date(2026, 3, 2), met)


@pytest.mark.parametrize("acts", [[], [told(nhs=False)], [ended(CauseCode.BATCH_FAILED)]])
def test_only_nhs_scans_that_a_patient_was_told_are_counted(acts):
    assert unit_share(M1, acts) is None


def test_the_first_date_told_is_the_one_that_counts():
    again = told(n=9, hours=-10, on="2026-03-09")
    assert unit_share(M1, [again, told(), ended(CauseCode.BATCH_FAILED, kind=EventKind.APPOINTMENT_MOVED)]) == (
        date(2026, 3, 2),
        True,
    )


@pytest.mark.parametrize(
    ("acts", "met"),
    [
        ([told(), ended(CauseCode.STAFF_ABSENT)], True),
        ([told(), ended(CauseCode.LIST_OVERRUN, kind=EventKind.APPOINTMENT_MOVED)], True),
        ([told(), ended(CauseCode.FORM_INCOMPLETE, by=Initiator.REFERRER)], True),
        ([told(), ended(CauseCode.PATIENT_CANCELLED, by=Initiator.PATIENT)], False),
        ([told(), ended(CauseCode.STAFF_ABSENT, by=Initiator.PATIENT)], False),
        ([told(), ended(CauseCode.UNWELL)], False),
        (
            [told(), act(5, EventKind.DOSE_INJECTED, 1), ended(CauseCode.SCANNER_FAILED, 2, EventKind.VISIT_ABANDONED)],
            False,
        ),
        ([told(), act(5, EventKind.DOSE_INJECTED, 1), ended(CauseCode.STAFF_ABSENT, 2)], False),
    ],
)
def test_m2_counts_what_was_called_off_for_no_clinical_reason(acts, met):
    assert unit_share(M2, acts) == (date(2026, 3, 2), met)


def test_the_latest_correction_of_a_cause_is_the_one_read():
    wrong = ended(CauseCode.UNWELL)
    corrections = [
        Correction(wrong.id, Cause(CauseCode.BATCH_FAILED, Initiator.SUPPLIER), MONDAY + timedelta(days=2)),
        Correction(wrong.id, Cause(CauseCode.STAFF_ABSENT, Initiator.PROVIDER), MONDAY + timedelta(days=1)),
    ]
    assert unit_share(M1, corrected([told(), wrong], corrections)) == (date(2026, 3, 2), True)
    assert unit_share(M1, corrected([told(), wrong], [])) == (date(2026, 3, 2), False)


def test_shares_are_counted_between_two_days_both_included():
    units = [[told(on=f"2026-03-{day:02}"), ended(CauseCode.BATCH_FAILED)] for day in (1, 2, 3, 4)]
    result = share(M1, units, start=date(2026, 3, 2), end=date(2026, 3, 3))
    assert (result.met, result.counted, result.percent) == (2, 2, 100.0)
    assert share(M1, [], start=MONDAY.date(), end=MONDAY.date()).percent is None


def test_a_wait_runs_from_its_first_event_to_its_first_end():
    came, scanned = act(1, EventKind.REFERRAL_RECEIVED), act(2, EventKind.ACQUISITION_COMPLETED, 48)
    again = act(3, EventKind.ACQUISITION_COMPLETED, 96)
    assert unit_wait(T1, [again, scanned, came]) == (came.happened_at, scanned.happened_at)
    assert unit_wait(T1, [came]) == (came.happened_at, None)
    assert unit_wait(T1, [scanned]) is None
    assert unit_wait(T1, [came, act(4, EventKind.REFERRAL_REJECTED, 5)]) is None


def test_those_who_still_wait_are_shown_beside_those_who_finished():
    done = [act(1, EventKind.REFERRAL_RECEIVED), act(2, EventKind.ACQUISITION_COMPLETED, 48)]
    waiting = [act(3, EventKind.REFERRAL_RECEIVED, -240)]
    result = wait(T1, [done, waiting], start=date(2026, 3, 1), end=date(2026, 3, 31), now=MONDAY)
    assert (result.finished, result.waiting) == (1, 1)
    assert result.median == result.p90 == timedelta(hours=48)
    assert result.longest_waiting == timedelta(hours=240)
    empty = wait(T1, [], start=date(2026, 3, 1), end=date(2026, 3, 31), now=MONDAY)
    assert (empty.median, empty.longest_waiting) == (None, None)


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=40), st.floats(0, 1))
def test_a_quantile_lies_between_the_least_and_the_most(minutes, p):
    ordered = sorted(timedelta(minutes=m) for m in minutes)
    assert ordered[0] <= quantile(ordered, p) <= ordered[-1]


def test_a_first_date_without_its_event_is_no_date():
    assert FirstDate(Pick(frozenset({EventKind.PATIENT_TOLD})), "for").on([]) is None
    assert First(Pick(frozenset({EventKind.PATIENT_TOLD}))).at([]) is None
