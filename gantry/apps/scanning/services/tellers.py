"""Who says what of one injection: the room, injectors, image headers, scanners' reports. Side by side, none averaged."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from gantry.apps.scanning.models import DoseRecord, Injection, InjectorReport
from gantry.domain.uptake import APART, Stated, disagreements
from gantry.reference.hot_lab import TELLERS_APART_PERCENT
from gantry.reference.tracers import tracer

SAID_BY = {"pet_header": "Image header", "rrdsr": "Scanner's dose report"}
DIFFER = {"activity_mbq": "activity", "injected_at": "time", "weight_kg": "weight", "half_life_s": "half-life"}
REPEATS, MEASURES = APART, APART | {"activity_mbq": TELLERS_APART_PERCENT.value}
"""An image header repeats what it was told; an injector has measured for itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Teller:
    """One source's word as it was said, and how far it is from the room's."""

    source: str
    tracer: str
    mbq: float | None
    at: datetime | None
    weight_kg: float | None = None
    verdict: str = ""
    differs: Sequence[str] = ()
    off_percent: float | None = None


def tellers(
    given: Sequence[Injection], records: Iterable[DoseRecord], reports: Iterable[InjectorReport]
) -> list[Teller]:  # fmt: skip
    """A source is held against the injection that it is nearest to in time."""
    room = [
        Stated("room", each.injected_at, each.dose.net_mbq or each.dose.drawn_mbq, weight_kg=each.visit.weight_kg)
        for each in given
    ]
    found = [
        Teller(
            source=f"The room ({each.by_name})",
            tracer=tracer(each.dose.tracer).name,
            mbq=said.activity_mbq,
            at=said.injected_at,
            weight_kg=said.weight_kg,
            verdict=written(each),
        )
        for each, said in zip(given, room, strict=True)
    ]
    records, reports = list(records), list(reports)
    gone = {uid for one in reports for uid in one.replaces}
    for one in reports:
        source = one.device.name if one.device else one.calling_ae_title
        said = Stated(source, one.injected_at, one.mbq)
        replaced = one.sop_instance_uid in gone
        found.append(judged(f"{source} (injector)", one.radiopharmaceutical, said, room, replaced, MEASURES))
    gone = {uid for one in records for uid in one.replaces}
    for one in records:
        said = Stated("images", one.injected_at, one.total_dose_mbq, one.half_life_s, one.weight_kg)
        source = f"{SAID_BY.get(one.source, one.source)}, series {one.series_uid[-12:]}"
        found.append(judged(source, one.radiopharmaceutical, said, room, one.report_uid in gone, REPEATS))
    return found


def judged(
    source: str, product: str, said: Stated, room: list[Stated], replaced: bool, apart: dict[str, float]
) -> Teller:  # fmt: skip
    ours = nearest(said, room)
    differs = [] if replaced or ours is None else disagreements([ours, said], apart_percent=apart)
    verdict = "Replaced by a later report" if replaced else "Agrees" if ours else "Nothing to compare with"
    off = (
        (said.activity_mbq / ours.activity_mbq - 1) * 100 if ours and ours.activity_mbq and said.activity_mbq else None
    )
    return Teller(
        source=source,
        tracer=product,
        mbq=said.activity_mbq,
        at=said.injected_at,
        weight_kg=said.weight_kg,
        verdict=verdict,
        differs=[DIFFER[each.what] for each in differs],
        off_percent=off,
    )


def nearest(said: Stated, room: list[Stated]) -> Stated | None:
    at = said.injected_at
    return min(
        room, key=lambda r: abs((r.injected_at - at).total_seconds()) if at and r.injected_at else 0.0, default=None
    )  # fmt: skip


def written(injection: Injection) -> str:
    """Our own report of it, by its number: the one that stands."""
    number = max((each.number for each in injection.reports.all()), default=0)
    if not number:
        return "Our dose report is not written yet"
    return "Our dose report is written" + (f", for the {ordinal(number)} time" if number > 1 else "")


def ordinal(number: int) -> str:
    return {2: "second", 3: "third"}.get(number, f"{number}th")
