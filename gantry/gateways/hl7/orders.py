"""Decides what an imaging order asks for: ORM^O01, OMG^O19 and OMI^O23 into orders, or every refusal at once.

What cannot be kept safely is refused (no patient, no order number, a failing check digit); what the referrer can
still be asked for is a gap, carried on the order with severity W.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from enum import StrEnum

from .message import Message, Segment
from .observations import NOTHING_OBSERVED, Observed, read_observations
from .patients import PatientFacts, read_patient
from .refusals import Fault, Refusal, Refused, gap
from .values import (
    NO_CODE,
    NOBODY,
    Clinician,
    Coded,
    ods_or_empty,
    read_clinician,
    read_coded,
    read_organisation,
    read_time,
)

ORDER_TYPES = frozenset({"ORM^O01", "OMG^O19", "OMI^O23"})
WITH_PRIOR_RESULTS = frozenset({"OMG^O19"})
"""Structures where orders may be followed by a patient's prior results, which order nothing."""
OTHER_DETAIL = frozenset({"RXO", "RXR", "RQD", "RQ1", "ODS", "ODT"})
"""Order detail that ORM^O01 allows in OBR's place: a medicine, a supply, a diet."""


MOST_ORDERS = 100
"""Of one message: they are kept in one transaction, and each takes its locks."""
LONGEST_ORDER_NUMBER = 80


class OrderAct(StrEnum):
    """What the sender wants done with the order: ORC-1, table 0119, in seven words."""

    NEW = "new"
    CHANGE = "change"
    CANCEL = "cancel"
    HOLD = "hold"
    RESUME = "resume"
    NOTE = "note"
    """A status or an answer from another filler: kept, acted on by nobody."""


NOTED = (
    "AF", "CN", "CR", "DE", "DF", "DR", "FU", "HR", "LI", "LR", "MC", "NA", "OC", "OD", "OE",
    "OF", "OH", "OK", "OP", "OR", "PA", "PR", "PY", "RE", "RF", "RQ", "RR", "RU", "SC", "SN",
    "SR", "SS", "UA", "UC", "UD", "UF", "UH", "UM", "UN", "UR", "UX", "XR", "XX",
)  # fmt: skip
"""What fillers say to placers, and what changes nothing here."""

ORDER_CONTROL: Mapping[str, OrderAct] = {
    "NW": OrderAct.NEW,
    "RO": OrderAct.NEW,
    "CH": OrderAct.NEW,
    "XO": OrderAct.CHANGE,
    "CA": OrderAct.CANCEL,
    "DC": OrderAct.CANCEL,
    "RP": OrderAct.CANCEL,
    "HD": OrderAct.HOLD,
    "RL": OrderAct.RESUME,
    **dict.fromkeys(NOTED, OrderAct.NOTE),
}

PRIORITY = {
    "S": "2", "A": "2", "U": "2", "UR": "2", "URGENT": "2", "STAT": "2", "2": "2",
    "R": "1", "ROUTINE": "1", "1": "1",
    "2WW": "3", "TWW": "3", "USC": "3", "FDS": "3", "3": "3",
}  # fmt: skip
"""Table 0485 and what trusts write, to the NHS priority code: 1 routine, 2 urgent, 3 two-week-wait type."""

MOBILITY = {"WALK": "walking", "WHLC": "wheelchair", "CART": "trolley", "PORT": "trolley"}
"""OBR-30, table 0124."""

PATIENT_STATUS = {"I": "01", "D": "02", "O": "03", "E": "05"}
"""PV1-2, table 0004, to the source setting of the Diagnostic Imaging Dataset."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    coded: Coded
    location: str


@dataclass(frozen=True, slots=True)
class Order:
    """One order of a message. `findings` are gaps that can be asked back, in the sender's coordinates."""

    message_control_id: str
    message_type: str
    sending_application: str
    sending_facility: str
    processing_id: str
    sent_at: datetime | None
    number: int
    act: OrderAct
    control: str
    placer_order_number: str
    placer_assigner: str
    filler_order_number: str
    group_number: str
    accession_number: str
    patient: PatientFacts
    procedure: Coded = NO_CODE
    detail: str = "OBR"
    referring_org_ods: str = ""
    referring_site_ods: str = ""
    requester: Clinician = NOBODY
    consultant: Clinician = NOBODY
    requested_at: datetime | None = None
    not_before: datetime | None = None
    wanted_by: datetime | None = None
    priority: str = ""
    clinical_question: str = ""
    diagnoses: tuple[Diagnosis, ...] = ()
    observed: Observed = NOTHING_OBSERVED
    hazards: str = ""
    mobility: str = ""
    transport: str = ""
    patient_class: str = ""
    patient_status: str = ""
    ward: str = ""
    visit_number: str = ""
    findings: tuple[Refusal, ...] = ()


