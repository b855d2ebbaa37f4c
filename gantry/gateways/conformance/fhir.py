"""F1 to F6: the examples of others through the live FHIR addresses."""

import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any
from uuid import uuid4

from django.test import Client

from gantry.apps.accounts.models import RoleGrant
from gantry.apps.audit.models import Event
from gantry.apps.booking.models import Appointment
from gantry.apps.exchange.models import Statement
from gantry.apps.patients.models import Patient
from gantry.apps.referrals.models import Referral
from gantry.domain.access import Role
from gantry.domain.identifiers import valid_nhs_number
from gantry.gateways.conformance.expected import expected
from gantry.gateways.conformance.judging import Found
from gantry.gateways.conformance.setting import BY, Setting, authorised, clock_at, opened_around, person, setting
from gantry.gateways.fhir import tokens
from gantry.gateways.fhir.keeping import NotKept, export_resource, import_resource
from gantry.gateways.fhir.reading import Tree, Unreadable, looks_like_xml, read, read_xml
from gantry.gateways.fhir.validation import errors, validate
from gantry.gateways.fhir.writing import as_json, as_xml

BASE = "/fhir/R4/"
JSON, XML = "application/fhir+json", "application/fhir+xml"
NHS_NUMBER = "https://fhir.nhs.uk/Id/nhs-number"
CUTS = 60


@dataclass(slots=True)
class Engine:
    """A hospital's integration engine at the live addresses, with a token."""

    at: Setting
    now: datetime
    token: str = ""
    client: Client = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        who = person(Role.INTERFACE, self.at.trust)
        self.token = tokens.issue(who, until=self.now + timedelta(days=30), now=self.now)
        # A fault in a view is an answer to judge, not an exception here.
        self.client = Client(raise_request_exception=False)

    def send(self, method: str, path: str, data: bytes = b"", kind: str = JSON, **headers: str) -> Any:
        headers = {"Authorization": f"Bearer {self.token}", "Accept": JSON, **headers}
        sent = {name: said for name, said in headers.items() if said}
        with clock_at(self.now):
            return self.client.generic(method, BASE + path, data, content_type=kind, headers=sent)


@dataclass(frozen=True, slots=True)
class Booking:
    """The booking request and what has to be there for it."""

    data: bytes
    tree: Tree

    @classmethod
    def at(cls, data: Path) -> "Booking":
        (path, *_) = sorted(data.glob("fhir/**/process_message/request/Booking_POST.json"))
        return cls(path.read_bytes(), json.loads(path.read_bytes()))

    def all(self, kind: str) -> list[Tree]:
        return [one["resource"] for one in self.tree["entry"] if one["resource"]["resourceType"] == kind]

    @property
    def slot_at(self) -> datetime:
        said = self.all("Slot") or self.all("Appointment")
        return datetime.fromisoformat(said[0]["start"])

    @property
    def nhs_number(self) -> str:
        named = (one for one in self.all("Patient")[0]["identifier"] if one.get("system") == NHS_NUMBER)
        return str(next(named)["value"])

    def identity(self) -> dict[str, object]:
        patient = self.all("Patient")[0]
        name, born = patient["name"][0], datetime.fromisoformat(patient["birthDate"]).date()
        male = patient.get("gender") != "female"
        return {
            "nhs_number": self.nhs_number,
            "family_name": name["family"],
            "given_name": " ".join(name["given"]),
            "date_of_birth": born,
            "stated_gender": "1" if male else "2",
            "sex_assigned_at_birth": "male" if male else "female",
        }


def booking_desk(data: Path, trust: str) -> tuple[Booking, Engine]:
    """The README's set-up: that clock, that slot free, an authorised referral."""
    booking, now = Booking.at(data), datetime.fromisoformat(expected(data, "F1")["clock"])
    at = setting(trust)
    engine = Engine(at, now)
    with clock_at(now):
        opened_around(at, booking.slot_at)
        if not Referral.objects.filter(patient__nhs_number=booking.nhs_number).exists():
            authorised(at, now, **booking.identity())
    return booking, engine


