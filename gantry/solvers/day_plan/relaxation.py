"""The day plan with fractions of visits: a linear programme that grows until nothing is missing from it.

Visits enter when their reduced cost asks for them, minutes of a resource when they are overfull, and links between a
patient and a priced run when they are broken. What is left is the optimum over every visit at every minute, and its
prices bound every plan, finished or not: the bound is worked out from the prices alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from time import perf_counter

import highspy
import numpy as np

from gantry.domain.scheduling.certificate import Prices, Takers, chargeable
from gantry.domain.scheduling.problem import Window
from gantry.solvers.day_plan.columns import Bools, Columns, Floats, Ints, ints, peaks

ENDLESS = highspy.kHighsInf
MANY_COLUMNS = 60_000
AT_ONCE = 40
"""Columns of one patient that come in at once where there are very many: a round of growing is dear then."""
NOTHING = np.array([], dtype=np.int32)
NO_VALUES = np.array([], dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Branch:
    """What is decided: of the runs that cost something to use, which are surely paid for and which may not be used
    (others are open); who is scanned and who is not; in which minutes some scans start, on which deliveries they draw, and
    how many draw on one."""

    paid: frozenset[int] = frozenset()
    banned: frozenset[int] = frozenset()
    scanned: frozenset[int] = frozenset()
    left_out: frozenset[int] = frozenset()
    starts: Mapping[int, Window] = field(default_factory=dict)
    draws: Mapping[int, frozenset[int]] = field(default_factory=dict)
    takers: Mapping[int, Takers] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Relaxed:
    branch: Branch
    bound: float
    """No plan of this branch costs less."""
    reduced: Floats
    """Column → what taking it must add to the bound."""
    values: Floats
    """Column → the fraction taken."""
    used: Mapping[int, float]
    """Run → the fraction paid for."""
    prices: Prices
    finished: bool


@dataclass(slots=True, eq=False)
class Duals:
    patients: Floats
    value: float
    moves: float
    minute: Floats
    draw: dict[int, float] = field(default_factory=dict)
    least: dict[int, float] = field(default_factory=dict)
    share: Floats = field(default_factory=lambda: np.zeros((0, 0)))
    count: dict[int, float] = field(default_factory=dict)
    """Above 0 where too few draw on a delivery, below 0 where too many do."""


class Relaxation:
    def __init__(self, columns: Columns, deadline: float, seed: int) -> None:
        self.columns, self.day, self.deadline, self.seed = columns, columns.day, deadline, seed
        self.patients = len(self.day.patients)
        self.highs = highs = highspy.Highs()
        for option, value in {"output_flag": False, "threads": 1, "presolve": "off", "random_seed": seed}.items():
            highs.setOptionValue(option, value)
        self.in_lp = np.zeros(columns.count, bool)
        self.open: Bools = np.ones(columns.count, bool)
        """What the branch leaves to choose from."""
        self.must: Bools = np.zeros(self.patients, bool)
        """Whom the branch has scanned."""
        self.order: Ints = np.zeros(0, np.int64)
        self.value_wanted, self.moves_allowed = 0, 0
        self.minutes: list[tuple[int, int]] = []
        self.links: list[tuple[int, int]] = []
        self.grown: list[tuple[str, int, int]] = []
        """Rows added as they were needed, in the order of the programme."""
        self.known: set[tuple[str, int, int]] = set()
        self.priced = {n for n, d in enumerate(self.day.deliveries) if chargeable(d)}
        self._base_rows()
        self._base_columns()

    def _base_rows(self) -> None:
        add = self.highs.addRow
        for _ in range(self.patients):
            add(-ENDLESS, 1.0, 0, NOTHING, NO_VALUES)
        self.value_row, self.moves_row = self.patients, self.patients + 1
        add(-ENDLESS, ENDLESS, 0, NOTHING, NO_VALUES)
        add(-ENDLESS, ENDLESS, 0, NOTHING, NO_VALUES)
        self.draw_row: dict[int, int] = {}
        self.least_row: dict[int, int] = {}
        for number, delivery in enumerate(self.day.deliveries):
            most = delivery.ordered_mbq if delivery.ordered_mbq is not None else delivery.most_mbq
            if most is not None:
                self.draw_row[number] = self.highs.getNumRow()
                add(-ENDLESS, 0.0 if number in self.priced else most, 0, NOTHING, NO_VALUES)
            if delivery.ordered_mbq is None and delivery.least_mbq:
                self.least_row[number] = self.highs.getNumRow()
                add(0.0, ENDLESS, 0, NOTHING, NO_VALUES)
        self.count_row = {number: self.highs.getNumRow() + number for number in range(len(self.day.deliveries))}
        for _ in self.count_row:
            add(-ENDLESS, ENDLESS, 0, NOTHING, NO_VALUES)
        self.base_rows = self.highs.getNumRow()

    def _base_columns(self) -> None:
        """What is missing from the value, what is moved too much, each patient who is to be scanned and is not, each priced
        run, each least order's shortfall."""
        self.fixed_costs: list[float] = []

        def add(cost: float, upper: float, entries: dict[int, float]) -> int:
            rows = np.array(list(entries), dtype=np.int32)
            self.highs.addCol(cost, 0.0, upper, len(rows), rows, np.array(list(entries.values()), dtype=np.float64))
            self.fixed_costs.append(cost)
            return len(self.fixed_costs) - 1

        self.missing = add(0.0, ENDLESS, {self.value_row: 1.0})
        self.excess = add(0.0, ENDLESS, {self.moves_row: -1.0})
        self.lacking = [add(0.0, 0.0, {patient: 1.0}) for patient in range(self.patients)]
        self.too_few = {number: add(0.0, 0.0, {row: 1.0}) for number, row in self.count_row.items()}
        self.run_column: dict[int, int] = {}
        for number in sorted(self.priced):
            delivery = self.day.deliveries[number]
            entries = {}
            if number in self.draw_row and delivery.most_mbq is not None:
                entries[self.draw_row[number]] = -delivery.most_mbq
            if number in self.least_row:
                entries[self.least_row[number]] = -delivery.least_mbq
            self.run_column[number] = add(delivery.price_pence, 1.0, entries)
            if number in self.least_row:
                add(delivery.price_pence_per_gbq / 1000, ENDLESS, {self.least_row[number]: 1.0})

    # What is asked for

    def ask(self, value: int, moves: int) -> None:
        """At least this value and at most these moves; what is missing is paid for, so that there is always an answer."""
        self.value_wanted, self.moves_allowed = value, moves
        self.highs.changeRowBounds(self.value_row, float(value), ENDLESS)
        self.highs.changeRowBounds(self.moves_row, -ENDLESS, float(moves))

    def price(self, costs: Floats, missing: float, excess: float, *, fixed: bool) -> None:
        """Minimise these costs; `fixed` keeps what runs and least orders cost."""
        self.costs = costs
        fixed_costs = list(self.fixed_costs) if fixed else [0.0] * len(self.fixed_costs)
        fixed_costs[self.missing], fixed_costs[self.excess] = missing, excess
        for column in (*self.lacking, *self.too_few.values()):
            fixed_costs[column] = missing
        every = np.concatenate([np.array(fixed_costs), costs[self.order]])
        self.highs.changeColsCost(len(every), np.arange(len(every), dtype=np.int32), every)

    def choose(self, branch: Branch, only: Bools | None) -> None:
        for number, column in self.run_column.items():
            low, high = float(number in branch.paid), float(number not in branch.banned)
            self.highs.changeColBounds(column, low, high)
        for number, column in self.too_few.items():
            asked = branch.takers.get(number)
            low, high = (-ENDLESS, ENDLESS) if asked is None else (float(asked.least), float(asked.most))
            self.highs.changeRowBounds(self.count_row[number], low, high)
            self.highs.changeColBounds(column, 0.0, 0.0 if asked is None else ENDLESS)
        must = np.isin(np.arange(self.patients), list(branch.scanned))
        for patient in np.nonzero(must != self.must)[0]:
            sure = bool(must[patient])
            self.highs.changeRowBounds(int(patient), 1.0 if sure else -ENDLESS, 1.0)
            self.highs.changeColBounds(self.lacking[patient], 0.0, float(sure))
        self.must = must
        now = self.left_by(branch) if only is None else self.left_by(branch) & only
        changed = np.nonzero((now != self.open)[self.order])[0]
        if len(changed):
            self.highs.changeColsBounds(
                len(changed),
                (changed + len(self.fixed_costs)).astype(np.int32),
                np.zeros(len(changed)),
                np.where(now[self.order[changed]], ENDLESS, 0.0),
            )
        self.open = now

    def left_by(self, branch: Branch) -> Bools:
        c = self.columns
        left = ~np.isin(c.delivery, list(branch.banned)) & ~np.isin(c.patient, list(branch.left_out))
        for patient, window in branch.starts.items():
            left &= (c.patient != patient) | ((window.start <= c.scan) & (c.scan < window.end))
        for patient, deliveries in branch.draws.items():
            left &= (c.patient != patient) | np.isin(c.delivery, list(deliveries))
        return left

    # Growing

    def take(self, columns: Ints) -> int:
        new = columns[~self.in_lp[columns]]
        if not len(new):
            return 0
        c, size = self.columns, len(new)
        self.in_lp[new] = True
        place = np.arange(size)
        rows, where, values = [c.patient[new]], [place], [np.ones(size)]
        for row, amounts in ((self.value_row, c.value[new]), (self.moves_row, c.moves[new])):
            has = np.nonzero(amounts)[0]
            rows.append(np.full(len(has), row))
            where.append(has)
            values.append(amounts[has].astype(float))
        for table in (self.draw_row, self.least_row):
            for number, row in table.items():
                mine = np.nonzero(c.delivery[new] == number)[0]
                rows.append(np.full(len(mine), row))
                where.append(mine)
                values.append(c.drawn[new][mine])
        rows.append(self.count_row[0] + c.delivery[new])
        where.append(place)
        values.append(np.ones(size))
        for column, row_of in (self._minutes_met(new, self.grown), self._links_met(new, self.grown)):
            rows.append(row_of + self.base_rows)
            where.append(column)
            values.append(np.ones(len(column)))
        at, row_all, value_all = np.concatenate(where), np.concatenate(rows), np.concatenate(values)
        order = np.argsort(at, kind="stable")
        self.highs.addCols(
            size,
            self.costs[new],
            np.zeros(size),
            np.where(self.open[new], ENDLESS, 0.0),
            len(order),
            np.searchsorted(at[order], place).astype(np.int32),
            row_all[order].astype(np.int32),
            value_all[order],
        )
        self.order = np.concatenate([self.order, new])
        return size

    def _minutes_met(self, columns: Ints, rows: list[tuple[str, int, int]]) -> tuple[Ints, Ints]:
        which = [n for n, (kind, _, _) in enumerate(rows) if kind == "minute"]
        resource, minute = ints(rows[n][1] for n in which), ints(rows[n][2] for n in which)
        column, row = self.columns.meeting(columns, resource, minute)
        return column, ints(which)[row]

    def _links_met(self, columns: Ints, rows: list[tuple[str, int, int]]) -> tuple[Ints, Ints]:
        number = {(a, b): n for n, (kind, a, b) in enumerate(rows) if kind == "link"}
        if not number:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        c = self.columns
        table = np.full((self.patients, len(self.day.deliveries)), -1, dtype=np.int64)
        for (patient, delivery), row in number.items():
            table[patient, delivery] = row
        row_of = table[c.patient[columns], c.delivery[columns]]
        met = np.nonzero(row_of >= 0)[0]
        return met, row_of[met]

    def watch(self, wanted: list[tuple[str, int, int]]) -> int:
        """Add rows: a minute of a resource, or a patient's link to a run."""
        c, shift = self.columns, len(self.fixed_costs)
        new = [key for key in dict.fromkeys(wanted) if key not in self.known]
        if not new:
            return 0
        self.known.update(new)
        self.grown += new
        links = [(n, b) for n, (kind, _, b) in enumerate(new) if kind == "link"]
        met = [self._minutes_met(self.order, new), self._links_met(self.order, new)]
        row = np.concatenate([*(rows for _, rows in met), ints(n for n, _ in links)])
        column = np.concatenate(
            [*(columns + shift for columns, _ in met), ints(self.run_column[run] for _, run in links)]
        )
        amount = np.ones(len(row))
        amount[len(row) - len(links) :] = -1.0
        order = np.argsort(row, kind="stable")
        limits = np.array([float(c.capacity[a]) if kind == "minute" else 0.0 for kind, a, _ in new])
        self.highs.addRows(
            len(new),
            np.full(len(new), -ENDLESS),
            limits,
            len(order),
            np.searchsorted(row[order], np.arange(len(new))).astype(np.int32),
            column[order].astype(np.int32),
            amount[order],
        )
        return len(new)

    def broken(self, values: Floats, used: Mapping[int, float]) -> list[tuple[str, int, int]]:
        c = self.columns
        some = np.nonzero(values > 1e-9)[0]
        columns = self.order[some]
        over = c.loads(values[some], columns) - c.capacity[:, None]
        found = [
            ("minute", int(resource), int(minute) + c.first_minute)
            for resource in np.nonzero(over.max(axis=1, initial=0.0) > 1e-6)[0]
            for minute in peaks(over[resource])
        ]
        for number, paid in used.items():
            mine = c.delivery[columns] == number
            share = np.bincount(c.patient[columns[mine]], weights=values[some][mine], minlength=self.patients)
            found.extend(("link", int(patient), number) for patient in np.nonzero(share > paid + 1e-6)[0])
        return found

    # Solving

    def solve(self, branch: Branch, *, fixed_costs: bool = True, only: Bools | None = None) -> Relaxed:
        """Grow until nothing is missing, or until the deadline. With `only` some columns the bound is theirs alone."""
        c, shift = self.columns, len(self.fixed_costs)
        self.choose(branch, only)
        self.takers = branch.takers
        each = AT_ONCE if c.count > MANY_COLUMNS else max(8, 400 // max(1, self.patients))
        # Prices of nothing prove something too, if there is no time for better ones.
        nothing = Duals(np.zeros(self.patients), 0.0, 0.0, np.zeros((len(c.resources), c.minutes)))
        nothing.share = np.zeros((self.patients, len(self.day.deliveries)))
        best = self.proof(nothing, branch, fixed_costs)
        while True:
            left = max(0.01, self.deadline - perf_counter())
            self.highs.setOptionValue("time_limit", self.highs.getRunTime() + left)
            self.highs.run()
            optimal = self.highs.getModelStatus() == highspy.HighsModelStatus.kOptimal
            solution = self.highs.getSolution()
            every = np.array(solution.col_value)
            duals = self.duals(np.array(solution.row_dual), fixed_costs)
            proof = self.proof(duals, branch, fixed_costs)
            reduced = proof[2]
            best = max(best, proof, key=lambda each: each[0])
            used = {number: float(every[column]) for number, column in self.run_column.items()}
            values = every[shift:]
            if not optimal:
                break
            rows = self.broken(values, used if fixed_costs else {})
            added = self.watch(rows)
            asked = np.nonzero((reduced - duals.patients[c.patient] < -1e-7) & ~self.in_lp)[0]
            added += self.take(self.worst(asked, reduced, each))
            if not added or perf_counter() > self.deadline:
                break
        bound, duals, reduced = best
        every_value = np.zeros(c.count)
        every_value[self.order[: len(values)]] = values
        # What a column adds to the bound: its own reduced cost above the best of its patient.
        least = self.at_best(reduced)
        least[~np.isfinite(least)] = 0.0
        return Relaxed(
            branch, bound, reduced - least[c.patient], every_value, used, self.prices(duals, branch),
            optimal and not added,
        )  # fmt: skip

    def proof(self, duals: Duals, branch: Branch, fixed_costs: bool) -> tuple[float, Duals, Floats]:
        reduced = self.reduced(duals)
        reduced[~self.open] = np.inf
        return self.bound(duals, reduced, branch, fixed_costs), duals, reduced

    def worst(self, asked: Ints, reduced: Floats, each: int) -> Ints:
        """Of the columns that should come in, the first few of each patient."""
        if not len(asked):
            return asked
        order = asked[np.lexsort((reduced[asked], self.columns.patient[asked]))]
        who = self.columns.patient[order]
        first = np.searchsorted(who, who)
        return order[np.arange(len(order)) - first < each]

    def duals(self, rows: Floats, fixed_costs: bool) -> Duals:
        c = self.columns
        minute = np.zeros((len(c.resources), c.minutes))
        share = np.zeros((self.patients, len(self.day.deliveries)))
        for (kind, a, b), dual in zip(self.grown, rows[self.base_rows :], strict=False):
            if dual < 0:
                if kind == "minute":
                    minute[a, b - c.first_minute] -= dual
                else:
                    share[a, b] -= dual
        least = {n: max(0.0, float(rows[row])) for n, row in self.least_row.items()}
        for number, dual in least.items():
            ceiling = self.day.deliveries[number].price_pence_per_gbq / 1000 if fixed_costs else 0.0
            least[number] = min(dual, ceiling)
        return Duals(
            np.where(self.must, rows[: self.patients], np.minimum(0.0, rows[: self.patients])),
            max(0.0, float(rows[self.value_row])),
            max(0.0, -float(rows[self.moves_row])),
            minute,
            {n: max(0.0, -float(rows[row])) for n, row in self.draw_row.items()},
            least,
            share,
            {n: float(rows[row]) for n, row in self.count_row.items() if n in self.takers},
        )

    def reduced(self, duals: Duals) -> Floats:
        """Each column's cost with everything scarce charged, its patient's own place apart."""
        c = self.columns
        per_mbq = np.zeros(len(self.day.deliveries))
        for number, price in duals.draw.items():
            per_mbq[number] += price
        for number, price in duals.least.items():
            per_mbq[number] -= price
        each = np.zeros(len(self.day.deliveries))
        for number, price in duals.count.items():
            each[number] = price
        total: Floats = self.costs + c.charged(duals.minute) - duals.value * c.value + duals.moves * c.moves
        if c.count:
            total = total + c.drawn * per_mbq[c.delivery] + duals.share[c.patient, c.delivery] - each[c.delivery]
        return total

    def at_best(self, reduced: Floats) -> Floats:
        """What each patient adds to a bound, who may stay out unless the branch has them scanned."""
        best = np.full(self.patients, np.inf)
        np.minimum.at(best, self.columns.patient, reduced)
        return np.where(self.must, best, np.minimum(0.0, best))

    def bound(self, duals: Duals, reduced: Floats, branch: Branch, fixed_costs: bool) -> float:
        """What the prices prove, worked out from them alone."""
        c, day = self.columns, self.day
        total = duals.value * self.value_wanted - duals.moves * self.moves_allowed
        total -= float((duals.minute * c.capacity[:, None]).sum())
        for number, price in duals.count.items():
            asked = branch.takers[number]
            total += price * (asked.least if price > 0 else asked.most)
        for number, delivery in enumerate(day.deliveries):
            drawn = duals.draw.get(number, 0.0)
            if delivery.ordered_mbq is not None:
                total -= drawn * delivery.ordered_mbq
                if fixed_costs:
                    total += delivery.ordered_mbq / 1000 * day.waste_pence_per_gbq
                continue
            used = duals.least.get(number, 0.0) * delivery.least_mbq - drawn * (delivery.most_mbq or 0.0)
            used += delivery.price_pence if fixed_costs else 0.0
            used -= float(duals.share[:, number].sum())
            if number not in self.priced or number in branch.paid:
                total += used
            elif number not in branch.banned:
                total += min(0.0, used)
        return total + float(self.at_best(reduced).sum())

    def prices(self, duals: Duals, branch: Branch) -> Prices:
        """In the words of the domain: a price of a group's minute is one for each of its scanners."""
        c, deliveries = self.columns, self.day.deliveries
        minute: dict[tuple[str, int], float] = {}
        for resource, at in zip(*np.nonzero(duals.minute), strict=True):
            price, name = float(duals.minute[resource, at]), c.resources[resource]
            names = [f"scanner:{s.ref}" for s in c.groups[resource]] if resource < len(c.groups) else [name]
            minute.update({(one, int(at) + c.first_minute): price for one in names})
        return Prices(
            runs=frozenset(deliveries[n].ref for n in branch.paid),
            perhaps=frozenset(deliveries[n].ref for n in self.priced - branch.paid - branch.banned),
            minute=minute,
            value=duals.value,
            move=duals.moves,
            mbq={deliveries[n].ref: price for n, price in duals.draw.items() if price},
            least={deliveries[n].ref: price for n, price in duals.least.items() if price},
            share={
                (self.day.patients[i].ref, deliveries[n].ref): float(duals.share[i, n])
                for i, n in zip(*np.nonzero(duals.share), strict=True)
            },
            scanned=frozenset(self.day.patients[i].ref for i in branch.scanned),
            left_out=frozenset(self.day.patients[i].ref for i in branch.left_out),
            starts={self.day.patients[i].ref: window for i, window in branch.starts.items()},
            draws={
                self.day.patients[i].ref: frozenset(deliveries[n].ref for n in some) for i, some in branch.draws.items()
            },
            takers={deliveries[n].ref: count for n, count in branch.takers.items()},
            fewer={deliveries[n].ref: price for n, price in duals.count.items() if price > 0},
            more={deliveries[n].ref: -price for n, price in duals.count.items() if price < 0},
        )
