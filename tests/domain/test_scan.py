"""Protocols as graphs: what is due, what came too early, where a person is, and what an appointment needs."""

from datetime import UTC, date, datetime, timedelta

import pytest

from gantry.domain.lifecycle import IllegalMove, advance
from gantry.domain.scan import (
    PERFORMED_STEP,
    VISIT,
    Act,
    Done,
    DueWindow,
    InjectionFacts,
    Phase,
    Protocol,
    ProtocolStep,
    Stage,
    StepEvent,
    StepState,
    VisitEvent,
    VisitState,
    Window,
    age_in_years,
    breaches,
    due,
    out_of_order,
    outside_window,
    planned_minutes,
    pregnancy_enquiry_applies,
    shape,
    stage,
    why_not_injected,
    window,
)
from gantry.reference.protocols import PROTOCOLS, product_of, protocol, usual_for
from gantry.reference.tracers import TRACERS

T = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return T + timedelta(minutes=minutes)


def done(**minutes: float) -> dict[str, Done]:
    """`scan_began=62` has only begun; `scan=82` is done."""
    return {
        key.removesuffix("_began"): Done(at(m)) if key.endswith("_began") else Done(None, at(m))
        for key, m in minutes.items()
    }


def keys(steps) -> list[str]:
    return [step.key for step in steps]


def test_every_protocol_can_be_walked_from_the_door_to_the_last_step_in_any_allowed_order():
    for fact in PROTOCOLS.values():
        for pick in (0, -1):
            progress: dict[str, Done] = {}
            while waiting := due(fact.value, progress):
                step = waiting[pick]
                progress[step.key] = Done(T, T) if step.has_start else Done(None, T)
            assert set(progress) == set(keys(fact.value.steps)), fact.value.code


def test_a_step_before_its_time_names_what_should_have_come_first():
    fdg = protocol("fdg_body")
    assert keys(due(fdg, {})) == ["identify"]
    assert out_of_order(fdg, "inject", done(identify=1)) == ("Cannula",)
    assert breaches(fdg, "scan", Phase.START, {}, T) == ["Bladder emptied was not recorded first"]


def test_a_dynamic_scan_injects_while_it_runs_and_not_before():
    dynamic = protocol("fdg_dynamic")
    ready = done(identify=1, enquire=2, weigh=3, glucose=4, cannula=10)
    assert keys(due(dynamic, ready)) == ["scan"]
    assert out_of_order(dynamic, "inject", ready) == ("Dynamic scan",)
    running = ready | done(scan_began=12)
    assert keys(due(dynamic, running)) == ["scan", "inject"]
    assert stage(dynamic, VisitState.PRESENT, running) is Stage.SCANNING
    assert shape(dynamic).uptake_min == 0 and shape(dynamic).scan_min == 60


def test_two_time_points_count_both_scans_from_the_one_injection():
    graph = protocol("fdg_two_time_points")
    progress = done(inject=20, void=75, scan_early=100)
    late = window(graph, "scan_late", progress)
    assert late == DueWindow(at(140), at(130), at(150))
    assert outside_window(graph, "scan_late", progress, at(140)) is None
    assert "90 minutes after injection; 110 to 130" in outside_window(graph, "scan_late", progress, at(110))
    assert stage(graph, VisitState.PRESENT, progress) is Stage.UPTAKE
    assert shape(graph).scan_min == 75


def test_rest_and_stress_are_two_injections_and_two_scans_with_preparation_between():
    graph = protocol("ammonia_rest_stress")
    assert len(graph.of(Act.INJECT)) == len(graph.of(Act.ACQUIRE)) == 2
    rest = done(inject_rest=20, scan_rest=38)
    assert stage(graph, VisitState.PRESENT, rest) is Stage.PREPARING
    assert window(graph, "inject_stress", rest).planned == at(70)
    assert stage(graph, VisitState.PRESENT, rest | done(inject_stress=70)) is Stage.UPTAKE
    assert stage(graph, VisitState.PRESENT, rest | done(inject_stress=70, scan_stress=90)) is Stage.FINISHING


def test_two_tracers_are_two_products():
    graph = protocol("ammonia_fdg")
    assert [step.tracer for step in graph.of(Act.INJECT)] == ["N13-NH3", "FDG"]
    assert product_of("FDG-BRAIN") == product_of("FDG-CARDIAC") == "FDG"
    assert product_of("PSMA-1007") == "PSMA-1007" and product_of("unheard of") == "unheard of"


def test_a_person_goes_through_the_room_stage_by_stage():
    fdg = protocol("fdg_body").without(Act.ENQUIRE)
    here = VisitState.PRESENT
    assert stage(fdg, VisitState.EXPECTED, {}) is Stage.EXPECTED
    assert stage(fdg, here, done(identify=1)) is Stage.PREPARING
    assert stage(fdg, here, done(inject=20)) is Stage.UPTAKE
    assert stage(fdg, here, done(inject=20, void=75, scan_began=80)) is Stage.SCANNING
    assert stage(fdg, here, done(inject=20, scan=100)) is Stage.FINISHING
    assert stage(fdg, VisitState.LEFT, done(inject=20)) is Stage.LEFT
    assert stage(fdg, VisitState.NOT_SEEN, {}) is Stage.NOT_SEEN