def read_orders(message: Message, zone: tzinfo) -> tuple[Order, ...] | Refused:
    """Every order of the message, or why none is taken: a message is kept whole or refused whole."""
    if message.type not in ORDER_TYPES:
        return Refused((unsupported(message),))
    refusals: list[Refusal] = []
    if not message.control_id:
        refusals.append(Refusal("MSH^1^10^1", Fault.REQUIRED_FIELD_MISSING, "The message control id is missing"))
    patient, found = read_patient(message)
    groups, wrong = order_groups(message)
    refusals.extend(finding for finding in (*found, *wrong) if finding.severity == "E")
    if len(groups) > MOST_ORDERS:
        text = f"The message has {len(groups)} orders; {MOST_ORDERS} are taken at a time"
        return Refused((*refusals, Refusal(f"ORC^{MOST_ORDERS + 1}", Fault.VALUE_TOO_LONG, text)))
    shared = [finding for finding in (*found, *message.doubts) if finding.severity != "E"]
    before = before_orders(message)
    orders = []
    for number, group in enumerate(groups, start=1):
        order, faults = read_one(message, patient, before, group, number, zone)
        refusals.extend(faults)
        orders.append(replace(order, findings=(*shared, *order.findings)) if number == 1 else order)
    return Refused(tuple(refusals)) if refusals else tuple(orders)


def unsupported(message: Message) -> Refusal:
    """Said of a type that this door does not take."""
    if not message.header.component(9):
        return Refusal("MSH^1^9^1", Fault.REQUIRED_FIELD_MISSING, "The message type is missing")
    code, trigger = message.header.component(9, 1)[:3], message.header.component(9, 2)[:3]
    if code in {kind.partition("^")[0] for kind in ORDER_TYPES}:
        return Refusal(
            "MSH^1^9^1^2", Fault.UNSUPPORTED_EVENT, f"{code} is taken with its own event only, not {trigger}"
        )
    text = f"{code} {trigger} is not taken here: send orders as {', '.join(sorted(ORDER_TYPES)).replace('^', ' ')}"
    return Refusal("MSH^1^9^1^1", Fault.UNSUPPORTED_MESSAGE_TYPE, text)


def before_orders(message: Message) -> tuple[Segment, ...]:
    """What stands before the first ORC is said of the patient, so of every order."""
    names = [segment.name for segment in message.segments]
    return message.segments[: names.index("ORC")] if "ORC" in names else message.segments


def order_groups(message: Message) -> tuple[list[tuple[Segment, ...]], list[Refusal]]:
    """Each ORC with what follows it; in OMG^O19 a second PID or PV1 begins prior results, which order nothing."""
    groups: list[list[Segment]] = []
    refusals: list[Refusal] = []
    for segment in message.segments:
        if segment.name in ("PID", "PV1") and groups and message.type in WITH_PRIOR_RESULTS:
            break
        if segment.name == "PID" and segment.number > 1:
            location = f"PID^{segment.number}"
            refusals.append(Refusal(location, Fault.SEGMENT_SEQUENCE, "One message orders for one patient"))
        if segment.name == "ORC":
            groups.append([segment])
        elif groups:
            groups[-1].append(segment)
    if not groups:
        refusals.append(Refusal("ORC^1", Fault.SEGMENT_SEQUENCE, "The message has no ORC segment"))
    return [tuple(group) for group in groups], refusals


