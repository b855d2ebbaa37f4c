"""Who is moved by us, and whether it falls on some more than on others: counts, shares and how sure they are."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from math import comb, sqrt
from operator import itemgetter

from gantry.domain.deprivation import FIFTHS, fifth
from gantry.domain.scan import age_in_years

NOT_HELD = "not held"
AGES = ((0, "0 to 15"), (16, "16 to 39"), (40, "40 to 64"), (65, "65 to 79"), (80, "80 and over"))
DISTANCES = ((0, "under 10 km"), (10, "10 to 29 km"), (30, "30 to 59 km"), (60, "60 km and more"))
TOO_FEW = 5
"""Of fewer people than this no share is shown: it would say something about one of them."""
SURE = 0.05
"""Said to be more than chance: what lots would do less often than this, over all groups looked at together."""


@dataclass(frozen=True, slots=True)
class Promised:
    """One person who was told a time, how often it was not kept by our doing, and the groups that they belong to."""

    moves: int
    groups: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Group:
    by: str
    band: str
    people: int
    moved: int
    again: int
    beside: bool = False
    """Hidden though large enough: beside it a smaller one could be worked out from the whole."""

    @property
    def shown(self) -> bool:
        return self.people >= TOO_FEW and not self.beside

    @property
    def share(self) -> float:
        return self.moved / self.people if self.people else 0.0

    @property
    def between(self) -> tuple[float, float]:
        """The share as it may truly be: Wilson's interval of 95 %."""
        return wilson(self.moved, self.people)


def wilson(met: int, of: int, z: float = 1.96) -> tuple[float, float]:
    if of == 0:
        return 0.0, 1.0
    p, square = met / of, z * z
    middle = (p + square / (2 * of)) / (1 + square / of)
    half = z * sqrt(p * (1 - p) / of + square / (4 * of * of)) / (1 + square / of)
    return max(0.0, middle - half), min(1.0, middle + half)


def age_band(born: date | None, on: date) -> str:
    return NOT_HELD if born is None else band(AGES, age_in_years(born, on))


def distance_band(km: float | None) -> str:
    return NOT_HELD if km is None else band(DISTANCES, km)


def deprivation_band(decile: int | None) -> str:
    return NOT_HELD if decile is None else fifth(decile)


def band(bands: Sequence[tuple[int, str]], value: float) -> str:
    return [name for least, name in bands if value >= least][-1]


def groups(promised: Iterable[Promised]) -> list[Group]:
    """By each heading in the order it comes, then by band as its heading orders them."""
    counted: dict[tuple[str, str], list[int]] = {}
    for person in promised:
        for by, name in person.groups.items():
            cell = counted.setdefault((by, name), [0, 0, 0])
            cell[0] += 1
            cell[1] += person.moves > 0
            cell[2] += person.moves > 1
    headings = list(dict.fromkeys(by for by, _ in counted))
    order = {name: number for number, name in enumerate((*FIFTHS, *(name for _, name in (*AGES, *DISTANCES))))}
    found = [Group(by, name, people, moved, again) for (by, name), (people, moved, again) in counted.items()]
    ordered = sorted(found, key=lambda g: (headings.index(g.by), g.band == NOT_HELD, order.get(g.band, 0), g.band))
    return [group for heading in headings for group in hidden([one for one in ordered if one.by == heading])]


def hidden(of_one_heading: Sequence[Group]) -> list[Group]:
    """Where one group alone is too small, the next smallest is hidden with it: else the whole less the rest gives it away."""
    small = [group for group in of_one_heading if not group.shown]
    large = [group for group in of_one_heading if group.shown]
    if len(small) != 1 or not large:
        return list(of_one_heading)
    least = min(large, key=lambda group: group.people)
    return [replace(group, beside=True) if group is least else group for group in of_one_heading]


def sentence(people: Sequence[Promised]) -> str:
    """What the table says, in one breath: how many, how many twice, and on whom it falls beyond what chance would do."""
    if not people:
        return "Nobody was told a time for these days."
    moved, again = sum(p.moves > 0 for p in people), sum(p.moves > 1 for p in people)
    were = "was" if moved == 1 else "were"
    twice = f"{again:,} of them more than once" if moved else ""
    share = f"{moved / len(people) * 100:.1f} %"
    said = f"Of {counted(len(people))} who {'was' if len(people) == 1 else 'were'} told a time, {moved:,} {were} moved by us ({share})"
    return f"{said}, {twice}. {worst(groups(people), people)}" if twice else f"{said}."


def counted(people: int) -> str:
    return f"{people:,} {'person' if people == 1 else 'people'}"


def chance(here: int, people: int, moved: int, of: int) -> float:
    """How often a group of this size would have at least as many moved, were the moved spread over everybody by lot:
    Fisher's exact test, one-sided. Exact, for groups are small and moves are few."""
    ways = sum(comb(people, n) * comb(of - people, moved - n) for n in range(here, min(people, moved) + 1))
    return ways / comb(of, moved)


def worst(found: Iterable[Group], people: Sequence[Promised]) -> str:
    """The group least likely to be chance. The more groups are looked at, the more must one stand out: Bonferroni's
    correction multiplies its chance by their number."""
    of, moved = len(people), sum(p.moves > 0 for p in people)
    looked = [g for g in found if g.shown and g.band != NOT_HELD and of - g.people >= TOO_FEW]
    if not looked:
        return "No two groups are large enough to compare."
    odds, _, group = min(
        ((chance(g.moved, g.people, moved, of), n, g) for n, g in enumerate(looked)), key=itemgetter(0, 1)
    )
    many = f"{len(looked)} {'group' if len(looked) == 1 else 'groups'} compared"
    if min(1.0, odds * len(looked)) >= SURE:
        return f"None of the {many} was moved more than chance would do."
    others = (moved - group.moved) / (of - group.people)
    return (
        f"{group.by.capitalize()} {group.band} was moved more than chance would do: {group.share * 100:.1f} % against "
        f"{others * 100:.1f} % of the others, allowing for the {many}."
    )
