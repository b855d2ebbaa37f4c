"""Names what looks wrong about an assay: before an injection it stops authorising, afterwards it is shown as it is.

Each rule compares a reading with what it should be by something else: the vial's concentration and the volume drawn,
the prescription, another reading of the same container, the other syringes on the bench.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from math import log2

from gantry.domain.decay import Assay, Nuclide, fraction_left
from gantry.domain.ledger import INWARD, Entry, Way, standing

HOUR = timedelta(hours=1)
KBQ_IN_MBQ = 1000.0


class Rule(StrEnum):
    KBQ_FOR_MBQ = "kBq typed for MBq"
    WRONG_CLOCK = "clock wrong by an hour"
    SWAPPED_SYRINGE = "swapped syringe"
    FORGOTTEN_RESIDUAL = "forgotten residual"
    WRONG_NUCLIDE = "wrong nuclide"
    IMPOSSIBLE_VOLUME = "impossible volume"
    IMPOSSIBLE_CONCENTRATION = "impossible concentration"
    MORE_THAN_THERE = "more than the vial holds"


@dataclass(frozen=True, slots=True)
class Finding:
    rule: Rule
    said: str
    entries: tuple[str, ...] = ()

    def __str__(self) -> str:
        # A unit keeps its small letter wherever it stands.
        rule = self.rule if self.rule is Rule.KBQ_FOR_MBQ else self.rule.capitalize()
        return f"{rule}: {self.said}"


@dataclass(frozen=True, slots=True)
class VialNow:
    """What the ledger says of a vial at the instant of a reading."""

    nuclide: Nuclide
    left_mbq: float
    left_ml: float | None = None

    @property
    def mbq_per_ml(self) -> float | None:
        return self.left_mbq / self.left_ml if self.left_ml else None


@dataclass(frozen=True, slots=True)
class Drawing:
    """A syringe as it was measured, and all that is known to compare it with."""

    reading: Assay
    vial: VialNow
    volume_ml: float | None = None
    wanted_mbq: float | None = None
    """What was to be drawn, at the instant of the reading."""
    most_ml: float | None = None
    tolerance_percent: float = 10.0
    """Of activity against concentration × volume: a syringe's graduation and its dead space."""
    spread_percent: float = 5.0
    """Two readings of one vial may differ by this much."""


def fits(one_mbq: float, other_mbq: float, percent: float) -> bool:
    return abs(one_mbq - other_mbq) <= abs(other_mbq) * percent / 100 + 1e-9


def slip(reading: Assay, expected_mbq: float, percent: float) -> Rule | None:
    """Which known slip turns the expected activity into this reading; None when none does."""
    if expected_mbq <= 0 or reading.activity_mbq <= 0:
        return None
    for factor in (KBQ_IN_MBQ, 1 / KBQ_IN_MBQ):
        if fits(reading.activity_mbq / factor, expected_mbq, max(percent, 20.0)):
            return Rule.KBQ_FOR_MBQ
    for hours in (HOUR, -HOUR):
        if fits(reading.activity_mbq / fraction_left(reading.nuclide, hours), expected_mbq, percent):
            return Rule.WRONG_CLOCK
    return None


def findings(drawing: Drawing) -> list[Finding]:
    """Everything that looks wrong about a drawn syringe, before it is anybody's."""
    return list(_of_nuclide(drawing)) + list(_of_volume(drawing)) + list(_of_activity(drawing))


def _of_nuclide(drawing: Drawing) -> Iterator[Finding]:
    got, held = drawing.reading.nuclide.symbol, drawing.vial.nuclide.symbol
    if got != held:
        yield Finding(Rule.WRONG_NUCLIDE, f"the calibrator was set to {got}, the vial holds {held}")


def _of_volume(drawing: Drawing) -> Iterator[Finding]:
    volume = drawing.volume_ml
    if volume is None:
        return
    if volume <= 0:
        yield Finding(Rule.IMPOSSIBLE_VOLUME, f"{volume:g} mL is no volume")
    elif drawing.most_ml is not None and volume > drawing.most_ml:
        yield Finding(Rule.IMPOSSIBLE_VOLUME, f"{volume:g} mL is more than the {drawing.most_ml:g} mL of one injection")
    elif drawing.vial.left_ml is not None and volume > drawing.vial.left_ml * (1 + drawing.tolerance_percent / 100):
        yield Finding(Rule.IMPOSSIBLE_VOLUME, f"{volume:g} mL of {drawing.vial.left_ml:.2f} mL that are left")


def _of_activity(drawing: Drawing) -> Iterator[Finding]:
    """One finding at most: the most particular that explains the reading."""
    reading, vial, volume = drawing.reading.activity_mbq, drawing.vial, drawing.volume_ml
    concentration = vial.mbq_per_ml
    by_volume = concentration * volume if concentration and volume and volume > 0 else None
    if by_volume is not None and not fits(reading, by_volume, drawing.tolerance_percent):
        rule = slip(drawing.reading, by_volume, drawing.tolerance_percent) or Rule.IMPOSSIBLE_CONCENTRATION
        yield Finding(
            rule, f"{volume:g} mL of {concentration:,.0f} MBq/mL is {by_volume:,.1f} MBq, not {reading:,.1f} MBq"
        )
        return
    wanted = drawing.wanted_mbq
    if by_volume is None and wanted and slip(drawing.reading, wanted, drawing.tolerance_percent) is Rule.KBQ_FOR_MBQ:
        yield Finding(Rule.KBQ_FOR_MBQ, f"{wanted:,.1f} MBq was to be drawn, not {reading:,.1f} MBq")
    elif reading > vial.left_mbq * (1 + drawing.spread_percent / 100):
        said = f"there should be {vial.left_mbq:,.0f} MBq left, not {reading:,.0f} MBq"
        yield Finding(slip(drawing.reading, vial.left_mbq, drawing.spread_percent) or Rule.MORE_THAN_THERE, said)