def f1(data: Path) -> Found:
    booking, engine = booking_desk(data, "CNFF1")
    faults = []
    first = engine.send("POST", "$process-message", booking.data)
    if first.status_code != 200:
        return Found("not booked", (f"answered {first.status_code}: {first.content[:400].decode()}",))
    reply = first.json()
    header = next((one["resource"] for one in reply.get("entry", ()) if kind_of(one) == "MessageHeader"), {})
    if (reply["resourceType"], reply.get("type")) != ("Bundle", "message"):
        faults.append(f"the answer is a {reply['resourceType']} of type {reply.get('type')}")
    if header.get("response", {}).get("identifier") != booking.tree["id"]:
        faults.append(f"response.identifier is {header.get('response', {}).get('identifier')!r}")
    booked = list(Appointment.objects.filter(referral__patient__nhs_number=booking.nhs_number))
    if [one.arrival_at for one in booked] != [booking.slot_at]:
        faults.append(f"booked {[one.arrival_at.isoformat() for one in booked]}, asked for {booking.slot_at}")
    again = engine.send("POST", "$process-message", booking.data)
    if again.status_code != 200 or again.content != first.content:
        faults.append(f"posted again, the answer was another ({again.status_code})")
    if Appointment.objects.filter(referral__patient__nhs_number=booking.nhs_number).count() != len(booked):
        faults.append("posted again, there is a second appointment")
    return Found(f"booked {booking.slot_at:%Y-%m-%d %H:%M}; posted again: same answer, one appointment", tuple(faults))


def kind_of(entry: Tree) -> str:
    return str(entry["resource"]["resourceType"])


def f2(data: Path) -> Found:
    booking, engine = booking_desk(data, "CNFF1")
    (example, *_) = sorted(data.glob("fhir/**/slots/GET-success.json"))
    shape = json.loads(example.read_bytes())
    wanted = Counter(map(kind_of, shape["entry"])) or Counter(expected(data, "F2")["entries"])
    day = booking.slot_at.date()
    query = f"Slot?start=ge{day}&start=lt{day + timedelta(days=1)}&status=free&_count={wanted['Slot']}"
    answer = engine.send("GET", query)
    if answer.status_code != 200:
        return Found("no slots", (f"answered {answer.status_code}: {answer.content[:400].decode()}",))
    found = answer.json()
    faults = []
    if (found["resourceType"], found.get("type")) != (shape["resourceType"], shape["type"]):
        faults.append(f"a {found['resourceType']} of type {found.get('type')}")
    types = Counter(map(kind_of, found["entry"]))
    if types != wanted:
        faults.append(f"holds {dict(types)}, the example {dict(wanted)}")
    there = {f"{kind_of(one)}/{one['resource'].get('id')}" for one in found["entry"]}
    there |= {one.get("fullUrl", "") for one in found["entry"]}
    faults += [f"{said} is not in the Bundle" for said in references(found) if said not in there]
    for slot in (one["resource"] for one in found["entry"] if kind_of(one) == "Slot"):
        faults += [f"a Slot has no {name}" for name in ("schedule", "status", "start", "end") if name not in slot]
    return Found(f"{sum(types.values())} entries, {len(set(references(found)))} references resolve", tuple(faults))


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("reference"), str):
            yield value["reference"]
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


# F3


def f3(data: Path) -> Found:
    engine = Engine(setting("CNFF3"), datetime.fromisoformat(expected(data, "F1")["clock"]))
    stated = engine.send("GET", "metadata").json()
    types = {one["type"] for one in stated["rest"][0]["resource"]}
    faults: list[str] = []
    kept = alike = 0
    refused: set[str] = set()
    for path, tree in resources_in(data / "fhir"):
        if tree["resourceType"] not in types:
            refused.add(tree["resourceType"])
            faults.extend(taken_all_the_same(engine, path, tree))
            continue
        fault, other = there_and_back(path, tree, engine.now)
        kept, alike = kept + (not fault), alike + other
        faults.extend(fault)
    said = f"{kept} resources of {len(types)} types, {alike} the same by XML; {len(refused)} other types refused"
    return Found(said, tuple(faults))


