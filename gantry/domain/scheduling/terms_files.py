"""The terms of an order as people exchange them: who is ready, what it costs to send somebody home, and each cut-off."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from gantry.domain.scheduling.files import Fault, Reader, Refused
from gantry.domain.scheduling.orders import STEP_MBQ, Readiness, Terms
from gantry.domain.scheduling.problem import Day

VERSION = 1


@dataclass(frozen=True, slots=True)
class TermsOnPaper:
    sent_home_pence: int
    ready: Mapping[str, Readiness] = field(default_factory=dict)
    cut_offs: Mapping[str, datetime] = field(default_factory=dict)
    step_mbq: float = STEP_MBQ


def read_terms(day: Day, data: object) -> Terms | Refused:
    if not isinstance(data, dict):
        return Refused((Fault("", "must be an object"),))
    if data.get("version") != VERSION:
        return Refused((Fault("/version", f"must be {VERSION}"),))
    reader = Reader(day.origin)
    paper: TermsOnPaper | None = reader.one(TermsOnPaper, data, "", frozenset({"version"}))
    if paper is None:
        return Refused(tuple(reader.faults))
    known = {"ready": {p.ref for p in day.patients}, "cut_offs": {d.ref for d in day.deliveries}}
    for name, given in (("ready", paper.ready), ("cut_offs", paper.cut_offs)):
        for ref in sorted(set(given) - known[name]):
            reader.wrong(f"/{name}/{ref}", "is not of this day")
    cut_offs = {ref: day.minute(at) for ref, at in paper.cut_offs.items()}
    if not reader.faults:
        try:
            return Terms(paper.sent_home_pence, paper.ready, cut_offs, paper.step_mbq)
        except ValueError as refused:
            reader.wrong("", str(refused))
    return Refused(tuple(reader.faults))
