"""A day and its plan as people exchange them: JSON objects in which every instant carries its offset.

The names are those of the dataclasses; an instant drops its `_min` (`earliest_min` is `earliest` on paper). A bad file is
refused whole, each fault at its JSON pointer.
"""

from collections.abc import Iterable, Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from datetime import UTC, datetime
from math import isfinite
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints
from zoneinfo import ZoneInfo, available_timezones

from gantry.domain.scheduling.certificate import Certificate, Prices, Takers
from gantry.domain.scheduling.problem import (
    Day,
    Delivery,
    Lock,
    Patient,
    Place,
    Plan,
    PlannedVisit,
    Told,
    Window,
)

VERSION = 1

INSTANTS: dict[type, frozenset[str]] = {
    Window: frozenset({"start", "end"}),
    Told: frozenset({"arrival_min"}),
    Lock: frozenset({"injection_min"}),
    Patient: frozenset({"earliest_min", "latest_min", "limit_min", "reach_min"}),
    Place: frozenset({"overtime_from_min"}),
    Delivery: frozenset({"arrives_min", "expires_min", "reference_min"}),
    PlannedVisit: frozenset({"injection_min"}),
}
"""Fields that count minutes from the origin: moments, not lengths of time."""


@dataclass(frozen=True, slots=True)
class Fault:
    pointer: str
    """RFC 6901; empty is the whole file."""
    message: str

    def __str__(self) -> str:
        return f"{self.pointer or '/'}: {self.message}"


@dataclass(frozen=True, slots=True)
class Refused:
    faults: tuple[Fault, ...]


def on_paper(owner: type, name: str) -> str:
    return name.removesuffix("_min") if name in INSTANTS.get(owner, ()) else name


