"""Plays a hospital: sends orders by MLLP, accepts results, and keeps a PACS that shows what it holds."""

import argparse
import hashlib
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from pydicom import dcmread
from pydicom.dataset import Dataset
from pynetdicom import AE, evt

from gantry.domain.network.people import Hospital, Kind, answers, person
from gantry.gateways.dicom.commitment import NO_SUCH_OBJECT, Asked, Commitment, Reported
from gantry.gateways.dicom.reactor import PromptServer
from gantry.gateways.dicom.send import STUDY_ROOT_FIND
from gantry.gateways.dicom.server import LITTLE_ENDIAN, Doors, Server, offered
from gantry.gateways.dicom.status import Status
from gantry.gateways.dicom.storage import Kept, Store, StoredInstance
from gantry.gateways.emulators.addresses import HOSPITAL, HospitalAddress
from gantry.gateways.hl7 import mllp
from gantry.gateways.hl7.ack import AckCode, Acknowledgement, acknowledge, sender_of
from gantry.gateways.hl7.compose import OutgoingOrder, to_omi
from gantry.gateways.hl7.message import read
from gantry.gateways.hl7.refusals import Refusal
from gantry.gateways.hl7.results import Party

LONDON = ZoneInfo("Europe/London")
RECEIVER = Party("GANTRY", "NZZ")
UNKNOWN = b"MSH|^~\\&|||||||ACK|0|P|2.5.1\rMSA|AR|\r"

type Say = Callable[[str], None]


def silent(line: str) -> None:
    """Tests and loaders do not watch."""


