"""Decides how a package of activity is labelled and whether it may travel: class 7 of ADR, as CDG 2009 applies it."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from math import ceil

from gantry.domain.decay import Nuclide


class Label(StrEnum):
    WHITE = "I-WHITE"
    YELLOW_2 = "II-YELLOW"
    YELLOW_3 = "III-YELLOW"
    EXCLUSIVE = "III-YELLOW, exclusive use"


ORDER = tuple(Label)


@dataclass(frozen=True, slots=True)
class Category:
    """A label's limits: on the surface in mSv/h, and of the transport index."""

    label: Label
    surface_msv_per_h: float
    transport_index: float | None
    """None: without a limit."""


def transport_index(at_one_metre_msv_per_h: float) -> float:
    """mSv/h at one metre × 100, rounded up to one decimal; up to 0.05 counts as nothing (ADR 5.1.5.3.1)."""
    if at_one_metre_msv_per_h < 0:
        raise ValueError("a dose rate is not below nothing")
    index = at_one_metre_msv_per_h * 100
    # A binary fraction above a tenth is still that tenth.
    return 0.0 if index <= 0.05 else ceil(round(index * 10, 6)) / 10


def label_for(surface_msv_per_h: float, index: float, categories: tuple[Category, ...]) -> Label | None:
    """The higher of what the surface and the index ask for (ADR 5.1.5.3.4). None: no label lets it travel."""
    wanted = []
    for value, limits in (
        (surface_msv_per_h, [(c.label, c.surface_msv_per_h) for c in categories]),
        (index, [(c.label, c.transport_index) for c in categories]),
    ):
        fits = next((label for label, most in limits if most is None or value <= most), None)
        if fits is None:
            return None
        wanted.append(fits)
    return max(wanted, key=ORDER.index)


@dataclass(frozen=True, slots=True)
class Package:
    nuclide: Nuclide
    activity_mbq: float
    surface_msv_per_h: float
    at_one_metre_msv_per_h: float
    label: Label | None = None
    """As it was put on."""


def why_not_sent(package: Package, *, a2_mbq: float | None, categories: tuple[Category, ...]) -> Iterator[str]:
    """Why a package may not leave: its contents, its dose rate, or the wrong label."""
    symbol = package.nuclide.symbol
    if a2_mbq is None:
        yield f"There is no A2 value for {symbol}: ask the dangerous goods safety adviser"
    elif package.activity_mbq > a2_mbq:
        yield f"{package.activity_mbq:,.0f} MBq is more than a type A package of {symbol} may hold, {a2_mbq:,.0f} MBq"
    needed = label_for(package.surface_msv_per_h, transport_index(package.at_one_metre_msv_per_h), categories)
    if needed is None:
        yield f"{package.surface_msv_per_h:g} mSv/h on the surface is above every label's limit"
    elif package.label is not None and package.label is not needed:
        yield f"It carries {package.label}; its dose rates ask for {needed}"


@dataclass(frozen=True, slots=True)
class Arrived:
    """One package as it came: what its label says, and what a meter says here. None: not read."""

    nuclide: Nuclide
    activity_mbq: float
    label: Label | None
    transport_index: float | None
    surface_msv_per_h: float | None
    at_one_metre_msv_per_h: float | None


def why_not_as_labelled(
    package: Arrived, *, a2_mbq: float | None, categories: tuple[Category, ...], meter_percent: float
) -> Iterator[str]:
    """Where a package that has come is not what its label says. Only more than it says counts: on the road it decays."""
    limits = {category.label: category for category in categories}
    said, index = package.label, package.transport_index
    if a2_mbq is not None and package.activity_mbq > a2_mbq:
        yield (
            f"{package.activity_mbq:,.0f} MBq of {package.nuclide.symbol} in one package is more than type A may hold,"
            f" {a2_mbq:,.0f} MBq"
        )
    if said is not None and index is not None:
        most = limits[said].transport_index
        if most is not None and index > most:
            yield f"The label is {said}, whose transport index is at most {most:g}; it says {index:g}"
    sure = 1 - meter_percent / 100
    surface, metre = package.surface_msv_per_h, package.at_one_metre_msv_per_h
    measured = None if metre is None else transport_index(metre * sure)
    if measured is not None and index is not None and measured > index:
        yield f"{metre:g} mSv/h at one metre is a transport index of at least {measured:g}; the label says {index:g}"
    if said is not None and (surface is not None or measured is not None):
        needed = label_for((surface or 0.0) * sure, measured or 0.0, categories)
        if needed is None:
            yield f"{surface:g} mSv/h on the surface is above every label's limit"
        elif ORDER.index(needed) > ORDER.index(said):
            yield f"It carries {said}; what was measured here asks for {needed}"