def required(field: Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


# Writing


def write_day(day: Day) -> dict[str, object]:
    return {"version": VERSION, **written(day, day)}


def write_plan(day: Day, plan: Plan, certificate: Certificate | None = None) -> dict[str, object]:
    """The plan with its day, so that it can be explained by itself, and with its proof where there is one."""
    found: dict[str, object] = {
        "version": VERSION,
        "visits": [{**written(day, v), "scan": stamp(day, v.scan_min)} for v in plan.visits],
        "orders": dict(plan.orders),
        "left_out": dict(plan.left_out),
        "day": write_day(day),
    }
    if certificate is not None:
        found["certificate"] = {
            "weight": certificate.weight,
            "moves": certificate.moves,
            "prices": [prices_written(day, prices) for prices in certificate.prices],
        }
    return found


def stamp(day: Day, minute: int) -> str:
    return day.at(minute).astimezone(ZoneInfo(day.zone)).isoformat()


def written(day: Day, one: object) -> dict[str, object]:
    """A dataclass without what its defaults already say."""
    found: dict[str, object] = {}
    kind = type(one)
    for field in fields(one):  # type: ignore[arg-type]
        value = getattr(one, field.name)
        default = field.default_factory() if field.default_factory is not MISSING else field.default
        if not required(field) and value == default:
            continue
        instant = field.name in INSTANTS.get(kind, ())
        found[on_paper(kind, field.name)] = stamped(day, value) if instant else plain(day, value)
    return found


def stamped(day: Day, value: Any) -> object:
    """A moment, or a moment by place."""
    return {key: stamp(day, one) for key, one in value.items()} if isinstance(value, Mapping) else stamp(day, value)


def plain(day: Day, value: object) -> object:
    if is_dataclass(value):
        return written(day, value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, tuple):
        return [plain(day, each) for each in value]
    return value


def prices_written(day: Day, prices: Prices) -> dict[str, object]:
    return {
        "runs": sorted(prices.runs),
        "perhaps": sorted(prices.perhaps),
        "minute": [[resource, stamp(day, at), price] for (resource, at), price in sorted(prices.minute.items())],
        "value": prices.value,
        "move": prices.move,
        "mbq": dict(prices.mbq),
        "least": dict(prices.least),
        "share": [[patient, run, price] for (patient, run), price in sorted(prices.share.items())],
        "starts": [[who, stamp(day, w.start), stamp(day, w.end)] for who, w in sorted(prices.starts.items())],
        "scanned": sorted(prices.scanned),
        "left_out": sorted(prices.left_out),
        "draws": {who: sorted(some) for who, some in sorted(prices.draws.items())},
        "takers": {ref: {"least": n.least, "most": n.most} for ref, n in sorted(prices.takers.items())},
        "fewer": dict(prices.fewer),
        "more": dict(prices.more),
    }


# Reading


class Reader:
    """Reads by the dataclasses' own types, and keeps every fault it meets."""

    def __init__(self, origin: datetime | None) -> None:
        self.origin = origin
        self.faults: list[Fault] = []

    def wrong(self, pointer: str, message: str) -> None:
        self.faults.append(Fault(pointer, message))

    def one(self, kind: type, value: object, pointer: str, beside: frozenset[str] = frozenset()) -> Any:
        if not isinstance(value, dict):
            return self.wrong(pointer, "must be an object")
        hints, known, given = get_type_hints(kind), set(beside), {}
        before = len(self.faults)
        for field in fields(kind):
            name = on_paper(kind, field.name)
            known.add(name)
            if name not in value:
                if required(field):
                    self.wrong(pointer, f"lacks “{name}”")
                continue
            where = f"{pointer}/{escaped(name)}"
            if field.name in INSTANTS.get(kind, ()):
                given[field.name] = self.instant(value[name], where, hints[field.name])
            else:
                given[field.name] = self.of(hints[field.name], value[name], where)
        for name in sorted(set(value) - known):
            self.wrong(f"{pointer}/{escaped(name)}", "is not known here")
        if len(self.faults) > before:
            return None
        try:
            return kind(**given)
        except ValueError as refused:
            return self.wrong(pointer, str(refused))

    def of(self, hint: Any, value: object, pointer: str) -> Any:
        kind, inner = get_origin(hint), get_args(hint)
        if kind is UnionType:
            return None if value is None else self.of(inner[0], value, pointer)
        if kind is tuple:
            return tuple(self.of(inner[0], v, f"{pointer}/{n}") for n, v in self.items(value, pointer))
        if kind is frozenset:
            return frozenset(self.of(inner[0], v, f"{pointer}/{n}") for n, v in self.items(value, pointer))
        if kind is not None:
            return self.table(inner[1], value, pointer)
        if is_dataclass(hint) and isinstance(hint, type):
            return self.one(hint, value, pointer)
        if hint is datetime:
            return self.moment(value, pointer)
        right = isinstance(value, int | float) if hint is float else isinstance(value, hint)
        if not right or (isinstance(value, bool) and hint is not bool):
            return self.wrong(pointer, f"must be {NAMES[hint]}")
        if hint is float and not isfinite(value):  # type: ignore[arg-type]
            return self.wrong(pointer, "must be a finite number")
        return value

    def items(self, value: object, pointer: str) -> Iterable[tuple[int, object]]:
        if isinstance(value, list):
            return enumerate(value)
        self.wrong(pointer, "must be an array")
        return ()

    def table(self, hint: Any, value: object, pointer: str) -> Any:
        if not isinstance(value, dict):
            return self.wrong(pointer, "must be an object")
        return {key: self.of(hint, one, f"{pointer}/{escaped(key)}") for key, one in value.items()}

    def moment(self, value: object, pointer: str) -> datetime | None:
        try:
            found = datetime.fromisoformat(value) if isinstance(value, str) else None
        except ValueError:
            found = None
        if found is None or found.tzinfo is None:
            return self.wrong(pointer, "must be an ISO 8601 instant with its offset")  # type: ignore[func-returns-value]
        return found

    def instant(self, value: object, pointer: str, hint: Any) -> Any:
        """Minutes from the origin, or such minutes by place."""
        if value is None and get_origin(hint) is UnionType:
            return None
        if get_origin(hint) is Mapping:
            if not isinstance(value, dict):
                return self.wrong(pointer, "must be an object")
            return {key: self.instant(one, f"{pointer}/{escaped(key)}", int) for key, one in value.items()}
        found = self.moment(value, pointer)
        if found is None or self.origin is None:
            return None
        seconds = (found.astimezone(UTC) - self.origin.astimezone(UTC)).total_seconds()
        if seconds % 60:
            self.wrong(pointer, "must be on a whole minute from the origin")
        return round(seconds / 60)


NAMES = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}


def escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def read_day(data: object) -> Day | Refused:
    reader = Reader(None)
    if not isinstance(data, dict):
        return Refused((Fault("", "must be an object"),))
    if data.get("version") != VERSION:
        return Refused((Fault("/version", f"must be {VERSION}"),))
    if data.get("zone") not in available_timezones():
        return Refused((Fault("/zone", "must be a time zone of the IANA database"),))
    reader.origin = reader.moment(data.get("origin"), "/origin")
    if reader.origin is None:
        return Refused(tuple(reader.faults))
    day: Day | None = reader.one(Day, data, "", frozenset({"version"}))
    if day is None:
        return Refused(tuple(reader.faults))
    faults = tuple(loose_ends(day))
    return Refused(faults) if faults else day


def loose_ends(day: Day) -> Iterable[Fault]:
    """References to what the file does not hold."""
    tracers, places = {t.code for t in day.tracers}, {p.ref for p in day.places}
    scanners, deliveries = {s.ref for s in day.scanners}, {d.ref for d in day.deliveries}
    if day.grid_min <= 0:
        yield Fault("/grid_min", "must be above 0")
    for n, tracer in enumerate(day.tracers):
        if tracer.half_life_min <= 0:
            yield Fault(f"/tracers/{n}/half_life_min", "must be above 0")
    for n, scanner in enumerate(day.scanners):
        if scanner.place not in places:
            yield Fault(f"/scanners/{n}/place", f"{scanner.place} is not a place of this day")
    for n, delivery in enumerate(day.deliveries):
        if delivery.place not in places:
            yield Fault(f"/deliveries/{n}/place", f"{delivery.place} is not a place of this day")
        if delivery.tracer not in tracers:
            yield Fault(f"/deliveries/{n}/tracer", f"{delivery.tracer} is not a tracer of this day")
    for n, patient in enumerate(day.patients):
        if patient.tracer not in tracers:
            yield Fault(f"/patients/{n}/tracer", f"{patient.tracer} is not a tracer of this day")
        for ref in sorted(set(patient.away_pence) - places):
            yield Fault(f"/patients/{n}/away_pence/{escaped(ref)}", f"{ref} is not a place of this day")
        if lock := patient.lock:
            for name, ref_of, known in (
                ("place", lock.place, places),
                ("scanner", lock.scanner, scanners),
                ("delivery", lock.delivery, deliveries),
            ):
                if ref_of is not None and ref_of not in known:
                    yield Fault(f"/patients/{n}/lock/{name}", f"{ref_of} is not a {name} of this day")


