"""Decides how a hospital writes an order that carries the whole data set: OMI^O23, for the emulator and the demonstration."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from gantry.domain.referral import ITEM, Answers, Item, plain

from .ack import VERSION, stamp
from .message import Separators, escape
from .observations import ITEM_SYSTEM
from .results import CHARSET, GENDER_CODES, Party, parts, segment
from .values import Coded

MARKS = Separators()
PET_CT = Coded("PETCT", "PET CT", ITEM_SYSTEM)


@dataclass(frozen=True, slots=True)
class OutgoingOrder:
    """One order as a hospital sends it. `control` is ORC-1."""

    control_id: str
    placer_order_number: str
    sender: Party
    receiver: Party
    sent_at: datetime
    answers: Answers
    control: str = "NW"
    procedure: Coded = PET_CT


def to_omi(order: OutgoingOrder) -> bytes:
    """Identity, order and requester in the standard's fields; every answer besides as an item of ours."""
    given = plain(order.answers)

    def said(name: str) -> str:
        value = given.get(name)
        return value if isinstance(value, str) else ""

    ods = order.sender.facility
    identifiers = [parts(said("nhs_number"), "", "", "NHS", "NH")] if said("nhs_number") else []
    identifiers.append(parts(said("local_patient_id"), "", "", said("local_patient_id_assigner") or ods, "MR"))
    placer = parts(order.placer_order_number, ods)
    header = [
        "MSH", MARKS.encoding, *(escape(name, MARKS) for name in (order.sender.application, ods)),
        *(escape(name, MARKS) for name in (order.receiver.application, order.receiver.facility)),
        stamp(order.sent_at), "", parts("OMI", "O23", "OMI_O23"), escape(order.control_id, MARKS), "P", VERSION,
        "", "", "AL", "AL", "GBR", CHARSET,
    ]  # fmt: skip
    lines = [
        MARKS.field.join(header),
        segment(
            "PID",
            "1",
            **{
                "3": MARKS.repetition.join(identifiers),
                "5": parts(said("family_name"), said("given_name"), "", "", said("title")),
                "7": said("date_of_birth").replace("-", ""),
                "8": GENDER_CODES.get(said("stated_gender"), ""),
                "11": parts(said("address"), "", "", "", said("postcode")),
                "13": parts(said("phone_primary")),
            },
        ),
        segment(
            "ORC",
            order.control,
            placer,
            **{
                "9": stamp(order.sent_at),
                "12": parts(said("gmc_or_hcpc"), said("referrer_name")),
                "21": parts("", "", ods, "", "", "ODS"),
            },
        ),
        segment("OBR", "1", placer, "", parts(order.procedure.code, order.procedure.text, order.procedure.system)),
        *observations(given),
    ]
    return ("\r".join(line for line in lines if line) + "\r").encode("utf-8")


def observations(given: Mapping[str, object]) -> list[str]:
    """An OBX for each answer; what this service fills in itself is not sent."""
    asked = [(ITEM[name], value) for name, value in given.items() if name in ITEM and not ITEM[name].filled_here]
    return [
        segment(
            "OBX", str(number), "ST", parts(item.name, item.label, ITEM_SYSTEM), "", written(item, value), **{"11": "F"}
        )
        for number, (item, value) in enumerate(asked, start=1)
    ]


def written(item: Item, value: object) -> str:
    values = value if isinstance(value, list) else [value]
    return MARKS.repetition.join(one(item, each) for each in values) or "NONE"


def one(item: Item, value: object) -> str:
    if isinstance(value, Mapping):
        return parts(*(str(value.get(column.name, "")) for column in item.columns))
    return escape(str(value), MARKS)
