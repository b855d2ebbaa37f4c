"""What a worklist query finds and what it is told: PS3.4 annex K, by pure calls and by DCMTK's findscu."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pynetdicom import AE
from pynetdicom.sop_class import ModalityWorklistInformationFind  # type: ignore[attr-defined]

from gantry.gateways.dicom.elements import encode, to_pydicom
from gantry.gateways.dicom.index import SUPPORTED, WorklistIndex, WorklistSource, element_paths
from gantry.gateways.dicom.matching import Unmatchable
from gantry.gateways.dicom.query import to_query
from gantry.gateways.dicom.server import Doors, Server, serve
from gantry.gateways.dicom.worklist import Name, elements_of, item_from_dataset, to_dataset
from tests.gateways.dicom_samples import LONDON, Board, item
from tests.gateways.peers import dump2dcm, needs, run_echoscu, run_findscu

STEP = "ScheduledProcedureStepSequence"


def ask(step: dict[str, Any] | None = None, **keys: Any) -> Dataset:
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    for keyword, value in keys.items():
        setattr(ds, keyword, value)
    inner = Dataset()
    for keyword, value in (step or {}).items():
        setattr(inner, keyword, value)
    ds.ScheduledProcedureStepSequence = [inner]
    return ds


def found(index: WorklistIndex, query: Dataset) -> list[str]:
    query.ScheduledProcedureStepSequence[0].ScheduledProcedureStepID = query.ScheduledProcedureStepSequence[0].get(
        "ScheduledProcedureStepID", ""
    )
    data_sets = index.find(to_query(query), explicit=True).data_sets
    return [read(each).ScheduledProcedureStepSequence[0].ScheduledProcedureStepID for each in data_sets]


def read(encoded: bytes) -> Dataset:
    from io import BytesIO

    from pydicom.filereader import read_dataset

    return read_dataset(BytesIO(encoded), is_implicit_VR=False, is_little_endian=True)


@pytest.fixture
def index() -> WorklistIndex:
    return WorklistIndex(
        Board(
            item(1),
            item(2, station_ae_titles=("PETCT2",), patient_name=Name("O'ZZTEST", "Ann"), patient_id="9990000026"),
            item(3, start=datetime(2026, 11, 24, 0, 15, tzinfo=LONDON), modality="CT", step_status="ARRIVED"),
            item(4, start=datetime(2026, 11, 25, 16, 0, tzinfo=LONDON), station_ae_titles=("PETCT1", "PETCT2")),
        ).source(),
        LONDON,
    )


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (ask(), ["SPS1", "SPS2", "SPS3", "SPS4"]),
        (ask(PatientName="*"), ["SPS1", "SPS2", "SPS3", "SPS4"]),
        (ask({"ScheduledStationAETitle": "PETCT2"}), ["SPS2", "SPS4"]),
        (ask({"ScheduledStationAETitle": "PETCT?"}), ["SPS1", "SPS2", "SPS3", "SPS4"]),
        (ask({"ScheduledStationAETitle": "PETCT"}), []),
        (ask({"ScheduledStationAETitle": "petct1"}), []),
        (ask({"ScheduledProcedureStepStartDate": "20261124"}), ["SPS3"]),
        (ask({"ScheduledProcedureStepStartDate": "20261124-"}), ["SPS3", "SPS4"]),
        (ask({"ScheduledProcedureStepStartDate": "-20261124"}), ["SPS1", "SPS2", "SPS3"]),
        (ask({"ScheduledProcedureStepStartDate": "20261124-20261125"}), ["SPS3", "SPS4"]),
        (ask({"ScheduledProcedureStepStartDate": "20261123", "ScheduledStationAETitle": "PETCT1"}), ["SPS1"]),
        (ask({"ScheduledProcedureStepStartTime": "0800-0830"}), ["SPS1"]),
        (ask({"ScheduledProcedureStepStartTime": "083000"}), ["SPS1"]),
        (ask({"Modality": "CT"}), ["SPS3"]),
        (ask({"Modality": ["CT", "MR"]}), ["SPS3"]),
        (ask({"ScheduledProcedureStepID": "SPS2"}), ["SPS2"]),
        (ask({"ScheduledProcedureStepStatus": "ARRIVED"}), ["SPS3"]),
        (ask({"ScheduledProcedureStepDescription": "FDG*"}), ["SPS1", "SPS2", "SPS3", "SPS4"]),
        (ask({"ScheduledProcedureStepDescription": "fdg*"}), []),
        (ask(PatientName="zztest^zoe"), ["SPS1", "SPS3", "SPS4"]),
        (ask(PatientName="ZZTEST"), ["SPS1", "SPS3", "SPS4"]),
        (ask(PatientName="ZZTEST^Z"), []),
        (ask(PatientName="ZZTEST*"), ["SPS1", "SPS3", "SPS4"]),
        (ask(PatientName="O'ZZ*^A?n"), ["SPS2"]),
        (ask(PatientID="9990000026"), ["SPS2"]),
        (ask(PatientID="999*26"), ["SPS2"]),
        (ask(AccessionNumber="ACC00004"), ["SPS4"]),
        (ask(StudyInstanceUID=["1.2.3", item(3).study_uid]), ["SPS3"]),
        (ask(PatientBirthDate="19610203", PatientID="9990000026"), ["SPS2"]),
        (ask(PatientWeight="81.50"), ["SPS1", "SPS2", "SPS3", "SPS4"]),
        (ask(PregnancyStatus=1), ["SPS1", "SPS2", "SPS3", "SPS4"]),
        (ask(PregnancyStatus=3), []),
        (ask(AdmissionID="X"), []),
        # An optional key we hold nothing for is as if it were not given.
        (ask(EthnicGroup="X", PatientID="9990000026"), ["SPS2"]),
    ],
    ids=lambda value: None if isinstance(value, list) else " ".join(str(value).split())[30:110],
)
def test_matching(index: WorklistIndex, query: Dataset, expected: list[str]) -> None:
    assert found(index, query) == expected


def test_a_range_of_days_with_a_range_of_times_is_one_span_of_moments(index: WorklistIndex) -> None:
    """PS3.4 table K.6-1: from 08:45 on the 23rd to 00:30 on the 24th, not each morning between those times."""
    step = {"ScheduledProcedureStepStartDate": "20261123-20261124", "ScheduledProcedureStepStartTime": "0845-0030"}
    assert found(index, ask(step)) == ["SPS2", "SPS3"]


def test_keys_of_one_sequence_are_met_by_one_item() -> None:
    other = replace(item(1).requested_procedure_codes[0], value="X", scheme="LOCAL")
    index = WorklistIndex(
        Board(item(1, requested_procedure_codes=(*item(1).requested_procedure_codes, other))).source(), LONDON
    )
    for scheme, matches in (("LOCAL", True), ("SCT", False)):
        code = Dataset()
        code.CodeValue, code.CodingSchemeDesignator = "X", scheme
        assert bool(found(index, ask(RequestedProcedureCodeSequence=[code]))) is matches


@pytest.mark.parametrize("days", ["2026-11-23", "20261332", "yesterday", "-"])
def test_a_date_that_is_none_is_refused_with_its_tag(days: str) -> None:
    with pytest.raises(Unmatchable) as refused:
        to_query(ask({"ScheduledProcedureStepStartDate": days}))
    assert refused.value.tag == 0x00400002


def test_only_what_was_asked_for_is_returned_and_the_character_set_is_said(index: WorklistIndex) -> None:
    query = ask({"ScheduledStationAETitle": "PETCT2"}, PatientName="", PatientSize="", AdmissionID="", EthnicGroup="")
    answer = index.find(to_query(query), explicit=True)
    ds = read(answer.data_sets[0])
    assert [data.keyword for data in ds] == [
        "SpecificCharacterSet", "TimezoneOffsetFromUTC", "PatientName", "PatientSize", "AdmissionID", STEP,
    ]  # fmt: skip
    assert ds.AdmissionID == ""
    assert [data.keyword for data in ds.ScheduledProcedureStepSequence[0]] == ["ScheduledStationAETitle"]
    assert not answer.all_keys_supported


def test_an_item_is_told_whole_and_read_back_equal() -> None:
    for each in (
        item(1, medical_alerts=("Pacemaker", "MRSA"), patient_comments="a\\b", contrast_agent="none"),
        item(2, patient_name=Name("Łódzki", "Żaneta", "M", "Mgr", "Jr", "山田^太郎=やまだ^たろう"), weight_kg=None),
        item(3, extra={"00102160": {"vr": "SH", "Value": ["Q"]}}),
    ):
        assert item_from_dataset(to_dataset(each, LONDON), LONDON) == each


def test_text_that_a_person_typed_cannot_make_another_value_or_component() -> None:
    ds = to_dataset(item(1, patient_name=Name("A^B=C\\D", "E"), accession_number="1\\2", allergies=("x\\y",)), LONDON)
    assert str(ds.PatientName) == "A B C D^E"
    assert (ds.AccessionNumber, ds.Allergies) == ("1/2", "x/y")


def test_the_wall_clock_is_the_scanners_on_the_night_the_clocks_change() -> None:
    summer = item(1, start=datetime(2026, 10, 25, 0, 30, tzinfo=LONDON))
    winter = item(2, start=datetime(2026, 10, 25, 1, 30, fold=1, tzinfo=LONDON))
    said = [(to_dataset(each, LONDON).TimezoneOffsetFromUTC) for each in (summer, winter)]
    assert said == ["+0100", "+0000"]


def test_every_supported_attribute_is_really_held_for_every_item() -> None:
    held = set(element_paths(elements_of(item(1), LONDON)))
    references = {path for path in SUPPORTED if len(path) == 2 and path[0] in {0x00081110, 0x00081120}}
    assert held - {(0x00080005,), (0x00080201,)} == SUPPORTED - references


def test_explicit_and_implicit_encodings_say_the_same() -> None:
    from io import BytesIO

    from pydicom.filereader import read_dataset

    elements = elements_of(item(1), LONDON)
    implicit = read_dataset(BytesIO(encode(elements, explicit=False)), is_implicit_VR=True, is_little_endian=True)
    assert implicit.to_json_dict() == to_pydicom(elements).to_json_dict()


def test_a_change_is_seen_by_the_next_query_and_an_unchanged_list_is_not_read_again() -> None:
    board = Board(item(1))
    index = WorklistIndex(board.source(), LONDON)
    assert found(index, ask()) == found(index, ask()) == ["SPS1"]
    assert board.asked == 1
    board.put(item(2))
    assert found(index, ask()) == ["SPS1", "SPS2"]
    board.put(item(1, station_ae_titles=("PETCT9",)))
    assert found(index, ask({"ScheduledStationAETitle": "PETCT9"})) == ["SPS1"]
    board.remove("SPS1")
    assert found(index, ask()) == ["SPS2"]


# The wire


@pytest.fixture
def server(index: WorklistIndex) -> Iterator[Server]:
    running = serve("GANTRY", ("127.0.0.1", 0), Doors(zone=LONDON, worklist=index))
    yield running
    running.stop()


@needs("echoscu")
def test_dcmtk_verifies_us(server: Server) -> None:
    assert run_echoscu(server.port, called="GANTRY").returncode == 0


@needs("findscu")
@pytest.mark.parametrize("syntax", ["-xi", "-xe"])
def test_dcmtk_reads_names_in_utf8(server: Server, syntax: str) -> None:
    keys = ["PatientName", f"{STEP}[0].ScheduledStationAETitle=PETCT1", f"{STEP}[0].ScheduledProcedureStepID"]
    answers = run_findscu(server.port, keys, called="GANTRY", options=[syntax])
    assert [str(ds.PatientName) for ds in answers] == ["ZZTEST^Zoë^^Dr"] * 3
    assert answers[0].ScheduledProcedureStepSequence[0].ScheduledProcedureStepID == "SPS1"


@needs("findscu", "dump2dcm")
def test_a_query_in_latin_1_finds_a_name_kept_in_utf8(server: Server, tmp_path: Path) -> None:
    dump = tmp_path / "query.dump"
    dump.write_bytes("(0008,0005) CS [ISO_IR 100]\n(0010,0010) PN [ZZTEST^Zoë*]\n".encode("latin-1"))
    query = dump2dcm(dump, tmp_path / "query.dcm")
    assert len(run_findscu(server.port, called="GANTRY", query=query)) == 3


@needs("findscu")
def test_a_bad_key_is_refused_by_status_and_the_listener_lives(server: Server) -> None:
    with pytest.raises(RuntimeError, match=r"DataSetDoesNotMatchSOPClass|0xa900"):
        run_findscu(server.port, [f"{STEP}[0].ScheduledProcedureStepStartDate=tomorrow"], called="GANTRY")
    assert len(run_findscu(server.port, ["PatientName"], called="GANTRY")) == 4


def test_a_broken_worklist_is_said_and_not_an_empty_one() -> None:
    def broken() -> object:
        raise ConnectionError("no database")

    source = WorklistSource(broken, Board().source().changes)
    running = serve("GANTRY", ("127.0.0.1", 0), Doors(zone=LONDON, worklist=WorklistIndex(source, LONDON)))
    try:
        with Associated(running.port) as association:
            ((status, _),) = list(association.send_c_find(ask(), ModalityWorklistInformationFind))
        assert status.Status == 0xC001
        assert "worklist" in status.ErrorComment
    finally:
        running.stop()


class Associated:
    def __init__(self, port: int, max_pdu: int = 16382) -> None:
        ae = AE("TESTER")
        ae.add_requested_context(ModalityWorklistInformationFind)
        self.association = ae.associate("127.0.0.1", port, ae_title="GANTRY", max_pdu=max_pdu)

    def __enter__(self) -> Any:
        assert self.association.is_established
        return self.association

    def __exit__(self, *_: object) -> None:
        if self.association.is_established:
            self.association.release()


def test_c_cancel_stops_a_long_answer_and_the_association_goes_on() -> None:
    long = "x" * 60
    board = Board(*(item(number, step_comments=long * 100) for number in range(4000)))
    running = serve("GANTRY", ("127.0.0.1", 0), Doors(zone=LONDON, worklist=WorklistIndex(board.source(), LONDON)))
    try:
        with Associated(running.port) as association:
            query = ask({"CommentsOnTheScheduledProcedureStep": ""})
            statuses = []
            for status, _ in association.send_c_find(query, ModalityWorklistInformationFind, msg_id=7):
                statuses.append(status.Status)
                if len(statuses) == 1:
                    association.send_c_cancel(7, None, ModalityWorklistInformationFind)
            assert statuses[-1] == 0xFE00
            assert len(statuses) < 4000
            again = list(
                association.send_c_find(ask({"ScheduledProcedureStepID": "SPS9"}), ModalityWorklistInformationFind)
            )
            assert [status.Status for status, _ in again] == [0xFF00, 0x0000]
    finally:
        running.stop()


def test_answers_longer_than_the_peers_pdu_are_cut_to_it() -> None:
    board = Board(item(1, step_comments="y" * 9000))
    running = serve("GANTRY", ("127.0.0.1", 0), Doors(zone=LONDON, worklist=WorklistIndex(board.source(), LONDON)))
    try:
        with Associated(running.port, max_pdu=4096) as association:
            query = ask({"CommentsOnTheScheduledProcedureStep": ""})
            (_, ds), _ = list(association.send_c_find(query, ModalityWorklistInformationFind))
        assert ds.ScheduledProcedureStepSequence[0].CommentsOnTheScheduledProcedureStep == "y" * 9000
    finally:
        running.stop()


@pytest.mark.data
@needs("findscu", "dump2dcm")
def test_dcmtks_own_items_and_queries(real_data: Path, tmp_path: Path) -> None:
    """D5."""
    folder = real_data / "dicom" / "mwl-dcmtk"
    files = [dump2dcm(dump, tmp_path / f"{dump.stem}.wl") for dump in sorted((folder / "Database").glob("*.dump"))]
    items = [item_from_dataset(dcmread(file, force=True), LONDON) for file in files]
    running = serve(
        "GANTRY", ("127.0.0.1", 0), Doors(zone=LONDON, worklist=WorklistIndex(Board(*unique(items)).source(), LONDON))
    )
    try:
        counts, names = [], []
        for number in (0, 1, 2, 4, 6, 8):
            query = dump2dcm(folder / "Queries" / f"wlistqry{number}.dump", tmp_path / f"q{number}.dcm")
            answers = run_findscu(running.port, called="GANTRY", query=query)
            counts.append(len(answers))
            names.append(sorted(str(ds.PatientName) for ds in answers))
        assert counts == [10, 10, 0, 0, 0, 0]
        assert names[0] == sorted(str(dcmread(file, force=True).PatientName) for file in files)
    finally:
        running.stop()


def unique(items: list[Any]) -> list[Any]:
    assert len({each.step_id for each in items}) == len(items)
    return items
