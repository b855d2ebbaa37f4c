"""H1, H2 and H4: real messages over a real MLLP connection, into the referrals room."""

import random
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

from django.conf import settings
from django.utils import timezone

from gantry.apps.audit.models import Event, InboxMessage
from gantry.apps.patients.models import Patient
from gantry.apps.referrals import services as referrals
from gantry.apps.referrals.models import Finding, Referral
from gantry.domain.events import EventKind
from gantry.domain.referral import ITEMS, Need, ReferralState
from gantry.gateways.conformance.expected import expected
from gantry.gateways.conformance.judging import Found
from gantry.gateways.conformance.setting import setting
from gantry.gateways.hl7 import mllp
from gantry.gateways.hl7.ack import Acknowledgement, read_acknowledgement
from gantry.gateways.hl7.message import Message, read
from gantry.gateways.hl7.orders import ORDER_TYPES, read_orders
from gantry.gateways.hl7.refusals import Refused, Severity
from gantry.gateways.hl7.wiring import DOOR, receive, refuse_unreceived

FILES = "hl7v2/**/*"
START, END = b"\x0b", b"\x1c\r"
ANSWER_S = 20.0

# How many messages a file holds and what they are, read here without the reader that is under test.
HEADER = re.compile(rb"(?:\A|(?<=[\r\n]))(?:\xef\xbb\xbf)?[ \t]*(MSH([^\w\s])[^\r\n]*)")
BREAK = re.compile(rb"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class Sent:
    """One message of a file, as its header line says."""

    file: str
    data: bytes = field(repr=False)
    type: str
    control_id: str


def files(data: Path) -> list[Path]:
    return sorted(path for path in data.glob(FILES) if path.is_file() and not path.name.startswith("EXPECTED"))


def messages(path: Path) -> list[Sent]:
    text = path.read_bytes()
    heads = list(HEADER.finditer(text))
    ends = [head.start(1) for head in heads[1:]] + [len(text)]
    return [one(path.name, text[head.start(1) : end], head[2]) for head, end in zip(heads, ends, strict=True)]


def one(file: str, data: bytes, mark: bytes) -> Sent:
    fields = BREAK.split(data)[0].split(mark)
    component = fields[1][:1] or b"^"
    said = fields[8].split(component) if len(fields) > 8 else [b""]
    kind = "^".join(part.decode("latin-1").strip() for part in said[:2])
    return Sent(file, data, kind, fields[9].decode("latin-1").strip() if len(fields) > 9 else "")


class Line:
    """A sender's connection, which must last however bad the messages are."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=ANSWER_S)
        self.waiting = b""

    def say(self, block: bytes) -> None:
        self.socket.sendall(START + block + END)

    def hear(self) -> Acknowledgement:
        while END not in self.waiting:
            some = self.socket.recv(65536)
            if not some:
                raise ConnectionError("the listener dropped the connection")
            self.waiting += some
        reply, _, self.waiting = self.waiting.partition(END)
        answer = read_acknowledgement(reply.removeprefix(START))
        if not isinstance(answer, Acknowledgement):
            raise ValueError(f"the answer is no acknowledgement: {answer.text}")
        return answer

    def close(self) -> None:
        self.socket.close()


@contextmanager
def listening(trust_ods: str) -> Iterator[mllp.Listener]:
    """The live listener with the live wiring; a message of nobody we know is this trust's."""
    setting(trust_ods)
    taken = partial(receive, default_sender=trust_ods)
    listener = mllp.serve(("127.0.0.1", 0), taken, refuse_unreceived)
    try:
        yield listener
    finally:
        listener.stop()


@contextmanager
def line(listener: mllp.Listener) -> Iterator[Line]:
    opened = Line(listener.port)
    try:
        yield opened
    finally:
        opened.close()


def kept() -> tuple[int, int]:
    return Referral.objects.count(), Patient.objects.count()


def half_kept() -> Iterator[str]:
    """Whatever a message left of itself by half."""
    for inbox in InboxMessage.objects.filter(door=DOOR).exclude(outcome="answered"):
        yield f"message {inbox.pk} was received and has no answer"
    told = EventKind.REFERRAL_RECEIVED
    for referral in Referral.objects.filter(door=DOOR).select_related("patient"):
        events = Event.objects.filter(kind=told, subjects__contains=[referral.pk]).count()
        if events != 1:
            yield f"referral {referral.pk} has {events} events of its receipt"
        waits = referral.state == ReferralState.AWAITING_REFERRER
        if waits and not Finding.objects.filter(referral=referral, resolved_at=None).exists():
            yield f"referral {referral.pk} waits for its referrer and nothing is asked"
        if not referral.patient.family_name and not referral.patient.nhs_number:
            yield f"referral {referral.pk} is of nobody"


def h1(data: Path) -> Found:
    """One acknowledgement a message over one connection, and nothing kept of what is refused."""
    accepted = set(expected(data, "H1")["accepted"])
    faults: list[str] = []
    total = taken = 0
    with listening("CNFH1") as listener, line(listener) as sender:
        for path in files(data):
            sent = messages(path)
            before = kept()
            sender.say(path.read_bytes())
            for message in sent or [Sent(path.name, b"", "", "")]:
                total += 1
                answer = sender.hear()
                taken += answer.accepted
                faults.extend(f"{path.name}: {fault}" for fault in misanswered(message, answer, accepted))
            if not any(message.type in accepted for message in sent) and kept() != before:
                faults.append(f"{path.name}: refused, and rows were kept of it")
        if listener.counts.connections != 1:
            faults.append(f"{listener.counts.connections} connections were needed")
        if listener.counts.failed:
            faults.append(f"the listener failed on {listener.counts.failed} messages")
        faults.extend(half_kept())
    return Found(f"{total} messages: {taken} AA, {total - taken} AE or AR with ERR", tuple(faults))


def misanswered(message: Sent, answer: Acknowledgement, accepted: set[str]) -> Iterator[str]:
    if answer.control_id != message.control_id:
        yield f"MSA-2 is {answer.control_id!r}, MSH-10 was {message.control_id!r}"
    if message.type in accepted:
        if answer.code != "AA":
            yield f"{message.type} was answered {answer.code}: {answer.text}"
    elif answer.code not in ("AE", "AR"):
        yield f"{message.type or 'no type'} was answered {answer.code or 'nothing'}"
    elif not any(refusal.severity is Severity.ERROR for refusal in answer.refusals):
        yield f"{message.type} was answered {answer.code} without ERR"


def h2(data: Path) -> Found:
    """The order: accepted, one referral that waits for its referrer, a finding for each gap."""
    want = expected(data, "H2")
    (path, *_) = [found for found in files(data) if found.name == want["order"]]
    sent = messages(path)
    faults: list[str] = []
    with listening("CNFH2") as listener, line(listener) as sender:
        sender.say(path.read_bytes())
        answers = [sender.hear() for _ in sent]
        if [message.type for message in sent] != [want["type"]]:
            faults.append(f"MSH-9 says {[message.type for message in sent]}")
        faults.extend(f"answered {answer.code}: {answer.text}" for answer in answers if answer.code != "AA")
        # By another check the same order may have come before; it is about one referral all the same.
        came = InboxMessage.objects.filter(door=DOOR, key__in=[message.control_id for message in sent])
        made = list(Referral.objects.filter(pk__in=came.values("subject")))
        if len(made) != 1:
            faults.append(f"{len(made)} referrals were made")
        gaps = [gap for referral in made for gap in missing_findings(referral, want)]
        faults.extend(gaps)
    asked = Finding.objects.filter(referral__in=made).count()
    return Found(f"AA; one referral in {want['state']} with {asked} findings", tuple(faults))


def missing_findings(referral: Referral, want: dict[str, object]) -> Iterator[str]:
    if referral.state != want["state"]:
        yield f"the referral is {referral.state}"
    asked = set(Finding.objects.filter(referral=referral, resolved_at=None).values_list("field", flat=True))
    case = referrals.case_of(referral, timezone.localdate(referral.received_at))
    required = {item.name for item in ITEMS if item.mandatory is Need.MANDATORY and not item.filled_here}
    gaps = {name for name in required if case.answers.get(name) in (None, "")} | set(want["gaps"])  # type: ignore[call-overload]
    yield from (f"{name} is missing and nothing asks for it" for name in sorted(gaps - asked))
    if not referral.patient.identifiers.exists():
        yield "the local identifier was not kept"
    if referral.patient.nhs_number:
        yield "an NHS number was made up"


def h4(data: Path) -> Found:
    """Cut anywhere: read or refused, a framing wait on the wire, nothing kept by half."""
    want = expected(data, "H4")
    sent = [message for path in files(data) for message in messages(path)]
    faults = list(cut_by_bytes(sent))
    places = [(message, found.end()) for message in sent for found in BREAK.finditer(message.data)]
    places = [(message, place) for message, place in places if place < len(message.data)]
    dice = random.Random(want["seed"])
    weights = [len(message.data) for message in sent]
    chosen = dice.choices(sent, weights=weights, k=want["cuts"])
    places += [(message, dice.randrange(1, len(message.data))) for message in chosen]
    with listening("CNFH4") as listener:
        faults += lost_connections(listener, places)
        whole, more = cut_blocks(listener, places)
        faults += more
        if listener.counts.failed:
            faults.append(f"the listener failed on {listener.counts.failed} messages")
        faults += half_kept()
    total = sum(weights)
    said = f"{total:,} cuts read, {len(places):,} on the wire: {len(places) - whole:,} AE or AR"
    notes = (f"{whole} cuts fell after all that makes an order: those orders were kept whole",) if whole else ()
    return Found(said, tuple(faults), notes)


def cut_by_bytes(sent: list[Sent]) -> Iterator[str]:
    zone = ZoneInfo(settings.TIME_ZONE)
    for message in sent:
        for length in range(len(message.data)):
            try:
                found = read(message.data[:length])
                if isinstance(found, Message) and found.type in ORDER_TYPES:
                    orders = read_orders(found, zone)
                    if isinstance(orders, Refused) and not orders.refusals:
                        yield f"{message.file} cut at {length}: refused without a reason"
            except Exception as error:
                yield f"{message.file} cut at {length}: {type(error).__name__}"


def lost_connections(listener: mllp.Listener, places: list[tuple[Sent, int]]) -> Iterator[str]:
    """The block has begun and not ended when its sender goes: it waits, and nothing is kept."""
    before, answered = kept(), listener.counts.messages
    for message, place in places:
        lost = socket.create_connection(("127.0.0.1", listener.port), timeout=ANSWER_S)
        with lost:
            lost.sendall(START + message.data[:place])
            lost.shutdown(socket.SHUT_WR)
            if lost.recv(1):
                yield f"{message.file} cut at {place} was answered before it ended"
    if listener.counts.messages != answered or kept() != before:
        yield "something was kept of blocks that never ended"


def cut_blocks(listener: mllp.Listener, places: list[tuple[Sent, int]]) -> tuple[int, list[str]]:
    """A whole block around half a message: refused, or an order that had all it needs."""
    whole, faults = 0, []
    with line(listener) as sender:
        for message, place in places:
            before = kept()
            sender.say(message.data[:place])
            answer = sender.hear()
            if answer.accepted:
                whole += 1
            elif answer.code not in ("AE", "AR"):
                faults.append(f"{message.file} cut at {place} was answered {answer.code or 'nothing'}")
            elif kept() != before:
                faults.append(f"{message.file} cut at {place} was refused, and rows were kept of it")
    return whole, faults
