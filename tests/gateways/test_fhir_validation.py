"""What makes a resource wrong, rule by rule, and that a right one is left alone; both forms, no database."""

import json
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gantry.gateways.fhir.elements import elements_of
from gantry.gateways.fhir.reading import Read, Unreadable, read, read_json, read_xml
from gantry.gateways.fhir.rows import put_together, taken_apart
from gantry.gateways.fhir.served import SERVED
from gantry.gateways.fhir.validation import errors, judge, validate
from gantry.gateways.fhir.writing import as_json, as_xml
from tests.gateways import fhir_samples as sample

DIV = '<div xmlns="http://www.w3.org/1999/xhtml">{}</div>'


def patient(**over: Any) -> dict[str, Any]:
    return {**sample.patient(), "id": "p-1", **over}


def bundle(kind: str, *entries: dict[str, Any], **over: Any) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries), **over}


GOOD = [
    patient(),
    patient(text={"status": "generated", "div": DIV.format("<p>Words &amp; <b>more</b></p>")}),
    patient(_birthDate={"extension": [{"url": "https://x.example/time", "valueTime": "10:00:00"}]}),
    patient(name=[{"given": ["Pat", None], "_given": [None, {"id": "g2", "extension": [
        {"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}]}]}]),
    patient(extension=[{"url": "https://x.example/a", "extension": [{"url": "b", "valueInteger": 1}]}]),
    sample.request(subject={"reference": "#p"}, contained=[patient(id="p")]),
    sample.appointment(),
    sample.message("booking-request", sample.appointment(), sample.patient()),
    bundle("searchset", {"fullUrl": "https://x.example/Patient/p-1", "resource": patient()}, total=1),
    bundle("collection", {"fullUrl": "urn:uuid:11111111-1111-4111-8111-111111111111", "resource": patient()}),
    {"resourceType": "Slot", "schedule": {"reference": "Schedule/1"}, "status": "free",
     "start": "2026-11-24T09:00:00.000Z", "end": "2026-11-24T11:00:00+00:00"},
]  # fmt: skip


@pytest.mark.parametrize("tree", GOOD, ids=lambda tree: tree["resourceType"])
def test_a_right_resource_has_no_fault_in_either_form(tree):
    assert errors(validate(as_json(tree).encode(), xml=False)) == []
    again = as_xml(tree).encode()
    assert errors(validate(again, xml=True)) == []
    assert read_xml(again).tree == tree


BAD = [
    (patient(gender="woman"), "Patient.gender"),
    (patient(id="under_score"), "Patient.id"),
    (patient(id="x" * 65), "Patient.id"),
    (patient(birthDate="1958-02-30"), "Patient.birthDate"),
    (patient(birthDate="14/03/1958"), "Patient.birthDate"),
    (patient(name=[]), "Patient.name"),
    (patient(name={"family": "x"}), "Patient.name"),
    (patient(name=[{}]), "Patient.name[0]"),
    (patient(name=[{"family": ""}]), "Patient.name[0].family"),
    (patient(name=[{"family": "a\u0007b"}]), "Patient.name[0].family"),
    (patient(active="true"), "Patient.active"),
    (patient(meta=None), "Patient.meta"),
    (patient(shoeSize=9), "Patient.shoeSize"),
    (patient(fhir_comments=["no"]), "Patient.fhir_comments"),
    (patient(deceasedBoolean=True, deceasedDateTime="2020"), "Patient"),
    (patient(multipleBirthInteger=2**31), "Patient.multipleBirthInteger"),
    (patient(managingOrganization={"reference": "Patient/1"}), "Patient.managingOrganization.reference"),
    (patient(managingOrganization={"reference": "Ward/1"}), "Patient.managingOrganization.reference"),
    (patient(managingOrganization={"reference": "#gone"}), "Patient"),
    (patient(extension=[{"valueString": "x"}]), "Patient.extension[0].url"),
    (patient(extension=[{"url": "relative", "valueString": "x"}]), "Patient.extension[0].url"),
    (patient(extension=[{"url": "https://x.example|1", "valueString": "x"}]), "Patient.extension[0].url"),
    (patient(extension=[{"url": "https://x.example"}]), "Patient.extension[0]"),
    (patient(contact=[{"gender": "male"}]), "Patient"),
    (patient(telecom=[{"value": "01632 960 001"}]), "Patient.telecom[0]"),
    (patient(text={"status": "generated", "div": DIV.format("<script>x</script>")}), "Patient.text.div"),
    (patient(text={"status": "generated", "div": DIV.format(" ")}), "Patient.text.div"),
    (patient(text={"status": "generated", "div": "<div>no namespace</div>"}), "Patient.text.div"),
    (patient(text={"status": "generated", "div": DIV.format('<p onclick="x">x</p>')}), "Patient.text.div"),
    (patient(contained=[{"resourceType": "Organization", "id": "o", "name": "x"}]), "Patient.contained[0]"),
    (sample.request(intent=None), "ServiceRequest.intent"),
    ({"resourceType": "ServiceRequest", "status": "active"}, "ServiceRequest.intent"),
    (sample.request(occurrencePeriod={"start": "2026-12-04", "end": "2026-12-01"}), "ServiceRequest.occurrencePeriod"),
    (sample.appointment(status="proposed", cancelationReason={"text": "x"}), "Appointment"),
    (bundle("searchset", {"resource": patient()}), "Bundle.entry[0].fullUrl"),
    (bundle("collection", {"fullUrl": "Patient/p-1", "resource": patient()}), "Bundle.entry[0].fullUrl"),
    (bundle("collection", {"fullUrl": "https://x.example/Patient/p-2", "resource": patient()}), "Bundle.entry[0].fullUrl"),
    (bundle("document", {"fullUrl": "https://x.example/Patient/p-1", "resource": patient()}), "Bundle"),
    (bundle("collection", total=1), "Bundle.total"),
]  # fmt: skip


@pytest.mark.parametrize(("tree", "where"), BAD, ids=[f"{n}-{where}" for n, (_, where) in enumerate(BAD)])
def test_a_fault_is_told_at_its_place(tree, where):
    found = errors(validate(as_json(tree).encode(), xml=False))
    assert where in [issue.where for issue in found], found


@pytest.mark.parametrize(
    "data",
    [
        b'{"resourceType": "Patient", "id": "a", "id": "b"}',
        b'{"resourceType": "Patient",}',
        b'{"resourceType": "Patient" // no comments\n}',
        b'{"resourceType": "Patient", "multipleBirthInteger": 1e999}',
        b'{"resourceType": "Patient", "name": [{"family": "\\ud83d"}]}',
        b'{"resourceType": "Nothing"}',
        b'["Patient"]',
        b"\xe9",
        b"",
    ],
)
def test_what_cannot_be_read_is_refused_and_never_half_read(data):
    with pytest.raises(Unreadable):
        read_json(data)
    assert errors(validate(data, xml=False))


@pytest.mark.parametrize(
    ("inside", "said"),
    [
        ('<gender value="male"/><active value="true"/>', "out of order"),
        ('<shoeSize value="9"/>', "no such element"),
        ("loose words", "between elements"),
        ('<active value="true" colour="red"/>', "nothing else"),
    ],
)
def test_faults_that_only_xml_can_have(inside, said):
    data = f'<Patient xmlns="http://hl7.org/fhir">{inside}</Patient>'.encode()
    assert said in " ".join(issue.text for issue in validate(data, xml=True))


def test_a_long_chain_of_brackets_or_digits_is_no_way_in():
    for data in (b"[" * 200_000, b'{"a":' * 5_000, b'{"resourceType":"Patient","x":' + b"9" * 5_000 + b"}"):
        with pytest.raises(Unreadable):
            read(data, xml=False)


@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_are_read_or_refused(data, xml):
    try:
        assert isinstance(read(data, xml=xml), Read)
    except Unreadable as refused:
        assert refused.issues


WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=8)
LEAVES = st.one_of(WORDS, st.integers(-5, 5), st.booleans(), st.none(), st.decimals(-9, 9, places=2, allow_nan=False))


@st.composite
def trees(draw: st.DrawFn, kind: str, depth: int = 3) -> dict[str, Any]:
    """Something of the right names and, often, of the right shapes; sometimes of neither."""
    known = elements_of(kind)
    tree: dict[str, Any] = {}
    for name in draw(st.lists(st.sampled_from(sorted(known)), max_size=5, unique=True)):
        element = known[name]
        if draw(st.integers(0, 9)) == 0:
            tree[name] = draw(LEAVES)
        elif element.primitive:
            tree[name] = draw(st.lists(LEAVES, max_size=2)) if element.many else draw(LEAVES)
        elif depth and element.type != "Resource":
            inner = trees(element.type, depth - 1)
            tree[name] = draw(st.lists(inner, max_size=2)) if element.many else draw(inner)
    return tree


@given(st.data())
def test_a_resource_taken_apart_and_put_together_is_the_same_whatever_it_held(data):
    kind = data.draw(st.sampled_from(sorted(SERVED)))
    tree = {"resourceType": kind, **data.draw(trees(kind))}
    before = deepcopy(tree)
    columns = SERVED[kind].columns
    stated = taken_apart(tree, columns)
    assert tree == before
    assert put_together(stated, columns) == tree
    held = json.dumps(stated.rest, default=str)
    for part in stated.parts:
        assert part.columns, "a row holds something"
    assert "resourceType" not in stated.rest, held


@given(st.data())
def test_the_judge_ends_on_any_tree(data):
    kind = data.draw(st.sampled_from(sorted(SERVED)))
    judge({"resourceType": kind, **data.draw(trees(kind))})
