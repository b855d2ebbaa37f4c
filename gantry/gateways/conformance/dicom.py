"""D5 and D6: a worklist asked and malformed objects stored, over real associations with the live node."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.test.utils import override_settings
from django.utils import timezone
from django.utils.html import escape
from pydicom import dcmread
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian, generate_uid
from pynetdicom import AE, build_context
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE

from gantry.apps.scanning.models import Instance, ScheduledStep, Study
from gantry.apps.scanning.services import worklist
from gantry.gateways.conformance.dumps import read_dump
from gantry.gateways.conformance.expected import expected
from gantry.gateways.conformance.judging import Found
from gantry.gateways.conformance.setting import setting
from gantry.gateways.dicom.server import VERIFICATION, WORKLIST_FIND, Server, serve
from gantry.gateways.dicom.status import Status
from gantry.gateways.dicom.wiring import make_doors, scheduling_of

TITLE, SCANNER = "GANTRY", "CONFORMANCE"
PENDING = {Status.PENDING, Status.PENDING_KEYS_UNSUPPORTED}
ANSWER_S = 30.0
UNDEFINED = 0xFFFFFFFF


@contextmanager
def node() -> Iterator[Server]:
    """The live node with the live wiring, and a folder of its own for images."""
    setting("CNFD")
    with TemporaryDirectory() as images, override_settings(IMAGES_ROOT=images, IMAGES_FSYNC=False):
        server = serve(TITLE, ("127.0.0.1", 0), make_doors())
        try:
            yield server
        finally:
            server.stop()


@contextmanager
def association(server: Server, *contexts: Any) -> Iterator[Association]:
    ae = AE(SCANNER)
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = ANSWER_S
    opened = ae.associate("127.0.0.1", server.port, contexts=list(contexts), ae_title=TITLE)
    try:
        yield opened
    finally:
        if opened.is_established:
            opened.release()


def answers_to_echo(server: Server) -> bool:
    with association(server, build_context(VERIFICATION)) as opened:
        return opened.is_established and opened.send_c_echo().get("Status") == Status.SUCCESS


# The worklist


def d5(data: Path) -> Found:
    """The items as scheduled steps through the live worklist's service; each query's answers as many and as said."""
    (folder, *_) = {path.parent.parent for path in data.glob("dicom/**/Database/*.dump")}
    want = expected(data, "D5")
    items = [read_dump(path) for path in sorted((folder / "Database").glob("*.dump"))]
    faults: list[str] = []
    counts = {}
    with node() as server:
        # What an earlier check booked is taken off the list: these items and no others are asked about.
        before = ScheduledStep.objects.count()
        ScheduledStep.objects.update(state="removed")
        for item in items:
            worklist.load(scheduling_of(item, ZoneInfo(settings.TIME_ZONE)), now=timezone.now())
        made = ScheduledStep.objects.count() - before
        if made != len(items):
            faults.append(f"{len(items)} items became {made} scheduled steps")
        for path in sorted((folder / "Queries").glob("*.dump")):
            number = re.sub(r"\D", "", path.stem)
            answers, status = ask(server, read_dump(path))
            counts[number] = len(answers)
            if status != Status.SUCCESS:
                faults.append(f"query {number} ended with 0x{status:04X}")
            faults.extend(differences(number, answers, folder, want))
    said = ", ".join(f"{number}: {count}" for number, count in counts.items())
    return Found(f"{len(items)} items; answers by query {said}", tuple(faults))


def ask(server: Server, query: Dataset) -> tuple[list[Dataset], int]:
    with association(server, build_context(WORKLIST_FIND, [ExplicitVRLittleEndian])) as opened:
        answers, last = [], 0
        for status, answer in opened.send_c_find(query, WORKLIST_FIND):
            last = int(status.get("Status", 0xFFFF))
            if last in PENDING and answer is not None:
                answers.append(answer)
        return answers, last


def differences(number: str, answers: list[Dataset], folder: Path, want: dict[str, Any]) -> Iterator[str]:
    told = folder / "Expected" / f"all-{number}.json"
    if told.exists():
        lines = json.loads(told.read_text(encoding="utf-8"))
        if len(lines) != len(answers):
            yield f"query {number} was answered with {len(answers)} items, not {len(lines)}"
        missing = Counter(map(told_values, lines)) - Counter(shown_values(answer, lines) for answer in answers)
        yield from (f"query {number}: no answer says {dict(one)}" for one in missing)
    elif (count := want["answers"].get(number)) is not None and count != len(answers):
        yield f"query {number} was answered with {len(answers)} items, not {count}"


TOLD = re.compile(r"\((\w{4}),(\w{4})\) \w\w \[(.*)\]$")


def told_values(lines: list[str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((m[1] + m[2], m[3].strip()) for m in map(TOLD.match, lines) if m))


def shown_values(answer: Dataset, lines: list[list[str]]) -> tuple[tuple[str, str], ...]:
    """The same attributes of an answer as the expected items name."""
    tags = {tag for one in lines for tag, _ in told_values(one)}
    shown = {f"{element.tag:08x}": str(element.value).strip() for element in answer if element.VR != "SQ"}
    return tuple(sorted((tag, shown[tag]) for tag in tags if shown.get(tag)))


# Malformed objects


@dataclass(frozen=True, slots=True)
class Object:
    """A file as it is put on the wire: its bytes unread, named as it names itself."""

    path: Path
    data_set: bytes
    sop_class: str
    sop_instance: str
    syntax: str


def d6(data: Path) -> Found:
    """A failure status with a reason, or kept whole and only what is whole; never a crash, never two people made one."""
    want = expected(data, "D6")
    objects = [found for path in sorted(data.glob("dicom/malformed-*/*")) if (found := as_sent(path))]
    faults: list[str] = []
    kept, refused, notes = [], 0, []
    with node() as server:
        before = memory_mib()
        for one in objects:
            rows = Instance.objects.count()
            status, comment = store(server, one)
            if status == Status.SUCCESS:
                kept.append(one)
                faults.extend(f"{one.path.name}: {fault}" for fault in not_whole(one))
                if lacks_its_end(one):
                    faults.append(f"{one.path.name}: success was said of what ends before its last element does")
            else:
                refused += 1
                said = "not agreed to" if status is None else f"0x{status:04X} {comment}"
                notes.append(f"{one.path.name}: {said}")
                if status is not None and not comment:
                    faults.append(f"{one.path.name}: refused 0x{status:04X} without a reason")
                if Instance.objects.count() != rows:
                    faults.append(f"{one.path.name}: refused, and a row was kept of it")
            if not answers_to_echo(server):
                faults.append(f"{one.path.name}: the node does not answer after it")
        grown = memory_mib() - before
        if grown > want["memory_mib"]:
            faults.append(f"memory grew by {grown:.0f} MiB")
        faults.extend(merged(objects, want))
        faults.extend(unescaped())
    said = f"{len(objects)} objects: {refused} refused with a reason, {len(kept)} kept byte for byte; {grown:.0f} MiB"
    return Found(said, tuple(faults), tuple(notes))


def as_sent(path: Path) -> Object | None:
    """None for what is no DICOM at all (its JSON twin, a README)."""
    raw = path.read_bytes()
    if path.suffix in {".json", ".txt", ".md"}:
        return None
    at, syntax = 0, ""
    if raw[128:132] == b"DICM":
        group_length = raw[132:136] == b"\x02\x00\x00\x00"
        at = 144 + int.from_bytes(raw[140:144], "little") if group_length else 132
    try:
        with BytesIO(raw) as file:
            header = dcmread(file, force=True, stop_before_pixels=True, specific_tags=["SOPClassUID", "SOPInstanceUID"])
        meta = getattr(header, "file_meta", Dataset())
        syntax = str(meta.get("TransferSyntaxUID", ""))
        sop_class = str(header.get("SOPClassUID") or meta.get("MediaStorageSOPClassUID") or "")
        sop_instance = str(header.get("SOPInstanceUID") or meta.get("MediaStorageSOPInstanceUID") or "")
    except Exception:
        sop_class = sop_instance = ""
    # A file that does not say what it is goes as a secondary capture under a name of ours.
    return Object(
        path, raw[at:], sop_class or SECONDARY_CAPTURE, sop_instance or generate_uid(), syntax or guess(raw[at:])
    )


SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


def guess(data_set: bytes) -> str:
    explicit = data_set[4:6].isalpha() and data_set[4:6].isupper()
    return str(ExplicitVRLittleEndian if explicit else ImplicitVRLittleEndian)


def store(server: Server, one: Object) -> tuple[int | None, str]:
    """The status and its reason; None where the node would not agree to such an object at all."""
    context = build_context(UID(one.sop_class), one.syntax)
    with association(server, context) as opened:
        if not opened.is_established or not opened.accepted_contexts:
            return None, ""
        request = C_STORE()
        request.MessageID, request.Priority = 1, 2
        request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = UID(one.sop_class), UID(one.sop_instance)
        request.DataSet = BytesIO(one.data_set)
        opened._reactor_checkpoint.clear()
        try:
            opened.dimse.send_msg(request, opened.accepted_contexts[0].context_id)
            _, answer = opened.dimse.get_msg(block=True)
        finally:
            opened._reactor_checkpoint.set()
        if answer is None:
            return 0xFFFF, ""
        return int(answer.Status), str(answer.ErrorComment or "")


def not_whole(one: Object) -> Iterator[str]:
    row = Instance.objects.filter(sop_instance_uid=one.sop_instance).first()
    if row is None:
        yield "success was said and there is no row"
        return
    path = Path(settings.IMAGES_ROOT) / row.path
    if not path.exists() or not path.read_bytes().endswith(one.data_set):
        yield "success was said and the file is not what was sent"


def lacks_its_end(one: Object) -> bool:
    """As pydicom reads the file itself: the last element's value is shorter than its length says."""
    try:
        with BytesIO(one.path.read_bytes()) as file:
            header = dcmread(file, force=True)
        last = header.get_item(max(header.keys())) if len(header) else None
    except EOFError:
        return True
    except Exception:
        return False  # cannot be read, which proves nothing of its end
    return isinstance(last, RawDataElement) and last.length != UNDEFINED and len(last.value or b"") < last.length


def merged(objects: list[Object], want: dict[str, Any]) -> Iterator[str]:
    """People who share an identifier stay apart."""
    shared = Study.objects.filter(patient_id=want["shared_patient_id"])
    sent = {one.sop_instance for one in objects if want["shared_patient_id"].encode() in one.data_set}
    if len(sent) != want["people"]:
        return
    people = {(study.patient_name, study.birth_date) for study in shared}
    if shared.count() != want["people"] or len(people) != want["people"]:
        yield f"{want['people']} people who share an identifier became {shared.count()} studies of {len(people)} people"


def unescaped() -> Iterator[str]:
    """A name with markup in it, on the page where it is put right."""
    for study in Study.objects.exclude(patient_name=""):
        name = study.patient_name
        if escape(name) != name and "<" in name:
            yield from raw_on_page(study, name)


def raw_on_page(study: Study, name: str) -> Iterator[str]:
    from gantry.apps.ui.jinja import environment

    shown = environment(autoescape=True).from_string("{{ name }}").render(name=name)
    if "<" in shown:
        yield f"study {study.pk}: the name's markup is not escaped"


def memory_mib() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0
