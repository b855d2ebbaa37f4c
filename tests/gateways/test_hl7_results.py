"""Reports as ORU^R01, read back by our own reader and by a library that others wrote."""

from base64 import b64decode
from dataclasses import replace
from datetime import UTC, date, datetime

import hl7
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gantry.gateways.hl7.message import read
from gantry.gateways.hl7.results import Party, ReportMessage, ResultStatus, Section, Subject, to_oru, withdrawn
from gantry.gateways.hl7.values import Clinician, Coded

REPORT = ReportMessage(
    control_id="0199f0a2-0000-7000-8000-000000000001",
    sent_at=datetime(2026, 3, 30, 9, tzinfo=UTC),
    sender=Party("GANTRY", "NT9"),
    receiver=Party("CRIS", "RH8"),
    subject=Subject(
        family_name="O'Neil & Sons",
        given_name="Zoë",
        nhs_number="9990000018",
        local_ids=(("H12345", "RH8"),),
        date_of_birth=date(1961, 2, 14),
        stated_gender="2",
        address="1 Test Street",
        postcode="EX1 1AA",
    ),
    status=ResultStatus.FINAL,
    report_version=1,
    placer_order_number="P-77",
    placer_assigner="RH8",
    filler_order_number="R-1",
    filler_assigner="NT9",
    accession_number="NT926089000A1X",
    procedure=Coded("PETWB", "PET CT whole body", "NICIP"),
    performed_at=datetime(2026, 3, 29, 10, 30, tzinfo=UTC),
    reported_at=datetime(2026, 3, 29, 16, tzinfo=UTC),
    requester=Clinician("", "Sharma", "Priya", "Dr", "7654321"),
    reporter=Clinician("", "Reader", "Rae", "Dr", "1234567"),
    sections=(
        Section("Findings", "SUVmax 7.2 | liver 2.1\nNo node > 1 cm^2\n\nEnd."),
        Section("Impression", "Stage I & operable", Coded("19005-8", "Impression", "LN")),
    ),
    pdf=b"%PDF-1.7\n\x00\xff\n%%EOF",
    study_uid="2.25.123",
)


def test_a_final_report():
    found = read(to_oru(REPORT))
    assert found.type == "ORU^R01"
    assert found.control_id == REPORT.control_id
    assert [found.component("MSH", n) for n in (3, 4, 5, 6)] == ["GANTRY", "NT9", "CRIS", "RH8"]
    assert found.component("PID", 3) == "9990000018"
    assert [found.component("PID", 3, n) for n in (4, 5)] == ["NHS", "NH"]
    assert found.component("PID", 3, repetition=2) == "H12345"
    assert (found.component("PID", 5), found.component("PID", 5, 2)) == ("O'Neil & Sons", "Zoë")
    assert (found.component("PID", 7), found.component("PID", 8)) == ("19610214", "F")
    assert (found.component("OBR", 2), found.component("OBR", 3)) == ("P-77", "R-1")
    assert found.component("OBR", 18) == "NT926089000A1X"
    assert found.component("OBR", 25) == "F"
    assert found.component("OBR", 32) == "1234567"
    assert found.component("OBR", 16) == "7654321"
    lines = [(obx.component(4), obx.component(5)) for obx in found.all("OBX") if obx.component(2) == "TX"]
    assert lines == [
        ("1", "SUVmax 7.2 | liver 2.1"),
        ("1", "No node > 1 cm^2"),
        ("1", ""),
        ("1", "End."),
        ("2", "Stage I & operable"),
    ]
    pdf = found.all("OBX")[-1]
    assert [pdf.component(5, n) for n in (2, 3, 4)] == ["AP", "PDF", "Base64"]
    assert b64decode(pdf.component(5, 5)) == REPORT.pdf
    assert {obx.component(11) for obx in found.all("OBX")} == {"F"}
    assert [obx.component(1) for obx in found.all("OBX")] == [str(n) for n in range(1, 8)]


def test_another_library_reads_the_same():
    found = hl7.parse(to_oru(REPORT).decode())
    assert found.extract_field("PID", 1, 3, 1, 1) == "9990000018"
    assert found.unescape(found.extract_field("OBX", 2, 5, 1, 1)) == "SUVmax 7.2 | liver 2.1"
    assert len(found.segments("OBX")) == 7


@pytest.mark.parametrize(
    ("status", "order", "result"),
    [
        (ResultStatus.PRELIMINARY, "P", "P"),
        (ResultStatus.FINAL, "F", "F"),
        (ResultStatus.CORRECTED, "C", "C"),
        (ResultStatus.WITHDRAWN, "X", "W"),
    ],
)
def test_status(status, order, result):
    found = read(to_oru(replace(REPORT, status=status, reason="Wrong side")))
    assert found.component("OBR", 25) == order
    assert {obx.component(11) for obx in found.all("OBX")} == {result}
    assert found.component("NTE", 3) == "Wrong side"


def test_a_withdrawn_report_says_nothing_of_what_it_said():
    gone = withdrawn(REPORT, control_id="2", sent_at=REPORT.sent_at, reason="Written for another person")
    data = to_oru(gone)
    found = read(data)
    assert b"SUVmax" not in data
    assert b"JVBER" not in data
    assert found.component("OBX", 5) == "This report is withdrawn. Written for another person"
    assert (found.component("OBR", 2), found.component("OBR", 3)) == ("P-77", "R-1")
    assert found.component("PID", 3) == "9990000018"


def test_the_same_report_is_the_same_bytes():
    assert to_oru(REPORT) == to_oru(replace(REPORT))


def test_without_an_nhs_number_the_hospital_number_comes_first():
    bare = replace(REPORT, subject=replace(REPORT.subject, nhs_number=""), pdf=None, study_uid="")
    assert read(to_oru(bare)).component("PID", 3) == "H12345"


@given(st.text(max_size=200), st.text(max_size=40))
def test_no_text_breaks_out_of_its_field(text, name):
    changed = replace(
        REPORT, sections=(Section("Findings", text),), pdf=None, study_uid="", subject=Subject(name, name, "9990000018")
    )
    data = to_oru(changed)
    found = read(data)
    assert {segment.name for segment in found.segments} == {"MSH", "PID", "ORC", "OBR", "OBX"}
    assert len(found.all("PID")) == len(found.all("OBR")) == 1
    assert found.component("PID", 3) == "9990000018"
    assert found.component("OBX", 11) == "F"