def read_plan(day: Day, data: object) -> Plan | Refused:
    """The plan alone; whether it can be carried out is for the checker."""
    if not isinstance(data, dict):
        return Refused((Fault("", "must be an object"),))
    if data.get("version") != VERSION:
        return Refused((Fault("/version", f"must be {VERSION}"),))
    reader = Reader(day.origin)
    visits = [
        (number, reader.one(PlannedVisit, one, f"/visits/{number}", frozenset({"scan"})), one)
        for number, one in reader.items(data.get("visits"), "/visits")
    ]
    for number, visit, one in visits:
        if visit is not None and isinstance(one, dict) and "scan" in one:
            scan = reader.instant(one["scan"], f"/visits/{number}/scan", int)
            if scan is not None and scan != visit.scan_min:
                reader.wrong(f"/visits/{number}/scan", "is not the injection plus the uptake")
    orders = reader.table(float, data.get("orders", {}), "/orders")
    left_out = reader.table(str, data.get("left_out", {}), "/left_out")
    for name in sorted(set(data) - {"version", "visits", "orders", "left_out", "day", "certificate"}):
        reader.wrong(f"/{escaped(name)}", "is not known here")
    if reader.faults:
        return Refused(tuple(reader.faults))
    return Plan(tuple(visit for _, visit, _ in visits), orders, left_out)


def read_certificate(day: Day, data: Mapping[str, object]) -> Certificate | Refused:
    """The proof that came with a plan."""
    reader = Reader(day.origin)
    top = data.get("certificate")
    if not isinstance(top, dict):
        return Refused((Fault("/certificate", "must be an object"),))
    weight = reader.of(int, top.get("weight"), "/certificate/weight")
    moves = reader.of(int, top.get("moves"), "/certificate/moves")
    prices = [
        prices_read(reader, one, f"/certificate/prices/{n}")
        for n, one in reader.items(top.get("prices"), "/certificate/prices")
    ]
    if reader.faults:
        return Refused(tuple(reader.faults))
    return Certificate(weight, moves, tuple(one for one in prices if one is not None))


def prices_read(reader: Reader, one: object, pointer: str) -> Prices | None:
    if not isinstance(one, dict):
        return reader.wrong(pointer, "must be an object")  # type: ignore[func-returns-value]
    minute: dict[tuple[str, int], float] = {}
    share: dict[tuple[str, str], float] = {}
    starts: dict[str, Window] = {}
    for name in ("minute", "share", "starts"):
        for n, row in reader.items(one.get(name, []), f"{pointer}/{name}"):
            where = f"{pointer}/{name}/{n}"
            if not isinstance(row, list) or len(row) != 3:
                reader.wrong(where, "must be an array of three")
                continue
            first = reader.of(str, row[0], f"{where}/0")
            if name == "starts":
                begin, end = (reader.instant(row[place], f"{where}/{place}", int) for place in (1, 2))
                if begin is not None and end is not None and end < begin:
                    reader.wrong(where, "ends before it begins")
                elif begin is not None and end is not None:
                    starts[first] = Window(begin, end)
                continue
            price = reader.of(float, row[2], f"{where}/2")
            if name == "minute":
                at = reader.instant(row[1], f"{where}/1", int)
                if at is not None:
                    minute[first, at] = price
            else:
                share[first, reader.of(str, row[1], f"{where}/1")] = price
    return Prices(
        runs=reader.of(frozenset[str], one.get("runs", []), f"{pointer}/runs"),
        perhaps=reader.of(frozenset[str], one.get("perhaps", []), f"{pointer}/perhaps"),
        minute=minute,
        value=reader.of(float, one.get("value", 0.0), f"{pointer}/value"),
        move=reader.of(float, one.get("move", 0.0), f"{pointer}/move"),
        mbq=reader.table(float, one.get("mbq", {}), f"{pointer}/mbq"),
        least=reader.table(float, one.get("least", {}), f"{pointer}/least"),
        share=share,
        starts=starts,
        scanned=reader.of(frozenset[str], one.get("scanned", []), f"{pointer}/scanned"),
        left_out=reader.of(frozenset[str], one.get("left_out", []), f"{pointer}/left_out"),
        draws=reader.table(frozenset[str], one.get("draws", {}), f"{pointer}/draws"),
        takers=reader.table(Takers, one.get("takers", {}), f"{pointer}/takers"),
        fewer=reader.table(float, one.get("fewer", {}), f"{pointer}/fewer"),
        more=reader.table(float, one.get("more", {}), f"{pointer}/more"),
    )