def recheck(
    reading: Assay, syringe: str, book: Mapping[str, Assay], *, percent: float = 5.0, known: Iterable[Nuclide] = ()
) -> Finding | None:
    """A second reading of a syringe, against what the book says is in it and in the others on the bench.

    `book` holds each syringe as it was first measured. A reading that fits another syringe is that syringe.
    """
    own = book[syringe]
    expected = own.activity_at(reading.at)
    if fits(reading.activity_mbq, expected, percent):
        return None
    said = f"{syringe} should hold {expected:,.1f} MBq, not {reading.activity_mbq:,.1f} MBq"
    others = {name: assay for name, assay in book.items() if name != syringe}
    same = [n for n, a in others.items() if fits(reading.activity_mbq, a.activity_at(reading.at), percent)]
    if same:
        return Finding(Rule.SWAPPED_SYRINGE, f"{said}; {' or '.join(sorted(same))} should", (syringe, *sorted(same)))
    if rule := slip(reading, expected, percent):
        return Finding(rule, said, (syringe,))
    if nuclide := other_nuclide(own, reading, known, percent=percent):
        return Finding(Rule.WRONG_NUCLIDE, f"{said}; it decays like {nuclide.symbol}", (syringe,))
    return Finding(Rule.IMPOSSIBLE_CONCENTRATION, said, (syringe,))


def other_nuclide(first: Assay, second: Assay, known: Iterable[Nuclide], *, percent: float) -> Nuclide | None:
    """The nuclide that two readings of one container decay like, if it is not the one that is written on it."""
    for nuclide in known:
        as_that = first.activity_mbq * fraction_left(nuclide, second.at - first.at)
        if nuclide.symbol != first.nuclide.symbol and fits(second.activity_mbq, as_that, percent):
            return nuclide
    return None


def implied_half_life(first: Assay, second: Assay) -> timedelta | None:
    """From two readings of one container (N = N₀·2^(−t/T), so T = t ÷ log₂(A₁/A₂)). None when nothing decayed."""
    if first.at == second.at or not second.activity_mbq or not first.activity_mbq:
        return None
    halvings = log2(first.activity_mbq / second.activity_mbq)
    return (second.at - first.at) / halvings if halvings else None


def residual_findings(
    drawn: Assay, residual: Assay, injected_at: datetime, *, now: datetime
) -> list[Finding]:  # fmt: skip
    """A residual against the syringe that it is the rest of."""
    found = []
    if residual.nuclide != drawn.nuclide:
        found.append(Finding(Rule.WRONG_NUCLIDE, f"{residual.nuclide.symbol} cannot be left of {drawn.nuclide.symbol}"))
    could_be = drawn.activity_at(residual.at)
    if residual.activity_mbq > could_be * 1.05:
        # Twenty times what can be there is a unit; less is another syringe.
        rule = Rule.KBQ_FOR_MBQ if residual.activity_mbq > 20 * could_be else Rule.SWAPPED_SYRINGE
        found.append(Finding(rule, f"{residual.activity_mbq:,.1f} MBq is more than the {could_be:,.1f} MBq it held"))
    early = injected_at - residual.at
    if timedelta(0) < early <= HOUR:
        found.append(Finding(Rule.WRONG_CLOCK, "the residual was measured before the injection"))
    if residual.at - now > timedelta(minutes=1):
        found.append(Finding(Rule.WRONG_CLOCK, "the residual was measured in the future"))
    return found


def forgotten_residuals(entries: Iterable[Entry], at: datetime, *, after: timedelta) -> list[Finding]:
    """Syringes that were given from, long enough ago, and never measured again."""
    held = [each for each in standing(entries) if each.assay.at <= at]
    measured = {each.source for each in held if each.way is Way.RESIDUAL}
    return [
        Finding(
            Rule.FORGOTTEN_RESIDUAL,
            f"{each.source} was given {round((at - each.assay.at) / timedelta(minutes=1))} minutes ago"
            " and its residual was not measured",
            (each.key,),
        )
        for each in held
        if each.way is Way.ADMINISTERED and each.source not in measured and at - each.assay.at >= after
    ]


def explanations(
    entries: Iterable[Entry],
    names: Iterable[str],
    difference_mbq: float,
    limit_mbq: float,
    at: datetime,
    *,
    of: str = "",
) -> list[Finding]:
    """Which single slip, in which of the named entries, would explain a difference: where a person looks first.

    What came in counts for the difference, all else against it: into the one container that is judged (`of`), or into
    the whole that is (a batch, a site).
    """
    by_key, found = {each.key: each for each in standing(entries)}, []
    # One that has been corrected since explains nothing any more.
    for key in [name for name in names if name in by_key]:
        entry = by_key[key]
        for rule, factor in (
            (Rule.KBQ_FOR_MBQ, 1 / KBQ_IN_MBQ),
            (Rule.KBQ_FOR_MBQ, KBQ_IN_MBQ),
            (Rule.WRONG_CLOCK, fraction_left(entry.assay.nuclide, HOUR)),
            (Rule.WRONG_CLOCK, fraction_left(entry.assay.nuclide, -HOUR)),
        ):
            change = entry.mbq(at) * (factor - 1)
            sign = 1 if entry.way in INWARD or (of == entry.target and entry.way is Way.DRAWN) else -1
            if abs(difference_mbq + sign * change) <= limit_mbq:
                words = f"{entry.way} {entry.assay.activity_mbq:,.1f} MBq by {entry.by}"
                found.append(Finding(rule, f"this would explain the difference: {words}", (key,)))
    return found
