"""What a failure leaves of a day, who may be moved, and what an option must say before anybody is shown it."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from gantry.cli.day_recover import said
from gantry.domain.scheduling.failures import (
    Circumstances,
    Failure,
    FailureKind,
    LengthenRule,
    OtherDay,
    Rules,
    Situation,
    Standing,
    TransferRule,
    left_of,
    protected,
    standing,
    without,
)
from gantry.domain.scheduling.problem import (
    Day,
    Delivery,
    Lock,
    Patient,
    Place,
    Plan,
    PlannedVisit,
    Scanner,
    Told,
    Tracer,
    Uptake,
    Window,
    why_not_visit,
)
from gantry.domain.scheduling.recovery import Need, NeedKind, Way, day_for, faults_of, option, ranked, ways

FDG = Tracer("FDG", 110.0)


def person(ref: str, arrives: int, **more: object) -> Patient:
    return Patient(
        ref, "FDG", 300.0, Uptake(60, 60, 75), scan_min=20, told=Told("A", arrives), **more  # type: ignore[arg-type]
    )  # fmt: skip


def visit(ref: str, injection: int, *, scanner: str = "S1", delivery: str = "D1", uptake: int = 60) -> PlannedVisit:
    return PlannedVisit(ref, scanner, delivery, injection, uptake)


def day(*patients: Patient) -> Day:
    return Day(
        datetime(2026, 11, 23, tzinfo=UTC),
        "Europe/London",
        (FDG,),
        (Place("A", Window(420, 1140), 6, 2, 2), Place("B", Window(420, 1140), 4)),
        (
            Scanner("S1", "A", (Window(480, 1080),)),
            Scanner("S2", "A", (Window(480, 1080),)),
            Scanner("T1", "B", (Window(480, 1080),)),
        ),
        (
            Delivery("D1", "A", "FDG", 450, 1000, 450, ordered_mbq=3_000),
            Delivery("D2", "A", "FDG", 660, 1100, 660, ordered_mbq=3_000),
        ),
        patients,
    )


def lost(*patients: Patient, visits: tuple[PlannedVisit, ...], known: int = 460, **more: object) -> Situation:
    failure = Failure(FailureKind.BATCH_LOST, "D1", known)
    return Situation(day(*patients), Plan(visits), failure, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("known", "where"),
    [
        (400, Standing.AT_HOME),
        (450, Standing.TRAVELLING),
        (475, Standing.HERE),
        (505, Standing.INJECTED),
        (565, Standing.SCANNING),
        (585, Standing.SCANNED),
    ],
)
def test_the_plan_and_the_minute_say_where_somebody_is(known: int, where: Standing) -> None:
    s = lost(
        person("P1", 470), visits=(visit("P1", 500),), known=known, circumstances={"P1": Circumstances(journey_min=30)}
    )
    assert standing(s, s.day.patient("P1")) is where


def test_a_lost_batch_keeps_what_is_in_people_and_gives_no_more() -> None:
    s = lost(person("P1", 420), person("P2", 500), visits=(visit("P1", 450), visit("P2", 530)), known=480)
    left = left_of(s)
    assert left.delivery("D1").ordered_mbq == pytest.approx(300.0)
    assert not list(why_not_visit(left, left.patient("P1"), visit("P1", 450)))
    assert list(why_not_visit(left, left.patient("P2"), visit("P2", 530)))


def test_hours_lost_are_cut_out_of_a_session() -> None:
    assert without((Window(480, 1080),), 600, 690) == (Window(480, 600), Window(690, 1080))
    assert without((Window(480, 600),), 480, 600) == ()


def test_a_scan_that_the_scanner_broke_off_is_not_a_scan() -> None:
    failure = Failure(FailureKind.SCANNER_DOWN, "S1", 570, 570)
    s = Situation(day(person("P1", 470)), Plan((visit("P1", 500),)), failure)
    assert standing(s, s.day.patient("P1")) is Standing.INJECTED
    sister = option(s, Way.WAIT, Plan((visit("P1", 500, scanner="S2", uptake=70),)))
    assert faults_of(s, sister) == []
    assert [(m.now_scanner, said(s.day, m)) for m in sister.moves] == [
        ("S2", "P1 (injected): 09:20 to S2 at 09:30 (+10 min)")
    ]
    abandoned = option(s, Way.WAIT, Plan((), left_out={"P1": "no scanner"}))
    assert any("could be scanned inside the window" in fault for fault in faults_of(s, abandoned))


def test_injected_and_not_scanned_is_always_an_incident_and_says_the_cumulative_dose() -> None:
    failure = Failure(FailureKind.SCANNER_DOWN, "S1", 640, 560)
    s = Situation(day(person("P1", 470)), Plan((visit("P1", 500),)), failure, {"P1": Circumstances(Standing.INJECTED)})
    made = option(s, Way.WAIT, Plan((), left_out={"P1": "the window has passed"}))
    assert [n.kind for n in made.needs] == [NeedKind.INCIDENT, NeedKind.INCIDENT]
    assert "600 MBq in all" in made.needs[1].words
    assert faults_of(s, made) == []
    assert any("no incident" in fault for fault in faults_of(s, replace(made, needs=())))


def test_the_cumulative_dose_is_what_was_recorded_as_given_and_another_prescription() -> None:
    failure = Failure(FailureKind.SCANNER_DOWN, "S1", 640, 560)
    about = {"P1": Circumstances(Standing.INJECTED, given_mbq=275.0, prescribed_mbq=271.0)}
    s = Situation(day(person("P1", 470)), Plan((visit("P1", 500),)), failure, about)
    made = option(s, Way.WAIT, Plan((), left_out={"P1": "the window has passed"}))
    assert "275 MBq was given, 546 MBq in all" in made.needs[1].words


def test_an_injected_person_may_be_taken_elsewhere_only_under_the_advisers_rule() -> None:
    failure = Failure(FailureKind.SCANNER_DOWN, "S1", 555, 550)
    one_scanner = replace(day(person("P1", 470)), scanners=tuple(s for s in day().scanners if s.ref != "S2"))
    s = Situation(one_scanner, Plan((visit("P1", 500),)), failure)
    assert {d.place for d in day_for(s, Way.WAIT).deliveries} == {"A"}
    s = replace(s, rules=Rules(transfer=TransferRule("the adviser", {("A", "B"): 15})))
    moved = option(s, Way.WAIT, Plan((visit("P1", 500, scanner="T1", delivery="in P1 to B", uptake=75),)))
    assert faults_of(s, moved) == []
    assert [n.kind for n in moved.needs] == [NeedKind.ADVISER]
    assert not moved.ready


def test_nobody_is_moved_for_nothing() -> None:
    s = lost(person("P1", 470), person("P2", 640), visits=(visit("P1", 500), visit("P2", 670, delivery="D2")))
    waits = option(s, Way.WAIT, Plan((visit("P1", 690, delivery="D2"), visit("P2", 670, delivery="D2"))))
    assert faults_of(s, waits) == []
    needless = option(s, Way.WAIT, Plan((visit("P1", 690, delivery="D2"), visit("P2", 720, delivery="D2"))))
    assert faults_of(s, needless) == ["P2 is moved for nothing: the time they were told still stands"]


def short(first: Patient, second: Patient, **more: object) -> Situation:
    """There is enough for one of the two."""
    failure = Failure(FailureKind.BATCH_SHORT, "D1", 400, mbq=450)
    made = day(first, second)
    made = replace(made, deliveries=made.deliveries[:1])
    return Situation(made, Plan((visit("P1", 500), visit("P2", 500, scanner="S2"))), failure, **more)  # type: ignore[arg-type]


def test_nobody_is_moved_twice_while_another_can_be() -> None:
    s = short(replace(person("P1", 470), told=Told("A", 470, moves_before=1)), person("P2", 470))
    again = option(s, Way.WAIT, Plan((visit("P2", 500, scanner="S2"),), left_out={"P1": "short"}))
    assert faults_of(s, again) == ["P1 is moved while P2 can be: P1 was moved before"]
    fair = option(s, Way.WAIT, Plan((visit("P1", 500),), left_out={"P2": "short"}))
    assert faults_of(s, fair) == []


def test_a_graver_need_outweighs_having_been_moved_before() -> None:
    s = short(replace(person("P1", 470), told=Told("A", 470, moves_before=1)), person("P2", 470, weight=4))
    assert faults_of(s, option(s, Way.WAIT, Plan((visit("P2", 500, scanner="S2"),), left_out={"P1": "short"}))) == []


def test_the_protected_and_those_in_the_car_park_are_called_off_last() -> None:
    about = {"P1": Circumstances(Standing.TRAVELLING, insulin=True), "P2": Circumstances(Standing.AT_HOME)}
    s = short(person("P1", 470), person("P2", 470), circumstances=about)
    off = option(s, Way.WAIT, Plan((visit("P2", 500, scanner="S2"),), left_out={"P1": "short"}))
    assert faults_of(s, off) == ["P1 is moved while P2 can be: P1 takes insulin and is fasting already"]
    s = replace(s, circumstances={"P1": Circumstances(Standing.HERE), "P2": Circumstances(Standing.AT_HOME)})
    off = option(s, Way.WAIT, Plan((visit("P2", 500, scanner="S2"),), left_out={"P1": "short"}))
    assert faults_of(s, off) == ["P1 is moved while P2 can be: P1 has set out"]


@pytest.mark.parametrize(
    ("standing_", "soonest"), [(Standing.AT_HOME, 400 + 30 + 70), (Standing.TRAVELLING, 470 + 70), (None, 470 + 70)]
)
def test_nobody_is_offered_a_place_that_they_cannot_reach(standing_: Standing | None, soonest: int) -> None:
    about = {"P1": Circumstances(standing_, journey_min=90, elsewhere={"B": 900}, travel_min={"B": 70})}
    s = replace(short(person("P1", 470), person("P2", 470)), circumstances=about)
    s = replace(
        s, day=replace(s.day, deliveries=(*s.day.deliveries, replace(s.day.deliveries[0], ref="D3", place="B")))
    )
    left = day_for(s, Way.OTHER_SITE)
    early, late = (visit("P1", soonest + 30 + shift, scanner="T1", delivery="D3") for shift in (-5, 0))
    assert list(why_not_visit(left, left.patient("P1"), early)) == ["P1 cannot come so early"]
    assert not list(why_not_visit(left, left.patient("P1"), late))


def test_the_title_says_what_the_option_does() -> None:
    s = lost(person("P1", 470), visits=(visit("P1", 500),))
    none = option(s, Way.WAIT, Plan((), left_out={"P1": "no tracer"}))
    assert none.title == "Nobody who is hit is scanned today: they go to another day"
    assert option(s, Way.WAIT, Plan((visit("P1", 690, delivery="D2"),))).title == "Wait for the next run"
    down = replace(s, failure=Failure(FailureKind.SCANNER_DOWN, "S1", 400, 400, 600))
    titles = {
        scanner: option(down, Way.WAIT, Plan((visit("P1", 690, scanner=scanner),))).title for scanner in ("S1", "S2")
    }
    assert titles == {"S1": "Use this scanner when it is back", "S2": "Use the other scanner"}
    short_ = replace(s, failure=Failure(FailureKind.BATCH_SHORT, "D1", 400, mbq=450))
    assert option(short_, Way.WAIT, Plan((visit("P1", 520),))).title == "Share out what there is"


def test_a_lock_holds_while_it_can_and_is_said_to_be_broken_when_it_cannot() -> None:
    lock = Lock("A", "S1", 500)
    s = short(person("P1", 470, lock=lock), person("P2", 470))
    kept = option(s, Way.WAIT, Plan((visit("P1", 500),), left_out={"P2": "short"}))
    assert (kept.day.patient("P1").lock, kept.locks_broken) == (lock, ())
    broken = option(s, Way.WAIT, Plan((visit("P2", 500, scanner="S2"),), left_out={"P1": "short"}))
    assert broken.locks_broken == ("P1",)
    assert ranked(s, [broken, kept]) == [kept]
    s = replace(s, failure=Failure(FailureKind.SCANNER_DOWN, "S1", 400, 400))
    moved = option(s, Way.WAIT, Plan((visit("P1", 500, scanner="S2"), visit("P2", 520, scanner="S2"))))
    assert (faults_of(s, moved), moved.locks_broken) == ([], ("P1",))


def test_a_decision_is_due_before_the_first_person_at_home_sets_out() -> None:
    about = {"P2": Circumstances(Standing.AT_HOME, journey_min=40)}
    s = short(person("P1", 470), person("P2", 470), circumstances=about)
    off = option(s, Way.WAIT, Plan((visit("P1", 500),), left_out={"P2": "short"}))
    assert off.decide_by_min == 470 - 40


def test_an_option_that_voids_an_authorisation_is_never_ready() -> None:
    at_b = Delivery("B1", "B", "FDG", 450, 1000, 450, ordered_mbq=3_000)
    about = {"P1": Circumstances(elsewhere={"B": 2_000}, authorised_places=frozenset({"A"}))}
    s = lost(person("P1", 560), visits=(visit("P1", 590),), known=400, circumstances=about)
    s = replace(s, day=replace(s.day, deliveries=(*s.day.deliveries, at_b)))
    away = option(s, Way.OTHER_SITE, Plan((visit("P1", 590, scanner="T1", delivery="B1"),)))
    assert faults_of(s, away) == []
    assert {n.kind for n in away.needs} == {NeedKind.PATIENT, NeedKind.PRACTITIONER}
    assert not away.ready
    silent = replace(away, needs=())
    assert any("nobody is asked" in fault for fault in faults_of(s, silent))


def test_less_activity_is_given_only_inside_an_approved_rule() -> None:
    s = lost(person("P1", 560), visits=(visit("P1", 590),), known=400)
    assert Way.LENGTHEN not in {way for way, _ in ways(s)}
    s = replace(s, rules=Rules((LengthenRule("Dr Example", "FDG", 0.8),)))
    assert [f for way, f in ways(s) if way is Way.LENGTHEN] == [0.9, 0.8]
    longer = day_for(s, Way.LENGTHEN, 0.8).patient("P1")
    assert longer.activity_mbq == pytest.approx(240.0)
    assert longer.scan_min == 25
    child = replace(s, circumstances={"P1": Circumstances(child=True)})
    assert day_for(child, Way.LENGTHEN, 0.8).patient("P1").scan_min == 20


def test_which_clock_suffers_is_said() -> None:
    other = OtherDay("Thursday 26 November, 09:20", within_limit=False)
    about = {"P1": Circumstances(clock="the 62-day pathway", other_day=other)}
    s = lost(person("P1", 470), visits=(visit("P1", 500),), circumstances=about)
    made = option(s, Way.WAIT, Plan((), left_out={"P1": "no tracer"}))
    assert made.clocks == (
        ("P1", "the 62-day pathway is broken: the first other time is Thursday 26 November, 09:20"),
    )  # fmt: skip


def test_the_limit_that_is_named_is_the_one_that_fails() -> None:
    other = OtherDay("Monday 23 November, 09:20", within_limit=False, limit="the date asked for, 22 November,")
    about = {"P1": Circumstances(clock="the pathway's breach on 6 December", other_day=other)}
    s = lost(person("P1", 470), visits=(visit("P1", 500),), circumstances=about)
    ((_, words),) = option(s, Way.WAIT, Plan((), left_out={"P1": "no tracer"})).clocks
    assert words.startswith("the date asked for, 22 November, is broken")


def test_a_day_that_allows_more_than_is_left_is_found_out() -> None:
    s = lost(person("P1", 470), visits=(visit("P1", 500),))
    made = option(s, Way.WAIT, Plan((), left_out={"P1": "no tracer"}))
    cheat = replace(made, day=s.day, plan=s.plan)
    assert "the option's day is not the day that is left" in faults_of(s, cheat)


@pytest.mark.parametrize(("known", "fasting"), [(60, False), (109, False), (110, True), (300, True)])
def test_whoever_takes_insulin_is_protected_at_home_from_the_hour_that_they_fast(known: int, fasting: bool) -> None:
    s = lost(
        person("P1", 470),
        visits=(visit("P1", 500),),
        known=known,
        circumstances={"P1": Circumstances(insulin=True, journey_min=30)},
        rules=Rules(fasting_before_min=360),
    )
    assert standing(s, s.day.patient("P1")) is Standing.AT_HOME
    assert bool(protected(s, s.day.patient("P1"))) is fasting


def test_a_day_that_names_no_fast_protects_only_who_has_set_out() -> None:
    s = lost(
        person("P1", 470), visits=(visit("P1", 500),), known=300, circumstances={"P1": Circumstances(insulin=True)}
    )
    assert protected(s, s.day.patient("P1")) == ""


def test_a_need_is_met_by_its_own_key_and_an_authorisation_by_none() -> None:
    patient, run = Need(NeedKind.PATIENT, "", "P1"), Need(NeedKind.SUPPLIER, "", ref="D1")
    assert (patient.key, run.key, Need(NeedKind.ADVISER, "", "P1").key) == ("P1", "supplier:D1", "adviser:P1")
    assert patient.can_be_met and run.can_be_met
    assert not Need(NeedKind.PRACTITIONER, "", "P1").can_be_met
