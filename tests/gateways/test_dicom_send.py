"""When a study counts as delivered: a real PACS shows every instance, and a failure names where it stopped."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.sop_class import PositronEmissionTomographyImageStorage  # type: ignore[attr-defined]

from gantry.gateways.dicom.commitment import STORAGE_COMMITMENT, Address, Asked, Commitment, Reported, to_request
from gantry.gateways.dicom.send import Outgoing, Pacs, Phase, Proof, send_study
from gantry.gateways.dicom.server import Doors, serve
from gantry.gateways.dicom.storage import Kept, Store, StoredInstance
from tests.gateways.dicom_samples import LONDON, PET, pet_image, save
from tests.gateways.peers import Orthanc, free_port, needs, start_orthanc


def study(folder: Path, count: int = 3, number: int = 1) -> list[Outgoing]:
    images = [pet_image(each, study=number) for each in range(1, count + 1)]
    return [Outgoing(ds.SOPInstanceUID, save(ds, folder)) for ds in images]


def to(port: int, *proofs: Proof, **changes: object) -> Pacs:
    pacs = Pacs(
        host="127.0.0.1", port=port, ae_title="HOSPITALPACS", calling_ae_title="GANTRY", proofs=proofs, connect_s=2,
        answer_s=10, commitment_s=5,
    )  # fmt: skip
    return replace(pacs, **changes)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    with start_orthanc(tmp_path_factory.mktemp("pacs")) as running:
        yield running


@needs("Orthanc")
@pytest.mark.parametrize("proof", [Proof.FIND, Proof.QIDO])
def test_a_real_pacs_shows_every_instance_and_only_the_missing_go_again(
    orthanc: Orthanc, tmp_path: Path, proof: Proof
) -> None:
    number = 10 if proof is Proof.FIND else 11
    files = study(tmp_path, number=number)
    pacs = to(orthanc.dicom_port, proof, qido_url=orthanc.qido_url)
    first = send_study(files, pacs)
    assert first.delivered, first
    assert {outcome.proved_by for outcome in first.outcomes} == {proof}
    assert {file.sop_instance_uid for file in files} <= orthanc.instance_uids()

    orthanc.forget(files[1].sop_instance_uid)
    again = send_study(files, pacs)
    assert again.delivered
    assert [outcome.sent for outcome in again.outcomes] == [False, True, False]


@needs("Orthanc")
def test_a_commitment_that_does_not_come_is_replaced_by_a_query(orthanc: Orthanc, tmp_path: Path) -> None:
    """Orthanc answers commitment on an association of its own to an AE it knows; it does not know us."""
    sending = send_study(
        study(tmp_path, number=12), to(orthanc.dicom_port, Proof.COMMITMENT, Proof.FIND, commitment_s=0.2)
    )
    assert sending.delivered
    assert {outcome.proved_by for outcome in sending.outcomes} == {Proof.FIND}


@needs("Orthanc")
def test_orthanc_reports_a_commitment_to_our_listener(tmp_path: Path) -> None:
    reports: list[Reported] = []
    came = Event()

    def hear(report: Reported, caller: str) -> None:
        reports.append(report)
        came.set()

    commitment = Commitment("GANTRY", nothing_kept, reported=hear)
    listener = serve("GANTRY", ("127.0.0.1", 0), Doors(zone=LONDON, commitment=commitment))
    try:
        known = {"gantry": ("GANTRY", "127.0.0.1", listener.port)}
        with start_orthanc(tmp_path, modalities=known) as orthanc:
            files = study(tmp_path, count=1, number=13)
            # Its report comes on another association, so this sender is not told; the listener is.
            send_study(files, to(orthanc.dicom_port, Proof.COMMITMENT, commitment_s=0.0))
            assert came.wait(10)
        assert [uid for report in reports for _, uid in report.committed] == [files[0].sop_instance_uid]
    finally:
        listener.stop()


def nothing_kept(asked: Asked) -> Reported:
    return Reported(asked.transaction_uid, (), tuple((*pair, 0x0112) for pair in asked.instances))


def test_our_own_listener_commits_on_the_association_that_asked(tmp_path: Path) -> None:
    rows: dict[str, StoredInstance] = {}

    def keep(instance: StoredInstance) -> Kept:
        rows[instance.sop_instance_uid] = instance
        return Kept()

    def check(asked: Asked) -> Reported:
        kept = tuple(pair for pair in asked.instances if pair[1] in rows)
        return Reported(asked.transaction_uid, kept, tuple((*p, 0x0112) for p in asked.instances if p not in kept))

    doors = Doors(zone=LONDON, storage=Store(tmp_path / "kept", keep, LONDON), commitment=Commitment("HERE", check))
    running = serve("HERE", ("127.0.0.1", 0), doors)
    try:
        sending = send_study(study(tmp_path), to(running.port, Proof.COMMITMENT))
    finally:
        running.stop()
    assert sending.delivered
    assert {outcome.proved_by for outcome in sending.outcomes} == {Proof.COMMITMENT}


def test_a_report_for_an_asker_who_has_hung_up_goes_to_where_it_listens() -> None:
    """The asker breaks off while its question is being looked into, so that the order is sure."""
    reports: list[Reported] = []
    asking, broken_off, came = Event(), Event(), Event()

    def hear(report: Reported, caller: str) -> None:
        reports.append(report)
        came.set()

    def check(asked: Asked) -> Reported:
        asking.set()
        assert broken_off.wait(10)
        return nothing_kept(asked)

    listening = Doors(zone=LONDON, commitment=Commitment("ASKER", nothing_kept, reported=hear))
    asker = serve("ASKER", ("127.0.0.1", 0), listening)
    where = Address("127.0.0.1", asker.port, "ASKER")
    answering = Doors(zone=LONDON, commitment=Commitment("HERE", check, address_of=lambda _: where))
    running = serve("HERE", ("127.0.0.1", 0), answering)
    try:
        ae = AE("ASKER")
        ae.dimse_timeout = 0.5
        ae.add_requested_context(STORAGE_COMMITMENT)
        association = ae.associate("127.0.0.1", running.port, ae_title="HERE")
        question = to_request(Asked("1.2.3.4", "ASKER", ((PET, "1.2.3"),)))
        # Its patience over, pynetdicom aborts.
        status, _ = association.send_n_action(question, 1, STORAGE_COMMITMENT, "1.2.840.10008.1.20.1.1")
        assert "Status" not in status
        assert asking.is_set()
        broken_off.set()
        assert came.wait(10)
        assert [uid for _, uid, _ in reports[0].failed] == ["1.2.3"]
    finally:
        broken_off.set()
        running.stop()
        asker.stop()


@pytest.mark.parametrize(
    ("phase", "host", "closed"),
    [(Phase.RESOLVE, "pacs.invalid", False), (Phase.CONNECT, "127.0.0.1", True)],
)
def test_a_failure_names_its_phase(tmp_path: Path, phase: Phase, host: str, closed: bool) -> None:
    sending = send_study(study(tmp_path, 1), to(free_port(), Proof.FIND, host=host))
    assert (sending.delivered, sending.failed) == (False, phase)
    assert not sending.outcomes[0].sent


def peer(status: int, *, require_calling: str = "", answer_find: bool = False) -> tuple[object, int]:
    """A PACS of pynetdicom that stores nothing and says what it is told to."""
    ae = AE("HOSPITALPACS")
    ae.add_supported_context(PositronEmissionTomographyImageStorage)
    if answer_find:
        ae.add_supported_context("1.2.840.10008.5.1.4.1.2.2.1")
    ae.require_calling_aet = [require_calling] if require_calling else []

    def on_find(event: object) -> Iterator[tuple[int, Dataset | None]]:
        yield from ()

    handlers = [(evt.EVT_C_STORE, lambda event: status), (evt.EVT_C_FIND, on_find)]
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)  # type: ignore[arg-type]
    assert server is not None
    return server, int(server.server_address[1])


@pytest.mark.parametrize(
    ("status", "calling", "find", "phase", "reason"),
    [
        (0x0000, "SOMEONEELSE", True, Phase.ASSOCIATE, "Calling AE title not recognised"),
        (0xA700, "", True, Phase.STORE, "0xA700"),
        (0x0000, "", True, Phase.PROVE, "3 of 3 not shown"),
        (0x0000, "", False, Phase.PROVE, "no association for C-FIND"),
    ],
)
def test_said_success_is_not_delivered(
    tmp_path: Path, status: int, calling: str, find: bool, phase: Phase, reason: str
) -> None:
    server, port = peer(status, require_calling=calling, answer_find=find)
    try:
        sending = send_study(study(tmp_path), to(port, Proof.FIND))
    finally:
        server.shutdown()  # type: ignore[attr-defined]
    assert (sending.delivered, sending.failed) == (False, phase)
    assert reason in sending.reason


def test_a_file_that_holds_another_instance_is_not_sent(tmp_path: Path) -> None:
    server, port = peer(0)
    try:
        wrong = Outgoing("1.2.3", save(pet_image(), tmp_path))
        sending = send_study([wrong], to(port, Proof.FIND))
    finally:
        server.shutdown()  # type: ignore[attr-defined]
    assert (sending.failed, sending.outcomes[0].sent) == (Phase.STORE, False)
