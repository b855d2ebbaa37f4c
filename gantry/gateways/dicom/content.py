"""Reads and writes the content tree of a DICOM structured report: items by their coded name (PS3.3 C.17.3)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.valuerep import DSfloat

from gantry.gateways.dicom.worklist import Code, codes_from


@dataclass(frozen=True, slots=True)
class Concept:
    """A coded name, with the older codes that scanners still send for it."""

    code: Code
    older: frozenset[tuple[str, str]] = frozenset()

    def names(self, item: Dataset) -> bool:
        said = codes_from(item.get("ConceptNameCodeSequence"))
        return bool(said) and (said[0].value, said[0].scheme) in {(self.code.value, self.code.scheme), *self.older}


def dcm(value: str, meaning: str) -> Concept:
    return Concept(Code(value, "DCM", meaning))


def sct(value: str, meaning: str, srt: str = "") -> Concept:
    return Concept(Code(value, "SCT", meaning), frozenset({(srt, "SRT")}) if srt else frozenset())


def ln(value: str, meaning: str) -> Concept:
    return Concept(Code(value, "LN", meaning))


def items(ds: Dataset, name: Concept) -> Iterator[Dataset]:
    """The children of this name."""
    return (item for item in ds.get("ContentSequence") or [] if name.names(item))


def item(ds: Dataset | None, name: Concept) -> Dataset | None:
    return None if ds is None else next(items(ds, name), None)


def below(ds: Dataset, name: Concept) -> Iterator[Dataset]:
    """Every item of this name, however deep: vendors nest the same facts differently."""
    for child in ds.get("ContentSequence") or []:
        if name.names(child):
            yield child
        yield from below(child, name)


def number(ds: Dataset | None, name: Concept) -> float | None:
    found = item(ds, name)
    measured = found.get("MeasuredValueSequence") if found is not None else None
    if not measured:
        return None
    try:
        return float(measured[0].NumericValue)
    except (AttributeError, TypeError, ValueError):
        return None


def unit(ds: Dataset | None, name: Concept) -> str:
    found = item(ds, name)
    measured = found.get("MeasuredValueSequence") if found is not None else None
    codes = codes_from(measured[0].get("MeasurementUnitsCodeSequence")) if measured else ()
    return codes[0].value if codes else ""


def coded(ds: Dataset | None, name: Concept) -> Code | None:
    found = item(ds, name)
    codes = codes_from(found.get("ConceptCodeSequence")) if found is not None else ()
    return codes[0] if codes else None


def text(ds: Dataset | None, name: Concept) -> str:
    found = item(ds, name)
    if found is None:
        return ""
    for keyword in ("TextValue", "DateTime", "UID", "PersonName"):
        if found.get(keyword):
            return str(found.get(keyword)).strip()
    return ""


# Writing


def sequence(code: Code) -> Sequence:
    ds = Dataset()
    ds.CodeValue, ds.CodingSchemeDesignator, ds.CodeMeaning = code.value, code.scheme, code.meaning
    return Sequence([ds])


def new(kind: str, name: Concept, *children: Dataset, relation: str = "CONTAINS") -> Dataset:
    ds = Dataset()
    ds.RelationshipType, ds.ValueType = relation, kind
    ds.ConceptNameCodeSequence = sequence(name.code)
    if kind == "CONTAINER":
        ds.ContinuityOfContent = "SEPARATE"
    if children:
        ds.ContentSequence = Sequence(children)
    return ds


def num(name: Concept, value: float, ucum: str, *children: Dataset, relation: str = "CONTAINS") -> Dataset:
    ds = new("NUM", name, *children, relation=relation)
    measured = Dataset()
    measured.NumericValue = DSfloat(value, auto_format=True)
    measured.MeasurementUnitsCodeSequence = sequence(Code(ucum, "UCUM", ucum))
    ds.MeasuredValueSequence = Sequence([measured])
    return ds


def code(name: Concept, value: Code, *children: Dataset, relation: str = "CONTAINS") -> Dataset:
    ds = new("CODE", name, *children, relation=relation)
    ds.ConceptCodeSequence = sequence(value)
    return ds


def words(name: Concept, value: str, *children: Dataset, relation: str = "CONTAINS") -> Dataset:
    ds = new("TEXT", name, *children, relation=relation)
    ds.TextValue = value
    return ds


def moment(name: Concept, value: datetime, *children: Dataset, relation: str = "CONTAINS") -> Dataset:
    """With its own offset, to the second: decay never sees a bare wall clock.

    DCMTK 3.6 refuses "+0000", which PS3.5 6.2 allows. At that offset it is left to the document's own (0008,0201), which
    every document of ours states.
    """
    ds = new("DATETIME", name, *children, relation=relation)
    ds.DateTime = value.strftime("%Y%m%d%H%M%S%z").removesuffix("+0000")
    return ds


def person(name: Concept, value: str, *children: Dataset, relation: str = "CONTAINS") -> Dataset:
    ds = new("PNAME", name, *children, relation=relation)
    ds.PersonName = value
    return ds


def uid(name: Concept, value: str, *children: Dataset, relation: str = "CONTAINS") -> Dataset:
    ds = new("UIDREF", name, *children, relation=relation)
    ds.UID = value
    return ds
