"""Compiles a measure to one SQL statement over the events: the same definition as the plain reading, for millions."""

from dataclasses import dataclass, field
from typing import Any

from gantry.domain.events import EventKind
from gantry.domain.measures import All, Condition, Exists, First, FirstDate, Not, Pick, Share, Some, Wait

# One row per event of a unit, under the latest correction of its cause, with the local day at its site.
EVENTS = """
ev AS (
  SELECT e.id, (e.about->>%(unit)s)::uuid AS unit, e.about->>'referral' AS referral, e.kind, e.happened_at, e.data,
         coalesce(c.cause_code, e.cause_code) AS cause_code,
         coalesce(c.cause_initiator, e.cause_initiator) AS cause_initiator,
         (e.happened_at AT TIME ZONE coalesce(s.zone, 'Europe/London'))::date AS on_day
  FROM audit_event e
  LEFT JOIN LATERAL (
    SELECT k.cause_code, k.cause_initiator FROM audit_event k
    WHERE k.corrects = e.id AND k.kind = 'cause_corrected' ORDER BY k.recorded_at DESC LIMIT 1
  ) c ON e.cause_code <> ''
  LEFT JOIN estate_site s ON s.id = e.site
  WHERE e.kind = ANY(%(kinds)s) AND e.about ? %(unit)s AND ({scope})
)"""


@dataclass
class Compiler:
    """Collects parameters, and the instants and dates that conditions compare with."""

    parameters: dict[str, Any] = field(default_factory=dict)
    kinds: set[str] = field(default_factory=set)
    marks: dict[str, str] = field(default_factory=dict)
    """Aggregate over a unit's events → its column in `u`."""

    def give(self, value: object) -> str:
        name = f"p{len(self.parameters)}"
        self.parameters[name] = value
        return f"%({name})s"

    def pick(self, pick: Pick, row: str = "ev") -> str:
        kinds = sorted(kind.value for kind in pick.kinds)
        self.kinds.update(kinds)
        parts = [f"{row}.kind = ANY({self.give(kinds)})"]
        if pick.causes is not None:
            parts.append(f"{row}.cause_code = ANY({self.give(sorted(c.value for c in pick.causes))})")
        if pick.initiators is not None:
            parts.append(f"{row}.cause_initiator = ANY({self.give(sorted(i.value for i in pick.initiators))})")
        if pick.key is not None:
            parts.append(f"{row}.data->>{self.give(pick.key)} = {self.give(pick.value)}")
        return " AND ".join(parts)

    def mark(self, of: First | FirstDate) -> str:
        if isinstance(of, First):
            aggregate = f"min(ev.happened_at) FILTER (WHERE {self.pick(of.pick)})"
        else:
            aggregate = (
                f"((array_agg(ev.data->>{self.give(of.key)} ORDER BY ev.happened_at, ev.id)"
                f" FILTER (WHERE {self.pick(of.pick)}))[1])::date"
            )
        key = repr(of)
        if key not in self.marks:
            self.marks[key] = f"{aggregate} AS m{len(self.marks)}"
        return f"u.{self.marks[key].rsplit(' AS ', 1)[1]}"

    def condition(self, condition: Condition) -> str:
        match condition:
            case Exists(pick, after, before, by):
                parts = [self.pick(pick, "e")]
                if after:
                    parts.append(f"e.happened_at >= {self.mark(after)}")
                if before:
                    mark = self.mark(before)
                    parts.append(f"({mark} IS NULL OR e.happened_at < {mark})")
                if by:
                    parts.append(f"e.on_day <= {self.mark(by)}")
                return f"coalesce(bool_or({' AND '.join(parts)}), false)"
            case Not(of):
                return f"NOT ({self.condition(of)})"
            case All(of):
                return "(" + " AND ".join(self.condition(one) for one in of) + ")"
            case Some(of):
                return "(" + " OR ".join(self.condition(one) for one in of) + ")"

    def units(self, unit: str, scope: str, columns: str) -> str:
        """A row per unit: `columns` may use `e` (its events) and `u` (its marks)."""
        self.parameters |= {"unit": unit, "kinds": sorted(self.kinds)}
        marks = ", ".join(self.marks.values())
        named = ", ".join(f"u.{mark.rsplit(' AS ', 1)[1]}" for mark in self.marks.values())
        return (
            f"WITH {EVENTS.format(scope=scope)},\n"
            f"u AS (SELECT ev.unit, {marks} FROM ev GROUP BY ev.unit)\n"
            f"SELECT u.unit, max(e.referral)::uuid AS referral, {columns} FROM u JOIN ev e ON e.unit = u.unit GROUP BY u.unit, {named}"
        )


def compile_share(measure: Share, scope: str = "true") -> tuple[str, dict[str, Any]]:
    """A row (unit, referral, day, counts, meets) for each unit. `scope` is SQL over `e`, with its own parameters added later."""
    compiler = Compiler()
    day = compiler.mark(measure.dated)
    counts, meets = compiler.condition(measure.counts), compiler.condition(measure.meets)
    return compiler.units(measure.unit.value, scope, f"{day} AS day, {counts} AS counts, {meets} AS meets"), (
        compiler.parameters
    )


def compile_wait(measure: Wait, scope: str = "true") -> tuple[str, dict[str, Any]]:
    """A row (unit, referral, since, until, ended_early) for each unit."""
    compiler = Compiler()
    since, until = compiler.mark(measure.start), compiler.mark(measure.end)
    early = compiler.condition(measure.ended_early)
    return compiler.units(
        measure.unit.value, scope, f"{since} AS since, {until} AS until, {early} AS ended_early"
    ), compiler.parameters


def kinds_of(measure: Share | Wait) -> frozenset[EventKind]:
    """Every kind of event that a measure reads: what its page opens to."""
    compiler = Compiler()
    if isinstance(measure, Share):
        compiler.mark(measure.dated)
        compiler.condition(measure.counts)
        compiler.condition(measure.meets)
    else:
        compiler.mark(measure.start)
        compiler.mark(measure.end)
        compiler.condition(measure.ended_early)
    return frozenset(EventKind(kind) for kind in compiler.kinds)