def test_without_the_enquiry_what_came_after_it_comes_after_what_was_before():
    fdg = protocol("fdg_body").without(Act.ENQUIRE)
    assert "enquire" not in keys(fdg.steps)
    assert fdg.step("cannula").after == ("identify", "weigh", "glucose")


def test_the_uptake_window_has_closed_ends():
    fdg, progress = protocol("fdg_body"), done(inject=0, void=50)
    for minutes, ok in ((54.9, False), (55, True), (75, True), (75.1, False)):
        assert (outside_window(fdg, "scan", progress, at(minutes)) is None) is ok
    assert outside_window(fdg, "scan", {}, T) is None and outside_window(fdg, "void", progress, T) is None


def test_the_appointment_that_a_protocol_needs():
    plan = planned_minutes(protocol("fdg_body"))
    assert plan["scan"][0] - plan["inject"][0] == 60
    made = shape(protocol("fdg_body"))
    assert (made.preparation_min, made.uptake_min, made.scan_min) == (18, 60, 20)
    no_injection = Protocol("x", "1", "X", (ProtocolStep("scan", Act.ACQUIRE, "Scan", minutes=5),))
    assert (shape(no_injection).uptake_min, shape(no_injection).scan_min) == (0, 5)


def test_every_tracer_has_a_protocol_whose_window_is_the_tables():
    for code, fact in TRACERS.items():
        graph = protocol(usual_for(code))
        (scan,) = graph.of(Act.ACQUIRE)
        assert scan.window.planned == fact.value.uptake_min
        assert PROTOCOLS[graph.code].recalled == fact.recalled


@pytest.mark.parametrize(
    "steps",
    [
        (ProtocolStep("a", Act.VOID, "A"), ProtocolStep("a", Act.VOID, "A")),
        (ProtocolStep("a", Act.VOID, "A", after=("b",)), ProtocolStep("b", Act.VOID, "B")),
        (ProtocolStep("a", Act.VOID, "A", window=Window("z", 1, 1, 1)),),
    ],
)
def test_a_graph_that_cannot_be_walked_is_not_built(steps):
    with pytest.raises(ValueError):
        Protocol("x", "1", "X", steps)


def test_a_window_out_of_order_is_not_built_and_an_unknown_step_is_a_key_error():
    with pytest.raises(ValueError):
        Window("a", 60, 70, 75)
    with pytest.raises(KeyError):
        protocol("fdg_body").step("nothing")


CLEAR = {
    "identity_checked": True,
    "pregnancy_enquiry_needed": True,
    "pregnancy_enquiry_made": True,
    "may_be_pregnant": False,
    "not_authorised": (),
    "not_usable": (),
    "not_matched": (),
    "out_of_tolerance": None,
    "no_scanner": (),
}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, None),
        ({"identity_checked": False}, "Identity"),
        ({"pregnancy_enquiry_made": False}, "enquiry has not been made"),
        ({"may_be_pregnant": True}, "may be pregnant"),
        ({"not_authorised": ("No licence",)}, "No licence"),
        ({"glucose": "Glucose 12.9 mmol/L"}, "Glucose"),
        ({"not_usable": ("Expired",)}, "Expired"),
        ({"not_matched": ("Another's",)}, "Another's"),
        ({"out_of_tolerance": "20 % over"}, "20 % over"),
        ({"no_scanner": ("No test today",)}, "No test today"),
        ({"not_yet": ("Cannula",)}, "Cannula has not been recorded"),
    ],
)
def test_each_gate_stops_alone(change, words):
    reasons = list(why_not_injected(InjectionFacts(**(CLEAR | change))))
    assert (len(reasons) == 1 and words in reasons[0]) if words else reasons == []


@pytest.mark.parametrize(
    ("sex", "organs", "age", "asked"),
    [
        ("female", "", 30, True),
        ("", "", 30, True),
        ("male", "", 30, False),
        ("female", "no", 30, False),
        ("female", "", 11, False),
        ("female", "", 12, True),
        ("female", "", 55, True),
        ("female", "", 56, False),
    ],
)
def test_who_is_asked_about_pregnancy(sex, organs, age, asked):
    assert pregnancy_enquiry_applies(sex, organs, age, from_age=12, to_age=55) is asked


def test_age_turns_on_the_birthday():
    assert age_in_years(date(2000, 6, 2), date(2026, 6, 1)) == 25
    assert age_in_years(date(2000, 6, 2), date(2026, 6, 2)) == 26


@pytest.mark.parametrize("state", VisitState)
@pytest.mark.parametrize("event", VisitEvent)
def test_presence_moves_only_as_the_table_says(state, event):
    if (state, event) in VISIT:
        assert advance(VISIT, state, event) is VISIT[state, event]
    else:
        with pytest.raises(IllegalMove):
            advance(VISIT, state, event)


@pytest.mark.parametrize("state", StepState)
@pytest.mark.parametrize("event", StepEvent)
def test_a_performed_step_ends_once(state, event):
    """DICOM PS3.4 F.7.2: completed and discontinued are final."""
    assert ((state, event) in PERFORMED_STEP) is (state is StepState.IN_PROGRESS)