def resources_in(folder: Path) -> Iterator[tuple[Path, Tree]]:
    for path in sorted(folder.rglob("*")):
        if path.suffix not in (".json", ".xml") or "fhir-validator-cases" in path.parts:
            continue
        raw = path.read_bytes()
        try:
            tree = read(raw, xml=looks_like_xml(raw)).tree
        except Unreadable:
            continue
        held = tree.get("entry", []) if tree["resourceType"] == "Bundle" else [{"resource": tree}]
        yield from ((path, one["resource"]) for one in held if isinstance(one.get("resource"), dict))


def there_and_back(path: Path, tree: Tree, now: datetime) -> tuple[list[str], bool]:
    """In, and out again rebuilt from our rows; and the same row by way of XML."""
    kind = tree["resourceType"]
    try:
        row = import_resource(tree, sender=None, now=now, by=BY)
    except NotKept as error:
        return [f"{path.name}: {kind} was not kept: {error}"], False
    if bare(export_resource(Statement.objects.get(pk=row.pk))) != bare(tree):
        return [f"{path.name}: {kind} came out another tree"], False
    if errors(validate(as_json(tree).encode(), xml=False)):
        return [], False  # what is not R4 has no XML form
    if import_resource(read_xml(as_xml(tree).encode()).tree, sender=None, now=now, by=BY).pk != row.pk:
        return [f"{path.name}: the XML form of {kind} is another stored resource"], False
    return [], True


def bare(value: Any) -> Any:
    """Without meta and narrative."""
    if isinstance(value, dict):
        spared = {name: one for name, one in value.items() if name not in ("meta", "text") or not isinstance(one, dict)}
        return {name: bare(one) for name, one in spared.items()}
    return [bare(one) for one in value] if isinstance(value, list) else value


def taken_all_the_same(engine: Engine, path: Path, tree: Tree) -> Iterator[str]:
    answer = engine.send("POST", tree["resourceType"], as_json(tree).encode())
    codes = {issue["code"] for issue in answer.json().get("issue", ())}
    if answer.status_code < 400 or codes != {"not-supported"}:
        yield f"{path.name}: {tree['resourceType']} was answered {answer.status_code} {sorted(codes)}"


# F4


def f4(data: Path) -> Found:
    """Each refusal provoked by a request, held against the standard's own outcomes."""
    standard = list(outcomes_in(data / "fhir"))
    booking, engine = booking_desk(data, "CNFF1")
    faults, seen = [], set()
    for what, answer in provoked(booking, engine):
        try:
            issues = answer.json()["issue"]
            said = {(issue["code"], issue["details"]["coding"][0]["code"]) for issue in issues}
        except (ValueError, KeyError, IndexError):
            faults.append(f"{what}: {answer.status_code} without an OperationOutcome of the standard's form")
            continue
        for code, detail in said:
            seen.add((answer.status_code, code, detail))
            if not any((code, detail) == (c, d) and status in (None, answer.status_code) for status, c, d in standard):
                faults.append(f"{what}: {answer.status_code} {code} {detail} is none of the standard's")
        if b"Traceback" in answer.content:
            faults.append(f"{what}: a stack trace")
    least = expected(data, "F4")["distinct"]
    if len(seen) < least:
        faults.append(f"only {len(seen)} distinct refusals were provoked, {least} are asked")
    return Found(f"{len(seen)} distinct refusals, each one of {len(set(standard))} of the standard's", tuple(faults))


