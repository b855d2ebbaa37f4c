"""An event's own facts are read as phrases: no key, code or id that a stranger would not know."""

import pytest

from gantry.apps.audit.details import detail


@pytest.mark.parametrize(
    ("data", "line"),
    [
        ({"step": "scan", "label": "Scan", "breach": []}, ""),
        ({"step": "late", "label": "Late scan"}, "Late scan"),
        ({"step": "weigh", "label": "Weight", "weight_kg": 61.5}, "Weight 61.5 kg"),
        ({"mbq": 4.7, "tracer": "FDG", "net_mbq": 188.62, "doubts": []}, "4.7 MBq; tracer FDG; net 188.6 MBq"),
        (
            {
                "act": "receive",
                "reasons": ["It carries II-YELLOW; 0.9 mSv/h asks", "Less than expected by far"],
                "pence": 57_400,
            },
            "On receipt; reasons It carries II-YELLOW; 0.9 mSv/h asks; Less than expected by far; £574.00",
        ),
        ({"channel": "phone", "outcome": "no_answer"}, "By phone; no answer"),
        ({"was_told": True}, "The patient had been told the date"),
        ({"measured": False, "wasted_mbq": 34.63}, "Calculated, not measured; wasted 34.6 MBq"),
        ({"state": "final", "number": 1, "reason": ""}, "Number 1"),
        ({"study_uid": "2.25.2170413492778019149937472351821252767"}, ""),
        ({"choices": [{"late": False}, {"late": True}]}, "2 choices"),
        ({"findings": [{"code": "MDS-20"}], "source_key": "web:1"}, "1 finding"),
        ({"batch": "01a201a5-d092-78cf-ad69-39c0f149b240"}, ""),
        (
            {"said": "9 MBq is missing", "entries": ["01a201a5-d092-78cf-ad69-39c0f149b240"], "container": "V1"},
            "9 MBq is missing; container V1",
        ),
        ({"for": "2026-11-10", "channel": "phone", "first_told_for": "2026-11-10"}, "For 10 November 2026; by phone"),
        ({"reason": "Another appointment at that time"}, "Reason: Another appointment at that time"),
        (
            {"ends_at": "2026-11-10T15:20:00+00:00", "arrival_at": "2026-11-10T13:40:00+00:00"},
            "Arrive Tuesday 10 November 2026, 13:40 GMT; ends 15:20",
        ),
    ],
)
def test_facts_are_phrases(data: dict[str, object], line: str) -> None:
    assert detail(data) == line


def test_codes_that_the_page_knows_are_names() -> None:
    names = {"NZZ02": "Bradford PET-CT", "RAE": "Bradford Teaching Hospitals"}
    assert detail({"sites": ["NZZ02", "RXX"]}, names) == "Sites Bradford PET-CT, RXX"
    assert detail({"door": "web", "referring": "RAE"}, names) == "By web page; from Bradford Teaching Hospitals"
