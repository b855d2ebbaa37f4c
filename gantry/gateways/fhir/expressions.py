"""Decides whether the small languages that resources carry can be read: FHIRPath, and SNOMED CT's constraints."""

import re
from collections.abc import Iterator

from fhirpathpy.parser import parse

CONCEPT = r"(?:\^?\s*(?:\d{6,18}|\*)(?:\s*\|[^|]*\|)?|\([^()]*\))"
OPERATOR = r"(?:<<!|<!|<<|<|>>!|>!|>>|>|\^)"
SIMPLE = re.compile(rf"\s*(?:{OPERATOR}\s*)*(?:\d+(?:\s*\|[^|]*\|)?|\*|\()")
JOINED = re.compile(r"\d+(?:\s*\|[^|]*\|)?\s+(?:<<!|<!|<<|<|>>!|>!|>>|>|\^|\d)")


def why_not_fhirpath(text: str) -> Iterator[str]:
    """Whether a parser takes it. What it names need not exist here."""
    try:
        parse(text[:4000])  # type: ignore[no-untyped-call]
    except Exception:  # each parser error has its own class
        yield "FHIRPath cannot be read"


def why_not_snomed_constraint(text: str) -> Iterator[str]:
    """Only what no reading allows: a constraint begins with a concept, and two concepts need a word between them."""
    if not SIMPLE.match(text):
        yield "A SNOMED CT constraint begins with a concept"
    elif JOINED.search(text):
        yield "Two parts of a SNOMED CT constraint need AND, OR or MINUS between them"