def outcomes_in(folder: Path) -> Iterator[tuple[int | None, str, str]]:
    phrases = {status.phrase.lower().replace(" ", "-"): status.value for status in HTTPStatus}
    for path in folder.rglob("*.json"):
        try:
            tree = json.loads(path.read_bytes())
        except ValueError:
            continue
        if not isinstance(tree, dict) or tree.get("resourceType") != "OperationOutcome":
            continue
        number = re.match(r"(\d{3})\b", path.name)
        status = int(number[1]) if number else phrases.get(path.stem)
        for issue in tree.get("issue", ()):
            for coding in issue.get("details", {}).get("coding", ()):
                yield status, issue["code"], coding["code"]


def provoked(booking: Booking, engine: Engine) -> Iterator[tuple[str, Any]]:
    day, nobody = booking.slot_at.date(), uuid4()
    yield "malformed JSON", engine.send("POST", "$process-message", booking.data[:-20])
    yield "a status that is not told", engine.send("GET", f"Slot?start=ge{day}&status=busy")
    yield "no time", engine.send("GET", "Slot?status=free")
    yield "a type that is not served", engine.send("GET", "Observation")
    yield "a parameter that is not known", engine.send("GET", "Patient?shoe-size=9")
    yield "not a resource by R4", engine.send("POST", "Patient", b'{"resourceType": "Patient", "gender": "blue"}')
    yield "a wrong NHS number", engine.send("POST", "$process-message", spoilt(booking))
    yield "no token", engine.send("GET", "Patient", Authorization="")
    yield "a strange token", engine.send("GET", "Patient", Authorization="Bearer none-of-yours")
    yield "an old token", engine.send("GET", "Patient", Authorization=f"Bearer {ended_token(engine)}")
    yield "a role that has ended", ended_role(engine)
    yield "nobody by this id", engine.send("GET", f"Patient/{nobody}")
    yield "a method that is not taken", engine.send("DELETE", f"Patient/{nobody}")
    yield "a form that is not spoken", engine.send("GET", "Patient", Accept="text/csv")
    engine.send("POST", "$process-message", booking.data)
    other = {**booking.tree, "timestamp": (engine.now + timedelta(hours=1)).isoformat()}
    yield "another message under one id", engine.send("POST", "$process-message", json.dumps(other).encode())
    yield "a year of slots", engine.send("GET", f"Slot?start=ge{day}&start=lt{day.replace(year=day.year + 1)}")
    unknown = {**booking.tree, "id": str(uuid4())}
    yield "a scan that is booked already", engine.send("POST", "$process-message", json.dumps(unknown).encode())


def ended_token(engine: Engine) -> str:
    who, then = person(Role.INTERFACE, engine.at.trust), engine.now - timedelta(days=2)
    return tokens.issue(who, until=then + timedelta(days=1), now=then)


def ended_role(engine: Engine) -> Any:
    """A token outlives a role, and speaks for nobody then."""
    former = person(Role.INTERFACE, setting("CNFF0").trust)
    token = tokens.issue(former, until=engine.now + timedelta(days=30), now=engine.now)
    RoleGrant.objects.filter(person=former).update(valid_to=engine.now.date() - timedelta(days=1))
    try:
        return engine.send("POST", "Patient", b'{"resourceType": "Patient"}', Authorization=f"Bearer {token}")
    finally:
        RoleGrant.objects.filter(person=former).update(valid_to=None)


def spoilt(booking: Booking) -> bytes:
    """The message with a check digit that is wrong, under an id of its own."""
    number = booking.nhs_number
    wrong = number[:9] + str((int(number[9]) + 1) % 10)
    tree = json.loads(booking.data.replace(number.encode(), wrong.encode()))
    return json.dumps({**tree, "id": str(uuid4())}).encode()


# F5


