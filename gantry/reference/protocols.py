"""Scan protocols as graphs of steps. Minutes are defaults that each site's own protocol replaces.

Uptake windows come from the tracers' table. Those of heart, dynamic and two-time-point scans are recalled until a
physicist confirms them.
"""

from dataclasses import replace

from gantry.domain.scan import Act, Protocol, ProtocolStep, Window
from gantry.reference.dated import LIBRARY_FROM, Fact
from gantry.reference.schemes import BEDS
from gantry.reference.tracers import TRACERS, Tracer, tracer

VERSION = "2026.1"
STEP_TIMES = "Day workflow defaults, set by each site"
SHORT_UPTAKE_MIN = 20
"""Below this there is no time to leave the scanner, so nobody is asked to empty their bladder in between."""

_IDENTIFY = ProtocolStep("identify", Act.IDENTIFY, "Identity check", minutes=3)
_ENQUIRE = ProtocolStep("enquire", Act.ENQUIRE, "Pregnancy enquiry", ("identify",), minutes=2)
_WEIGH = ProtocolStep("weigh", Act.WEIGH, "Weight", ("identify",), minutes=2)
_GLUCOSE = ProtocolStep("glucose", Act.GLUCOSE, "Glucose", ("identify",), minutes=3)
_VOID = ProtocolStep("void", Act.VOID, "Bladder emptied", ("inject",), minutes=5)


def _before(*, fasted: bool) -> tuple[ProtocolStep, ...]:
    checks = (_ENQUIRE, _WEIGH, _GLUCOSE) if fasted else (_ENQUIRE, _WEIGH)
    cannula = ProtocolStep("cannula", Act.PREPARE, "Cannula", tuple(step.key for step in checks), minutes=12)
    return (_IDENTIFY, *checks, cannula)


def _inject(key: str, label: str, given: str, *after: str, minutes: int = 5) -> ProtocolStep:
    return ProtocolStep(key, Act.INJECT, label, after or ("cannula",), minutes=minutes, tracer=given)


def _scan(key: str, label: str, minutes: int, *after: str, window: Window | None = None) -> ProtocolStep:
    return ProtocolStep(key, Act.ACQUIRE, label, after, minutes=minutes, window=window)


def _check(*after: str) -> ProtocolStep:
    return ProtocolStep("check", Act.CHECK_IMAGES, "Images check", after, minutes=5)


def _uptake(of: Tracer, since: str = "inject") -> Window:
    return Window(since, of.uptake_min, of.uptake_from_min, of.uptake_to_min)


def _single(code: str, of: Tracer) -> Protocol:
    """One injection, a rest, an empty bladder, one scan."""
    moved = of.uptake_min >= SHORT_UPTAKE_MIN
    return Protocol(
        code,
        VERSION,
        of.name,
        (
            *_before(fasted=of.fasting),
            _inject("inject", "Injection", of.code),
            *((_VOID,) if moved else ()),
            _scan("scan", "Scan", of.scan_min, "void" if moved else "inject", window=_uptake(of)),
            _check("scan"),
        ),
    )


def _single_code(of: Tracer) -> str:
    return "fdg_body" if of.code == "FDG" else of.code.lower().replace("-", "_")


_FDG, _AMMONIA = tracer("FDG"), tracer("N13-NH3")

_DYNAMIC = Protocol(
    "fdg_dynamic",
    VERSION,
    "F-18 FDG, dynamic",
    (
        *_before(fasted=True),
        _scan("scan", "Dynamic scan", 60, "cannula"),
        replace(_inject("inject", "Injection on the scanner", "FDG", minutes=1), once_begun=("scan",)),
        _check("scan", "inject"),
    ),
)
_TWO_TIME_POINTS = Protocol(
    "fdg_two_time_points",
    VERSION,
    "F-18 FDG, early and late",
    (
        *_before(fasted=True),
        _inject("inject", "Injection", "FDG"),
        _VOID,
        _scan("scan_early", "Early scan", _FDG.scan_min, "void", window=_uptake(_FDG)),
        _scan("scan_late", "Late scan", 15, "scan_early", window=Window("inject", 120, 110, 130)),
        _check("scan_early", "scan_late"),
    ),
)
_REST_STRESS = Protocol(
    "ammonia_rest_stress",
    VERSION,
    "N-13 ammonia, rest then stress",
    (
        *_before(fasted=False),
        _inject("inject_rest", "Injection at rest", "N13-NH3", minutes=1),
        _scan("scan_rest", "Rest scan", 15, "inject_rest", window=_uptake(_AMMONIA, "inject_rest")),
        replace(
            _inject("inject_stress", "Injection under stress", "N13-NH3", "scan_rest", minutes=1),
            window=Window("inject_rest", 50, 45, 120),
        ),
        _scan("scan_stress", "Stress scan", 15, "inject_stress", window=_uptake(_AMMONIA, "inject_stress")),
        _check("scan_rest", "scan_stress"),
    ),
)
_TWO_TRACERS = Protocol(
    "ammonia_fdg",
    VERSION,
    "Heart: N-13 ammonia for flow, then F-18 FDG for viability",
    (
        *_before(fasted=True),
        _inject("inject_flow", "Ammonia injection", "N13-NH3", minutes=1),
        _scan("scan_flow", "Flow scan", 15, "inject_flow", window=_uptake(_AMMONIA, "inject_flow")),
        _inject("inject_fdg", "FDG injection", "FDG", "scan_flow"),
        _scan("scan_fdg", "Viability scan", 20, "inject_fdg", window=Window("inject_fdg", 60, 45, 90)),
        _check("scan_flow", "scan_fdg"),
    ),
)

PROTOCOLS: dict[str, Fact[Protocol]] = {
    **{
        _single_code(fact.value): Fact(
            _single(_single_code(fact.value), fact.value), "", STEP_TIMES, LIBRARY_FROM, fact.recalled
        )
        for fact in TRACERS.values()
    },
    **{
        protocol.code: Fact(protocol, "", STEP_TIMES, LIBRARY_FROM, recalled=True)
        for protocol in (_DYNAMIC, _TWO_TIME_POINTS, _REST_STRESS, _TWO_TRACERS)
    },
}


def protocol(code: str) -> Protocol:
    """Raises KeyError for a protocol that is not in the table."""
    return PROTOCOLS[code].value


def timed(graph: Protocol, minutes_per_bed: float | None) -> Protocol:
    """The same graph with its scan as long as the minutes per bed make it; unchanged where no bed count is known."""
    beds = BEDS.get(graph.code)
    if beds is None or not minutes_per_bed:
        return graph
    minutes = beds.value.scan_min(minutes_per_bed)
    steps = tuple(replace(s, minutes=minutes) if s.act is Act.ACQUIRE else s for s in graph.steps)
    return replace(graph, steps=steps)


def usual_for(tracer_code: str) -> str:
    """The protocol that a tracer usually has: what vetting proposes. Raises KeyError."""
    return _single_code(tracer(tracer_code))


def product_of(tracer_code: str) -> str:
    """The product in the vial: FDG for the body, the brain and the heart is one product."""
    wanted = TRACERS.get(tracer_code)
    if wanted is None or not wanted.value.agent_code:
        return tracer_code
    return next(
        code
        for code, fact in TRACERS.items()
        if (fact.value.agent_code, fact.value.agent_scheme) == (wanted.value.agent_code, wanted.value.agent_scheme)
    )