def read_one(
    message: Message,
    patient: PatientFacts,
    before: Sequence[Segment],
    group: Sequence[Segment],
    number: int,
    zone: tzinfo,
) -> tuple[Order, list[Refusal]]:
    """One order with its gaps, and what refuses it."""
    orc = group[0]
    refusals: list[Refusal] = []
    findings: list[Refusal] = []
    control = orc.component(1).upper()
    act = ORDER_CONTROL.get(control)
    if not control:
        refusals.append(Refusal(orc.location(1), Fault.REQUIRED_FIELD_MISSING, "The order control code is missing"))
    elif act is None:
        refusals.append(Refusal(orc.location(1), Fault.TABLE_VALUE_NOT_FOUND, "ORC-1 is not in table 0119"))
    act = act or OrderAct.NOTE
    obr = next((segment for segment in group if segment.name == "OBR"), None)
    placer = orc.component(2) or (obr.component(2) if obr else "")
    if not placer and act is not OrderAct.NOTE:
        refusals.append(Refusal(orc.location(2), Fault.REQUIRED_FIELD_MISSING, "The placer order number is missing"))
    if len(placer) > LONGEST_ORDER_NUMBER:
        # Cut to length, two orders could be one.
        text = f"A placer order number has at most {LONGEST_ORDER_NUMBER} characters"
        refusals.append(Refusal(orc.location(2), Fault.VALUE_TOO_LONG, text))
    detail, procedure = read_procedure(orc, group, act, refusals, findings)
    if act is OrderAct.NOTE:
        text = f"{control or 'This'} tells a status or answers another system: kept, and no referral is made or changed"
        findings.append(gap(orc.location(1), text, Fault.TABLE_VALUE_NOT_FOUND))

    wanted = act in (OrderAct.NEW, OrderAct.CHANGE)
    timing, unclear = read_timing(orc, obr, group, zone)
    findings.extend(unclear if wanted else ())
    observed, unread = read_observations((s for s in (*before, *group) if s.name == "OBX"), zone)
    findings.extend(unread if wanted else ())
    pv1 = next((segment for segment in before if segment.name == "PV1"), None)
    diagnoses = read_diagnoses(before, group)
    header = message.header
    order = Order(
        message_control_id=message.control_id,
        message_type=message.type,
        sending_application=header.component(3),
        sending_facility=header.component(4),
        processing_id=header.component(11).upper(),
        sent_at=read_time(header.component(7), zone),
        number=number,
        act=act,
        control=control,
        placer_order_number=placer,
        placer_assigner=orc.component(2, 2) or (obr.component(2, 2) if obr else ""),
        filler_order_number=orc.component(3) or (obr.component(3) if obr else ""),
        group_number=orc.component(4),
        accession_number=next((s.component(1) for s in group if s.name == "IPC"), "")
        or (obr.component(18) if obr else ""),
        patient=patient,
        procedure=procedure,
        detail=detail,
        referring_org_ods=referring_organisation(message, orc, patient),
        referring_site_ods=referring_site(pv1),
        requester=read_clinician(orc, 12) or (read_clinician(obr, 16) if obr else NOBODY),
        consultant=consultant(pv1),
        requested_at=read_time(orc.component(9), zone) or (read_time(obr.component(6), zone) if obr else None),
        not_before=timing.not_before,
        wanted_by=timing.wanted_by,
        priority=timing.priority,
        clinical_question=clinical_question(obr, group, diagnoses),
        diagnoses=diagnoses,
        observed=observed,
        hazards=(obr.component(12, 2) or obr.component(12)) if obr else "",
        mobility=MOBILITY.get(obr.component(30).upper(), "") if obr else "",
        transport=obr.component(30) if obr else "",
        patient_class=pv1.component(2).upper() if pv1 else "",
        patient_status=PATIENT_STATUS.get(pv1.component(2).upper(), "") if pv1 else "",
        ward=pv1.component(3) if pv1 and pv1.component(2).upper() == "I" else "",
        visit_number=pv1.component(19) if pv1 else "",
        findings=tuple(findings),
    )
    if pv1 and not observed.pregnancy_status and "B6" in {pv1.part(rep, 1) for rep in pv1.repetitions(15)}:
        order = replace(order, observed=replace(observed, pregnancy_status="Y"))  # table 0009: B6 pregnant
    return order, refusals


def read_procedure(
    orc: Segment, group: Sequence[Segment], act: OrderAct, refusals: list[Refusal], findings: list[Refusal]
) -> tuple[str, Coded]:
    """OBR-4, and which segment carried the detail. A new order with no detail at all was cut short."""
    details = [segment for segment in group if segment.name == "OBR"]
    other = next((segment for segment in group if segment.name in OTHER_DETAIL), None)
    if act not in (OrderAct.NEW, OrderAct.CHANGE):
        return ("OBR", read_coded(details[0], 4)) if details else ("", NO_CODE)
    if not details:
        if other is None:
            text = "The order has no OBR segment: nothing says what is asked for"
            refusals.append(Refusal(f"OBR^{orc.number}", Fault.SEGMENT_SEQUENCE, text))
            return "", NO_CODE
        text = f"{other.name} orders no imaging: say in OBR-4 which procedure is asked for"
        findings.append(gap(f"OBR^{orc.number}^4^1", text))
        return other.name, NO_CODE
    if len(details) > 1:
        text = "One order asks for one procedure: give each OBR its own ORC"
        refusals.append(Refusal(f"OBR^{details[1].number}", Fault.SEGMENT_SEQUENCE, text))
    procedure = read_coded(details[0], 4)
    if not procedure:
        findings.append(gap(details[0].location(4), "The procedure asked for is missing"))
    return "OBR", procedure