def f5(data: Path) -> Found:
    booking, engine = booking_desk(data, "CNFF1")
    before = stored()
    faults = []
    wrong = spoilt(booking)
    patient = next(one["resource"] for one in json.loads(wrong)["entry"] if kind_of(one) == "Patient")
    for path, sent in (("$process-message", wrong), ("Patient", json.dumps(patient).encode())):
        answer = engine.send("POST", path, sent)
        if answer.status_code < 400 or answer.status_code >= 500:
            faults.append(f"{path}: a wrong NHS number was answered {answer.status_code}")
    verified = Patient.objects.filter(nhs_number_status="01").exclude(nhs_number="")
    faults += [
        f"patient {one.pk} holds a wrong number as verified" for one in verified if not valid_nhs_number(one.nhs_number)
    ]
    size = max(len(booking.data) // CUTS, 1)
    places = range(1, len(booking.data.rstrip()) - 1, size)
    for place in places:
        answer = engine.send("POST", "$process-message", booking.data[:place])
        issues = answer.json().get("issue") or [{}]
        detail = issues[0].get("details", {}).get("coding", [{}])[0].get("code")
        if (answer.status_code, detail) != (400, "SEND_BAD_REQUEST"):
            faults.append(f"cut at {place}: {answer.status_code} {detail}")
        if b"Traceback" in answer.content:
            faults.append(f"cut at {place}: a stack trace")
    if stored() != before:
        faults.append("something was stored of it")
    return Found(f"a wrong number refused by two ways, {len(places)} malformed bodies by 400", tuple(faults))


def stored() -> tuple[int, int, int]:
    return Statement.objects.count(), Patient.objects.count(), Appointment.objects.count()


# F6


def f6(data: Path) -> Found:
    """`$validate` against the reference validator's counts. Nothing is stored."""
    folder = next(iter(data.glob("fhir/**/fhir-validator-cases/EXPECTED.json"))).parent
    want = expected(data, "F6")
    engine = Engine(setting("CNFF6"), datetime.fromisoformat(expected(data, "F1")["clock"]))
    before = (stored(), Event.objects.count())
    cases: dict[str, Any] = json.loads((folder / "EXPECTED.json").read_bytes())
    faulty, good, notes, faults = Counter[bool](), Counter[bool](), [], []
    for name, case in cases.items():
        count = case["expected_error_count_java_validator"]
        answer = engine.send("POST", "$validate", (folder / name).read_bytes(), XML if name.endswith(".xml") else JSON)
        if answer.status_code >= 500:
            faults.append(f"{name}: answered {answer.status_code}")
            continue
        issues = answer.json()["issue"]
        refused = any(issue["severity"] in ("error", "fatal") for issue in issues)
        if count is None:
            verdict = "refused" if refused else "accepted"
            notes.append(f"{name}: {verdict}; no count: {why_no_count(case)}")
        elif count:
            faulty[refused] += 1
            if not refused:
                notes.append(f"{name}: accepted, {count} faults: {want.get('reasons', {}).get(name, BEYOND)}")
        else:
            good[not refused] += 1
            if refused:
                said = next(issue for issue in issues if issue["severity"] in ("error", "fatal"))
                notes.append(f"{name}: refused, none expected: {said.get('diagnostics', '')[:120]}")
    for what, seen, floor in (("refused", faulty, want["refused"]), ("accepted", good, want["accepted"])):
        least = math.floor(floor[0] / floor[1] * seen.total())
        if seen[True] < least:
            faults.append(f"{seen[True]} of {seen.total()} were {what}, at least {least} should be")
    if (stored(), Event.objects.count()) != before:
        faults.append("something was stored")
    said = f"{faulty[True]} of {faulty.total()} faulty refused, {good[True]} of {good.total()} good accepted"
    return Found(said, tuple(faults), tuple(notes))


BEYOND = "needs a profile, a terminology server or a signature's key"


def why_no_count(case: dict[str, Any]) -> str:
    return "a profile is needed" if case.get("profiles_needed") else str(case.get("description") or "none was recorded")