def aloud(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


@dataclass(slots=True)
class Results:
    """The hospital's integration engine: accepts a result, remembers it, and says so."""

    say: Say = silent
    messages: list[bytes] = field(default_factory=list)

    def receive(self, data: bytes, peer: str = "") -> bytes:
        message = read(data)
        if isinstance(message, Refusal):
            return self.refuse(data, peer, "unreadable")
        self.messages.append(data)
        self.say(f"hospital: result {message.header.raw(10)} accepted")
        digest = hashlib.sha256(data).hexdigest()[:18]
        return acknowledge(
            sender_of(message), (), now=datetime.now(UTC), control_id=f"H{digest}", code=AckCode.ACCEPT
        )  # fmt: skip

    def refuse(self, data: bytes, peer: str, why: str) -> bytes:
        return UNKNOWN


@dataclass(frozen=True, slots=True)
class Held:
    """Where one instance of the PACS belongs."""

    sop_class_uid: str
    study_uid: str
    series_uid: str


@dataclass(slots=True)
class Pacs:
    """Keeps every instance as a file, and answers for each: by storage commitment and by C-FIND at image level."""

    root: Path
    ae_title: str = HOSPITAL.ae_title
    say: Say = silent
    held: dict[str, Held] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        """What was there before a restart is there after it."""
        for path in self.root.rglob("*.dcm"):
            ds = dcmread(path, stop_before_pixels=True, specific_tags=["SOPClassUID", "SOPInstanceUID",
                         "StudyInstanceUID", "SeriesInstanceUID"])  # fmt: skip
            self._remember(
                str(ds.SOPInstanceUID), str(ds.SOPClassUID), str(ds.StudyInstanceUID), str(ds.SeriesInstanceUID)
            )

    def keep(self, stored: StoredInstance) -> Kept:
        self._remember(stored.sop_instance_uid, stored.sop_class_uid, stored.study_uid, stored.series_uid)
        self.say(f"hospital: PACS keeps image {stored.sop_instance_uid[-12:]} of {stored.accession_number}")
        return Kept()

    def _remember(self, uid: str, sop_class: str, study: str, series: str) -> None:
        with self._lock:
            self.held[uid] = Held(sop_class, study, series)

    def committed(self, asked: Asked) -> Reported:
        kept = tuple(pair for pair in asked.instances if pair[1] in self.held)
        lost = tuple((*pair, NO_SUCH_OBJECT) for pair in asked.instances if pair[1] not in self.held)
        return Reported(asked.transaction_uid, kept, lost)

    def find(self, event: Any) -> Iterator[tuple[int, Dataset | None]]:
        """C-FIND, study root, image level: what the sender's proof asks (PS3.4 C.6.2)."""
        query = event.identifier
        wanted = {str(query.get(name) or "") for name in ("SOPInstanceUID",)} - {""}
        for uid, one in sorted(self.held.items()):
            if one.study_uid != str(query.get("StudyInstanceUID") or one.study_uid):
                continue
            if one.series_uid != str(query.get("SeriesInstanceUID") or one.series_uid) or (
                wanted and uid not in wanted
            ):
                continue
            answer = Dataset()
            answer.QueryRetrieveLevel = "IMAGE"
            answer.StudyInstanceUID, answer.SeriesInstanceUID = one.study_uid, one.series_uid
            answer.SOPClassUID, answer.SOPInstanceUID = one.sop_class_uid, uid
            yield int(Status.PENDING), answer
        yield int(Status.SUCCESS), None

    def serve(self, address: tuple[str, int]) -> Server:
        ae = AE(self.ae_title)
        doors = Doors(
            zone=LONDON,
            storage=Store(self.root, self.keep, LONDON, sync=False),
            commitment=Commitment(self.ae_title, self.committed),
        )
        handlers = offered(ae, doors)
        ae.add_supported_context(STUDY_ROOT_FIND, LITTLE_ENDIAN)
        handlers.append((evt.EVT_C_FIND, self.find))
        return Server(PromptServer(ae, address, handlers, limit_bytes=1 << 30))


@dataclass(frozen=True, slots=True)
class Running:
    """A hospital that listens. The ports are those it got where 0 was asked for."""

    results: Results
    pacs: Pacs
    mllp_port: int
    dicom_port: int


@contextmanager
def open_hospital(root: Path, address: HospitalAddress = HOSPITAL, *, say: Say = silent) -> Iterator[Running]:
    results, pacs = Results(say), Pacs(root, address.ae_title, say)
    listener = mllp.serve((address.host, address.mllp_port), results.receive, results.refuse)
    try:
        images = pacs.serve((address.host, address.dicom_port))
        try:
            yield Running(results, pacs, listener.port, images.port)
        finally:
            images.stop()
    finally:
        listener.stop()


def order(number: int, hospital: Hospital, *, at: datetime, within_days: int = 14) -> OutgoingOrder:
    """An order of a made-up person with the whole data set; the same number is the same person and order."""
    chance = Random(f"hospital order {number}")
    who = person(number, Kind.ADULT, at.date(), chance)
    given = answers(who, hospital, at=at, within_days=within_days, chance=chance)
    placer = f"ICE{hospital.ods}{number:07d}"
    return OutgoingOrder(f"E{placer}"[:20], placer, Party("TIE", hospital.ods), RECEIVER, at, given)


def send_order(
    number: int, hospital: Hospital, to: tuple[str, int], *, at: datetime, timeout_s: float = 30.0
) -> Acknowledgement:  # fmt: skip
    """Raises mllp.SendFailed, with what the far end said."""
    written = order(number, hospital, at=at)
    return mllp.send(*to, to_omi(written), control_id=written.control_id, timeout_s=timeout_s)


def main(
    arguments: Sequence[str], *, hospitals: Sequence[Hospital], root: Path, now: Callable[[], datetime],
    address: HospitalAddress, to: str,
) -> int:  # fmt: skip
    """`gantry emulate hospital [--orders N --every SECONDS --to HOST:PORT]`: listens until Ctrl-C."""
    asked = argparse.ArgumentParser(prog="gantry emulate hospital")
    asked.add_argument("--orders", type=int, default=0, help="how many orders to send")
    asked.add_argument("--every", type=float, default=20.0, help="seconds between them")
    asked.add_argument("--to", default=to, help="Gantry's MLLP listener")
    asked.add_argument("--once", action="store_true", help="leave when the orders are sent")
    said = asked.parse_args(list(arguments))
    host, _, port = said.to.rpartition(":")
    stop = threading.Event()
    with open_hospital(root, address, say=aloud) as running:
        aloud(f"hospital: MLLP at {running.mllp_port}, PACS {running.pacs.ae_title} at {running.dicom_port}")
        try:
            send_orders(said.orders, hospitals, (host, int(port)), every_s=said.every, stop=stop, now=now, say=aloud)
            if not said.once:
                stop.wait()
        except KeyboardInterrupt:
            stop.set()
    return 0


def send_orders(
    count: int, hospitals: Sequence[Hospital], to: tuple[str, int], *, every_s: float, stop: threading.Event,
    now: Callable[[], datetime], say: Say,
) -> None:  # fmt: skip
    for turn in range(count):
        at = now()
        number = 500_000 + (int(at.timestamp()) + turn) % 300_000
        hospital = hospitals[turn % len(hospitals)]
        try:
            answer = send_order(number, hospital, to, at=at)
            say(f"hospital: {hospital.ods} sent order {number}, answered {answer.code}")
        except mllp.SendFailed as failure:
            say(f"hospital: {hospital.ods} order {number} not taken: {failure}")
        if turn + 1 < count and stop.wait(every_s):
            return
