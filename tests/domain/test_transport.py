"""Labels of class 7 packages: each limit, its edge, and the higher of two."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gantry.domain.transport import (
    ORDER,
    Arrived,
    Label,
    Package,
    label_for,
    transport_index,
    why_not_as_labelled,
    why_not_sent,
)
from gantry.reference.carriage import A2_MBQ, CATEGORIES
from gantry.reference.nuclides import F18

TABLE = CATEGORIES.value


@pytest.mark.parametrize(
    ("msv_per_h", "index"), [(0, 0), (0.0005, 0), (0.00051, 0.1), (0.0060, 0.6), (0.0061, 0.7), (0.01, 1.0), (0.1, 10)]
)
def test_an_index_is_rounded_up_to_one_decimal(msv_per_h, index):
    assert transport_index(msv_per_h) == index


@pytest.mark.parametrize(
    ("surface", "index", "label"),
    [
        (0.005, 0, Label.WHITE),
        (0.0051, 0, Label.YELLOW_2),
        (0.004, 0.1, Label.YELLOW_2),
        (0.5, 1, Label.YELLOW_2),
        (0.51, 0.1, Label.YELLOW_3),
        (0.1, 1.1, Label.YELLOW_3),
        (2, 10, Label.YELLOW_3),
        (2.1, 1, Label.EXCLUSIVE),
        (1, 10.1, Label.EXCLUSIVE),
        (10.1, 0, None),
    ],
)
def test_the_higher_category_wins_at_every_edge(surface, index, label):
    assert label_for(surface, index, TABLE) is label


@given(st.floats(0, 10), st.floats(0, 20), st.floats(0, 1))
def test_more_dose_never_gives_a_lower_label(surface, index, less):
    now, before = label_for(surface, index, TABLE), label_for(surface * less, index * less, TABLE)
    assert now is not None and before is not None and ORDER.index(before) <= ORDER.index(now)


def package(**over: object) -> Package:
    facts = {"nuclide": F18, "activity_mbq": 9_000, "surface_msv_per_h": 0.3, "at_one_metre_msv_per_h": 0.006}
    return Package(**(facts | over))


def reasons(one: Package) -> list[str]:
    return list(why_not_sent(one, a2_mbq=A2_MBQ["F-18"].value, categories=TABLE))


def test_a_package_that_may_travel_and_what_stops_others():
    assert not reasons(package(label=Label.YELLOW_2))
    assert "ask for II-YELLOW" in reasons(package(label=Label.WHITE))[0]
    assert "type A" in reasons(package(activity_mbq=600_001))[0]
    assert "every label" in reasons(package(surface_msv_per_h=11))[0]
    assert "A2" in next(why_not_sent(package(), a2_mbq=None, categories=TABLE))
    with pytest.raises(ValueError, match="below nothing"):
        transport_index(-1)


@pytest.mark.parametrize(
    ("over", "words"),
    [
        ({}, []),
        ({"surface_msv_per_h": 0.3, "at_one_metre_msv_per_h": 0.006}, []),
        ({"label": None, "transport_index": None, "surface_msv_per_h": 9.0}, []),
        ({"label": Label.WHITE}, ["I-WHITE, whose transport index is at most 0"]),
        ({"transport_index": 1.4}, ["II-YELLOW, whose transport index is at most 1"]),
        ({"at_one_metre_msv_per_h": 0.0075}, []),
        ({"at_one_metre_msv_per_h": 0.009}, ["at least 0.8; the label says 0.6"]),
        ({"at_one_metre_msv_per_h": 0.02}, ["at least 1.6", "asks for III-YELLOW"]),
        ({"surface_msv_per_h": 0.6}, []),
        ({"surface_msv_per_h": 0.7}, ["asks for III-YELLOW"]),
        ({"surface_msv_per_h": 13.0}, ["above every label's limit"]),
        ({"label": Label.YELLOW_3, "surface_msv_per_h": 0.1, "at_one_metre_msv_per_h": 0.001}, []),
        ({"activity_mbq": 700_000}, ["more than type A may hold"]),
    ],
)
def test_a_package_that_came_is_judged_by_its_label_and_by_what_was_measured(over, words):
    usual = {
        "nuclide": F18,
        "activity_mbq": 9_000.0,
        "label": Label.YELLOW_2,
        "transport_index": 0.6,
        "surface_msv_per_h": None,
        "at_one_metre_msv_per_h": None,
    }
    said = list(
        why_not_as_labelled(Arrived(**(usual | over)), a2_mbq=A2_MBQ["F-18"].value, categories=TABLE, meter_percent=20)
    )
    assert len(said) == len(words), said
    assert all(word in reason for word, reason in zip(words, said, strict=True)), said