@dataclass(frozen=True, slots=True)
class Timing:
    priority: str = ""
    not_before: datetime | None = None
    wanted_by: datetime | None = None


def read_timing(
    orc: Segment, obr: Segment | None, group: Sequence[Segment], zone: tzinfo
) -> tuple[Timing, list[Refusal]]:
    """TQ1, else the older ORC-7 and OBR-27: priority, start (not before) and end (by when)."""
    findings: list[Refusal] = []
    tq1 = next((segment for segment in group if segment.name == "TQ1"), None)
    places: list[tuple[Segment, int, int]] = [(tq1, 9, 1)] if tq1 else []
    places.append((orc, 7, 6))
    if obr:
        places += [(obr, 27, 6), (obr, 5, 1)]
    priority = ""
    for segment, number, part in places:
        stated = segment.component(number, part)
        if not stated:
            continue
        priority = PRIORITY.get(stated.upper(), "")
        if not priority:
            text = "The priority is none that we know: 1 routine, 2 urgent, 3 two-week wait, or table 0485"
            findings.append(gap(segment.location(number, 1, part), text, Fault.TABLE_VALUE_NOT_FOUND))
        break

    def moment(number: int, older: int) -> datetime | None:
        places = [(tq1, number, 1)] if tq1 else []
        for segment, place, part in [*places, (orc, 7, older), *([(obr, 27, older)] if obr else [])]:
            stated = segment.component(place, part)
            if not stated:
                continue
            found = read_time(stated, zone)
            if found is None:
                findings.append(gap(segment.location(place, 1, part), "This is not a date and time", Fault.DATA_TYPE))
            return found
        return None

    return Timing(priority, moment(7, 4), moment(8, 5)), findings


def referring_organisation(message: Message, orc: Segment, patient: PatientFacts) -> str:
    """The first ODS code of: ordering facility, assigner of the hospital number, entering organisation, sender."""
    return (
        read_organisation(orc, 21)
        or ods_or_empty(patient.local_id_assigner)
        or ods_or_empty(orc.component(17))
        or ods_or_empty(message.header.component(4))
    )


def referring_site(pv1: Segment | None) -> str:
    """PV1-3.4 or PV1-3.1 when it is a site code: a trust's three characters and two more."""
    if pv1 is None:
        return ""
    for part in (4, 1):
        code = ods_or_empty(pv1.component(3, part))
        if len(code) >= 5 and any(character.isdigit() for character in code):
            return code
    return ""


def consultant(pv1: Segment | None) -> Clinician:
    """Attending, else consulting, else referring doctor."""
    if pv1 is None:
        return NOBODY
    return next((found for number in (7, 9, 8) if (found := read_clinician(pv1, number))), NOBODY)


def clinical_question(obr: Segment | None, group: Sequence[Segment], diagnoses: Sequence[Diagnosis]) -> str:
    """OBR-31 and OBR-13, the notes, the diagnoses, each once: the vetter and the reporter read all of it."""
    words: dict[str, None] = {}
    if obr:
        for rep in obr.repetitions(31):
            words[obr.part(rep, 2) or obr.part(rep, 1)] = None
        words[obr.text(13)] = None
    for note in group:
        if note.name == "NTE":
            for rep in note.repetitions(3):
                words[note.plain(rep)] = None
    words |= {f"Diagnosis: {diagnosis.coded.described}": None for diagnosis in diagnoses}
    return "\n".join(line for line in words if line)


def read_diagnoses(before: Sequence[Segment], group: Sequence[Segment]) -> tuple[Diagnosis, ...]:
    return tuple(
        Diagnosis(coded, segment.location(3))
        for segment in (*before, *group)
        if segment.name == "DG1" and (coded := read_coded(segment, 3))
    )
