"""The script of people and acts: the same seed gives the same weeks, and every rare thing is there."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from gantry.domain.identifiers import valid_nhs_number
from gantry.domain.network import script as module
from gantry.domain.network.people import MARK, Hospital, Kind
from gantry.domain.network.script import Course, Script, Upset, script
from gantry.domain.network.streams import stream
from gantry.domain.referral import Severity, findings
from gantry.reference.context import referral_context
from gantry.reference.network import KINDS, PRACTICE, REFERRERS

START = datetime(2026, 10, 12, tzinfo=ZoneInfo("Europe/London"))
HOSPITALS = (
    Hospital("RBV", "Dr Archer", "C7200001"),
    Hospital("REM", "Dr Barrow", "C7200002"),
    Hospital("RBS", "Dr Chandler", "C7200003", children_only=True),
)


def played(patients: int = 120, seed: int = 1, next_day: int | None = None) -> Script:
    return script(
        START,
        seed=seed,
        patients=patients,
        days=43,
        hospitals=HOSPITALS,
        outside=Hospital("RH8", "Dr Elsewhere", "C7299999"),
        practice=PRACTICE,
        failed_batch_day=40,
        breakdown_day=33,
        next_day=next_day,
    )


def test_the_same_seed_gives_the_same_weeks() -> None:
    assert played() == played()
    assert played().stories != played(seed=2).stories


def test_causes_do_not_share_a_stream() -> None:
    first = [stream(1, 0, "arrivals").random() for _ in range(2)]
    assert first[0] == first[1]
    assert stream(1, 0, "breakdowns").random() != first[0]
    assert stream(1, 1, "arrivals").random() != first[0]


def test_other_deliveries_leave_the_people_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    before = played()
    deliveries = [before.delivery(0, day, 0) for day in range(40)]
    monkeypatch.setattr(
        module, "stream", lambda seed, run, cause: stream(seed, run, f"{cause}!" if "delivery" in cause else cause)
    )
    after = played()
    assert before.stories == after.stories
    assert deliveries != [after.delivery(0, day, 0) for day in range(40)]


@pytest.mark.parametrize("patients", [8, 12, 300])
def test_every_rare_course_and_kind_is_there_however_few_people(patients: int) -> None:
    stories = played(patients).stories
    courses = {story.course for story in stories}
    assert {Course.PRIMARY_CARE, Course.OUTSIDE, Course.SILENT_REFERRER, Course.ON_HOLD, Course.SCANNED} <= courses
    assert {story.person.kind for story in stories} == set(Kind)


def test_rates_are_those_of_a_service() -> None:
    """DNA 1 to 3 %, on the day 3 to 6 %: recalled; the script stays near them, and most people are simply scanned."""
    upsets = Counter(story.upset for story in played(1500).stories)
    assert 0.82 < upsets[Upset.NONE] / 1500 < 0.95
    assert 0.01 < upsets[Upset.NOT_ATTENDED] / 1500 < 0.035


@pytest.mark.parametrize("patients", [24, 300])
def test_people_are_moved_for_causes_of_one_measure_alone(patients: int) -> None:
    """Staff who are away count in M2 and never in M1: the two measures of a demonstration are two numbers."""
    stories = [one for one in played(patients).stories if one.course is Course.SCANNED]
    assert {Upset.WE_MOVE, Upset.NOT_FASTED} <= {one.upset for one in stories}


def test_what_went_wrong_once_goes_well_the_next_time() -> None:
    upset = next(one for one in played(1500).stories if one.upset is Upset.HYPERGLYCAEMIA)
    again = upset.next_time()
    assert (again.upset, again.person) == (Upset.NONE, upset.person)
    assert again.day.glucose_mmol_per_l < 8 < upset.day.glucose_mmol_per_l


def test_most_of_what_is_left_over_is_gone_after() -> None:
    stories = played(1500).stories
    assert 0.85 < sum(one.chased for one in stories) / 1500 < 0.95
    unread = sum(one.after.read is None for one in stories) / 1500
    assert 0 < unread < 0.02


def test_exactly_one_batch_fails() -> None:
    made = played()
    failed = [
        (site, day, number)
        for site in range(5)
        for day in range(43)
        for number in range(3)
        if made.delivery(site, day, number).fails
    ]
    assert failed == [(0, 40, 0)]


def test_some_deliveries_are_late_and_all_stay_within_tolerance() -> None:
    made = played()
    deliveries = [made.delivery(site, day, 0) for site in range(5) for day in range(43)]
    assert any(one.late_min >= 25 for one in deliveries)
    assert all(0.9 < one.measured_ratio < 1.1 for one in deliveries)


def test_people_are_referred_on_weekdays_in_working_hours_and_more_often_lately() -> None:
    moments = [story.refers_at for story in played(900).stories]
    assert all(at.weekday() < 5 and 8 <= at.hour < 18 for at in moments)
    assert moments == sorted(moments)
    half = START + timedelta(days=21)
    assert sum(at >= half for at in moments) > sum(at < half for at in moments)


def test_nobody_could_be_taken_for_a_real_person() -> None:
    stories = played(300).stories
    assert all(story.person.family_name.startswith(MARK) for story in stories)
    numbers = [story.person.nhs_number for story in stories]
    assert all(number.startswith("999") and valid_nhs_number(number) for number in numbers)
    assert len(set(numbers)) == len(numbers)


def test_the_last_day_is_spread_over_the_hours_asked_for() -> None:
    made = played(300)
    last = (START + timedelta(days=42)).date()
    wanted = [
        story.wishes.minute_of_day
        for story in made.stories
        if story.asked_for and story.refers_at.date() + timedelta(days=story.wishes.in_days) == last
    ]
    assert len(wanted) == 26
    assert min(wanted) < 9 * 60
    assert max(wanted) > 16 * 60


def refused(story: module.Story) -> set[Severity]:
    on = story.refers_at.date()
    context = referral_context(
        on, organisations=KINDS, network=REFERRERS, entitled_referrers=frozenset({"7200001", "7200002", "7200003"})
    )
    answers = {**story.answers, "received_datetime": story.refers_at.astimezone(UTC)}
    return {one.severity for one in findings(answers, on=on, context=context)} - {Severity.WARN}


def test_referrals_are_complete_but_for_what_was_forgotten() -> None:
    """The rules that every door applies find nothing to ask, except where the script means them to."""
    wanted = {
        Course.PRIMARY_CARE: {Severity.REFUSE},
        Course.OUTSIDE: {Severity.REDIRECT},
        Course.SILENT_REFERRER: {Severity.QUERY},
    }
    for story in played(150).stories:
        found = refused(story)
        if expected := wanted.get(story.course):
            assert expected <= found, story.person.number
        else:
            assert found == ({Severity.QUERY} if story.missing else set()), (story.person.number, story.missing)


def test_what_was_forgotten_completes_the_referral() -> None:
    for story in played(300).stories:
        if story.course is Course.SCANNED and story.missing:
            whole = module.replace(story, answers={**story.answers, **story.forgotten})
            assert not refused(whole)


def test_the_script_does_no_work_of_its_own() -> None:
    """Told the time, no wall clock: the file has no call that asks what time it is."""
    source = Path(module.__file__).read_text()
    assert "now()" not in source
    assert "today()" not in source


def test_the_next_working_day_has_a_list_and_nobody_elses_story_changes() -> None:
    plain, full = played(300), played(300, next_day=43)
    on = (START + timedelta(days=43)).date()
    asked = [one for one in full.stories if (one.refers_at.date() + timedelta(days=one.wishes.in_days)) == on]
    assert sum(one.asked_for for one in asked) == 26
    assert len({int(one.wishes.site_rank * 10) for one in asked if one.asked_for}) >= 8, "over all sites"
    before = {one.person.number: one for one in plain.stories}
    assert all(one == before[one.person.number] or one in asked for one in full.stories)


def test_nobody_has_a_cancer_of_an_organ_they_are_not_asked_about() -> None:
    people = [one.person for one in played(600).stories]
    assert any(one.illness.female_only for one in people)
    assert not [one for one in people if one.illness.female_only and not one.female]
    assert not [one for one in people if one.illness.male_only and one.female]
