"""Decides what OBX segments of an order answer: measured facts by LOINC or SNOMED CT, data set items by our own codes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, tzinfo

from gantry.domain.referral.data_set import ITEM
from gantry.domain.referral.items import Kind

from .message import Segment
from .refusals import Fault, Refusal, gap
from .values import read_date, read_number, read_time

ITEM_SYSTEM = "99GANTRY"
"""OBX-3.3 under which OBX-3.1 is the name of a data set item: an order can carry the whole data set."""

WEIGHT = frozenset({"29463-7", "3141-9", "3142-7", "8341-0", "27113001", "body weight", "weight"})
HEIGHT = frozenset({"8302-2", "3137-7", "3138-5", "50373000", "1153637007", "body height", "height"})
STATED_WEIGHT = frozenset({"3142-7"})
EGFR = frozenset({"33914-3", "62238-1", "98979-8", "80274003", "1020291000000106", "egfr"})
PREGNANCY = frozenset({"82810-3", "11449-6", "pregnancy status"})
"""LOINC, SNOMED CT, and the words that senders without codes write in OBX-3.2."""

PREGNANT = {
    "Y": "Y", "YES": "Y", "77386006": "Y", "LA15173-0": "Y", "PREGNANT": "Y",
    "N": "N", "NO": "N", "60001007": "N", "LA26683-5": "N", "NOT PREGNANT": "N",
    "Z": "Z", "U": "Z", "UNK": "Z", "LA4489-6": "Z", "UNKNOWN": "Z",
}  # fmt: skip

KILOGRAMS = {"kg": 1.0, "kgs": 1.0, "g": 0.001, "lb": 0.45359237, "lbs": 0.45359237, "[lb_av]": 0.45359237}
CENTIMETRES = {"cm": 1.0, "m": 100.0, "mm": 0.1, "in": 2.54, "[in_i]": 2.54, "[in_us]": 2.54}
"""UCUM and plain abbreviations; the pound and the inch are exact by definition."""


@dataclass(frozen=True, slots=True)
class Observed:
    weight_kg: float | None = None
    weight_date: date | None = None
    weight_measured: bool | None = None
    height_cm: float | None = None
    egfr: float | None = None
    egfr_date: date | None = None
    pregnancy_status: str = ""
    items: tuple[tuple[str, object, str], ...] = ()
    """Data set items answered by name: name, value, location."""


NOTHING_OBSERVED = Observed()


def read_observations(segments: Iterable[Segment], zone: tzinfo) -> tuple[Observed, tuple[Refusal, ...]]:
    """The last value of each fact wins, as results are sent in order; a value that cannot be read is a gap."""
    found: dict[str, object] = {}
    items: list[tuple[str, object, str]] = []
    findings: list[Refusal] = []
    for obx in segments:
        if obx.component(11).upper() in ("D", "W", "X", "N"):
            continue  # deleted, wrong patient, not obtained, not asked
        codes = {obx.component(3, 1), obx.component(3, 4), obx.component(3, 2).lower()} - {""}
        taken = obx.component(14)
        if obx.component(3, 3).upper() == ITEM_SYSTEM:
            read_item(obx, items, findings, zone)
        elif codes & WEIGHT:
            if (weight := measured(obx, KILOGRAMS, "kg", findings)) is not None:
                found |= {
                    "weight_kg": round(weight, 3),
                    "weight_date": read_date(taken),
                    "weight_measured": not codes & STATED_WEIGHT if obx.component(3, 1) else None,
                }
        elif codes & HEIGHT:
            if (height := measured(obx, CENTIMETRES, "cm", findings)) is not None:
                found["height_cm"] = round(height, 2)
        elif codes & EGFR:
            if (egfr := measured(obx, {}, "", findings)) is not None:
                found |= {"egfr": egfr, "egfr_date": read_date(taken)}
        elif codes & PREGNANCY:
            read_pregnancy(obx, found, findings)
    return Observed(**found, items=tuple(items)), tuple(findings)  # type: ignore[arg-type]


def measured(obx: Segment, factors: Mapping[str, float], unit: str, findings: list[Refusal]) -> float | None:
    """OBX-5 in `unit`. A number without a unit, or in one we cannot turn, is asked for: never assumed."""
    number = read_number(obx.component(5))
    if number is None:
        findings.append(gap(obx.location(5), "OBX-5 is not a number", Fault.DATA_TYPE))
        return None
    if not factors:
        return number
    factor = factors.get(obx.component(6).lower())
    if factor is None:
        text = f"OBX-6 must be a unit that turns into {unit}"
        findings.append(gap(obx.location(6), text, Fault.TABLE_VALUE_NOT_FOUND))
        return None
    return number * factor


def read_pregnancy(obx: Segment, found: dict[str, object], findings: list[Refusal]) -> None:
    status = PREGNANT.get(obx.component(5).upper()) or PREGNANT.get(obx.component(5, 2).upper())
    if status:
        found["pregnancy_status"] = status
    else:
        findings.append(gap(obx.location(5), "OBX-5 is not a pregnancy status", Fault.TABLE_VALUE_NOT_FOUND))


def read_item(obx: Segment, items: list[tuple[str, object, str]], findings: list[Refusal], zone: tzinfo) -> None:
    """One data set item under its own name. Repetitions are several values, rows have a component per column.

    Choices are left as text: which there are is for the data set to say, and it reads every door's text alike.
    """
    item = ITEM.get(obx.component(3, 1))
    if item is None or item.kind is Kind.DERIVED or item.filled_here:
        text = f"OBX-3.1 is not an item of the data set ({ITEM_SYSTEM})"
        findings.append(gap(obx.location(3), text, Fault.TABLE_VALUE_NOT_FOUND))
        return
    values: list[object] = []
    for place, rep in enumerate(obx.repetitions(5), start=1):
        if item.kind is Kind.ROWS and obx.plain(rep).lower() not in ("", "none"):
            columns = enumerate(item.columns, start=1)
            values.append({column.name: obx.part(rep, part) for part, column in columns if obx.part(rep, part)})
            continue
        value = typed(obx.component(2).upper(), obx.part(rep, 1), zone)
        if value is None and obx.part(rep, 1):
            text = f"OBX-5 is not of the type {obx.component(2)[:3]} that OBX-2 gives"
            findings.append(gap(obx.location(5, place), text, Fault.DATA_TYPE))
            return
        values.append(value)
    if item.kind in (Kind.ROWS, Kind.CHOICES, Kind.CODES):
        said_none = all(str(value).lower() in ("none", "") for value in values)
        items.append((item.name, "none" if said_none else tuple(values), obx.location(5)))
    elif item.kind is Kind.LONG_TEXT:
        items.append((item.name, "\n".join(obx.plain(rep) for rep in obx.repetitions(5)), obx.location(5)))
    elif values and values[0] is not None:
        items.append((item.name, values[0], obx.location(5)))


def typed(kind: str, text: str, zone: tzinfo) -> object:
    """OBX-2 says how numbers and times are written in OBX-5; everything else stays text. None: not of that type."""
    match kind:
        case "NM":
            return read_number(text)
        case "DT":
            return read_date(text)
        case "TS" | "DTM":
            return read_time(text, zone)
        case _:
            return text or None
