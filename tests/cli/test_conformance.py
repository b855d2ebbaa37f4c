"""What the conformance command says of a folder: passed, failed with the reason, not asked; and its exit status."""

import json
from pathlib import Path

import pytest

from gantry.cli.conformance import run
from gantry.gateways.conformance.checks import CHECKS, chosen
from gantry.gateways.conformance.dumps import read_dump
from gantry.gateways.conformance.expected import expected
from gantry.gateways.conformance.hl7 import messages
from gantry.gateways.conformance.judging import Check, Found, Verdict, judge
from tests.gateways.hl7_samples import order

ORDER = order()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "hl7v2").mkdir()
    return tmp_path


def test_a_check_passes_fails_falls_or_is_not_asked(folder: Path):
    (folder / "hl7v2" / "one").touch()

    def broken(data: Path) -> Found:
        raise ZeroDivisionError(str(data))

    checks = (
        Check("A", "good", ("hl7v2/*",), lambda data: Found("fine")),
        Check("B", "bad", (), lambda data: Found("not fine", ("why",))),
        Check("C", "fallen", (), broken),
        Check("D", "absent", ("fhir/*",), broken),
        Check("E", "later", ("hl7v2/*",), later="belongs to a later issue"),
    )
    rows = {row.name: row for row in judge(checks, folder)}
    assert [row.verdict for row in rows.values()] == [
        Verdict.PASSED,
        Verdict.FAILED,
        Verdict.FAILED,
        Verdict.NOT_ASKED,
        Verdict.NOT_ASKED,
    ]
    assert "ZeroDivisionError" in rows["C"].found.faults[0]
    assert rows["D"].found.said == "no input: fhir/*"
    assert rows["E"].found.said == "belongs to a later issue"


def test_the_folders_own_values_come_before_the_table(folder: Path):
    assert expected(folder, "H4")["cuts"] == 500
    (folder / "EXPECTED.json").write_text(json.dumps({"H4": {"cuts": 7}}))
    assert expected(folder, "H4") == {"cuts": 7, "seed": 20260330}


def test_checks_are_chosen_by_name():
    assert [check.name for check in chosen(("h2", " F1 "))] == ["F1", "H2"]
    assert chosen(()) == CHECKS
    assert run(Path("."), only=("X9",)) == 2


def test_messages_are_counted_without_the_reader_under_test(folder: Path):
    path = folder / "hl7v2" / "two.hl7"
    path.write_bytes(b"\xef\xbb\xbf" + ORDER + b"\r\n" + ORDER.replace(b"C-1001", b"C-1002").replace(b"\r", b"\n"))
    assert [(one.type, one.control_id) for one in messages(path)] == [("OMI^O23", "C-1001"), ("OMI^O23", "C-1002")]


def test_a_dump_is_read_with_its_items_and_the_first_of_two(tmp_path: Path):
    path = tmp_path / "one.dump"
    path.write_text(
        "# a comment\n(0008,0050) SH  00002\n(0008,0050) SH  345345\n(0010,0010) PN [ZZTEST^ADA] # PatientName\n"
        "(0040,0100) SQ\n(fffe,e000) -\n(0008,0060) CS  PT\n(0040,0012) LO\n(fffe,e00d) -\n(fffe,e0dd) -\n"
        "(0040,1001) SH  RP1\n"
    )
    ds = read_dump(path)
    assert (ds.AccessionNumber, ds.PatientName, ds.RequestedProcedureID) == ("00002", "ZZTEST^ADA", "RP1")
    assert ds.ScheduledProcedureStepSequence[0].Modality == "PT"


@pytest.mark.django_db(transaction=True)
def test_messages_of_ones_own_pass_and_a_lie_about_them_fails(folder: Path, capsys: pytest.CaptureFixture[str]):
    (folder / "hl7v2" / "ours.hl7").write_bytes(ORDER)
    (folder / "hl7v2" / "strange.hl7").write_bytes(
        ORDER.replace(b"OMI^O23^OMI_O23", b"ADT^A01").replace(b"1001", b"1003")
    )
    (folder / "EXPECTED.json").write_text(json.dumps({"H4": {"cuts": 5}}))
    assert run(folder, only=("H1", "H4"), as_json=True) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["check"], row["verdict"]) for row in rows] == [("H1", "passed"), ("H4", "passed")]
    (folder / "EXPECTED.json").write_text(json.dumps({"H1": {"accepted": ["ADT^A01"]}}))
    assert run(folder, only=("H1",)) == 1
    said = capsys.readouterr().out
    assert "H1  failed" in said and "ADT^A01 was answered AR" in said and "1 failed: H1" in said
