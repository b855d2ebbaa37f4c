"""Reads how deprived each postcode's area is, from the files that a deployer has: by postcode, or by area with a directory."""

import csv
import gzip
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from gantry.domain.deprivation import decile_of_rank, normal

POSTCODE = ("postcode", "pcds", "pcd", "pcd7", "pcd8", "postdocde")
AREA = ("lsoacode", "lsoacode2011", "lsoa11", "lsoa11cd", "lsoa21", "lsoa21cd", "lsoa")
DECILE = ("indexofmultipledeprivationdecile", "imddecile", "decile")
RANK = ("indexofmultipledeprivationrank", "imdrank", "imd", "rank", "incomedomainrank")


class Unreadable(Exception):
    """Which file, which line or heading, and why."""


@contextmanager
def opened(path: Path) -> Iterator[TextIO]:
    if path.suffix == ".gz":
        with gzip.open(path, "rt", encoding="utf-8-sig") as text:
            yield text
    else:
        with path.open(encoding="utf-8-sig", newline="") as text:
            yield text


def plain(heading: str) -> str:
    """ "Index of Multiple Deprivation (IMD) Rank (where 1 is most deprived)" as the rank it is."""
    kept = "".join(part for part in heading.split("(")[0:1]) + ("2011" if "(2011)" in heading else "")
    tail = " rank" if " rank" in heading.lower() and "rank" not in kept.lower() else ""
    tail = tail or (" decile" if " decile" in heading.lower() and "decile" not in kept.lower() else "")
    return "".join(each for each in (kept + tail).lower() if each.isalnum())


def column(headings: list[str], names: tuple[str, ...]) -> str | None:
    """The heading of that meaning; the order of the names is the order of preference."""
    known = {plain(heading): heading for heading in reversed(headings)}
    return next((known[name] for name in names if name in known), None)


def lines(path: Path) -> Iterator[tuple[int, Mapping[str, str]]]:
    with opened(path) as text:
        reader = csv.DictReader(text)
        if reader.fieldnames is None:
            raise Unreadable(f"{path.name}: empty")
        for row in reader:
            yield reader.line_num, row


def headings(path: Path) -> list[str]:
    with opened(path) as text:
        return next(csv.reader(text), [])


def by_area(path: Path) -> dict[str, int]:
    """Area → decile. A rank is turned into a decile by how many areas the file has. Raises Unreadable."""
    found = headings(path)
    area, decile, rank = column(found, AREA), column(found, DECILE), column(found, RANK)
    if area is None or (decile is None and rank is None):
        raise Unreadable(f"{path.name}: no heading for the area, or none for its decile or rank")
    said: dict[str, int] = {}
    for number, row in lines(path):
        if (row.get(area) or "").strip():
            said[row[area].strip()] = whole(path, number, row.get(decile or rank or "") or "")
    if decile is not None:
        return {key: checked(path, value) for key, value in said.items()}
    areas = max(said.values(), default=0)
    return {key: decile_of_rank(value, areas) for key, value in said.items()}


def rows(postcodes: Path, areas: Path | None = None) -> Iterator[tuple[str, str, int]]:
    """(postcode, area, decile) of every line that has all; a postcode that is none is left out. Raises Unreadable."""
    found = headings(postcodes)
    postcode, area, decile = column(found, POSTCODE), column(found, AREA), column(found, DECILE)
    if postcode is None:
        raise Unreadable(f"{postcodes.name}: no heading for the postcode")
    if areas is None and decile is None:
        raise Unreadable(f"{postcodes.name}: no heading for the decile; name the file of areas too")
    if areas is not None and area is None:
        raise Unreadable(f"{postcodes.name}: no heading for the area")
    of = by_area(areas) if areas is not None else {}
    for number, row in lines(postcodes):
        key, place = normal(row.get(postcode) or ""), (row.get(area or "") or "").strip()
        tenth = of.get(place) if areas is not None else None
        if areas is None and (row.get(decile or "") or "").strip():
            tenth = checked(postcodes, whole(postcodes, number, row[decile or ""]))
        if key and tenth is not None:
            yield key, place[:9], tenth


def whole(path: Path, number: int, text: str) -> int:
    try:
        return int(float(text.replace(",", "")))
    except ValueError:
        raise Unreadable(f"{path.name}, line {number}: {text[:20]!r} is no number") from None


def checked(path: Path, decile: int) -> int:
    if not 1 <= decile <= 10:
        raise Unreadable(f"{path.name}: {decile} is no decile")
    return decile
