"""Decides the way of one message through the door: read, route by MSH-9, translate, have it kept, answer."""

import logging
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo

from .ack import AckCode, acknowledge, sender_of, sender_of_unread
from .message import read
from .orders import ORDER_TYPES, Order, read_orders, unsupported
from .refusals import Fault, Refusal, Refused

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Kept:
    """Everything is stored. `findings` are what will be asked back, in the sender's coordinates."""

    findings: Sequence[Refusal] = ()


type KeepOrders = Callable[[tuple[Order, ...], bytes, str], Kept | Refused]
"""Keeps all orders of one message in one transaction, or none: orders, the bytes as sent, the peer."""
type NoteRefusal = Callable[[bytes, str, Sequence[Refusal]], None]
"""Told of each message that was refused before anything was asked to keep it."""


def answer(
    data: bytes,
    peer: str,
    *,
    keep: KeepOrders,
    now: datetime,
    control_id: str,
    zone: tzinfo,
    refused: NoteRefusal | None = None,
) -> bytes:
    """One message in, one acknowledgement out, whatever the bytes are and whatever `keep` meets."""
    message = read(data)
    if isinstance(message, Refusal):
        sender = sender_of_unread(data)
        findings: Sequence[Refusal] = (message,)
        note(refused, data, peer, findings)
        return acknowledge(sender, findings, now=now, control_id=control_id)
    sender = sender_of(message)
    try:
        if message.type not in ORDER_TYPES:
            findings = (unsupported(message),)
            note(refused, data, peer, findings)
            return acknowledge(sender, findings, now=now, control_id=control_id)
        orders = read_orders(message, zone)
        if isinstance(orders, Refused):
            note(refused, data, peer, orders.refusals)
            return acknowledge(sender, orders.refusals, now=now, control_id=control_id)
        kept = keep(orders, data, peer)
        if isinstance(kept, Refused):
            return acknowledge(sender, kept.refusals, now=now, control_id=control_id)
        findings = [*(finding for order in orders for finding in order.findings), *kept.findings]
        return acknowledge(sender, list(dict.fromkeys(findings)), now=now, control_id=control_id)
    except Exception as error:
        log.error("message not kept", extra={"control_id": message.control_id[:64], "peer": peer, **trace(error)})
        return acknowledge(sender, (NOT_KEPT,), now=now, control_id=control_id)


NOT_KEPT = Refusal("MSH^1", Fault.INTERNAL, "Nothing was kept: send the message again later")


def note(refused: NoteRefusal | None, data: bytes, peer: str, findings: Sequence[Refusal]) -> None:
    if refused is None:
        return
    try:
        refused(data, peer, findings)
    except Exception as error:
        log.error("refusal not recorded", extra={"peer": peer, **trace(error)})


def trace(error: Exception) -> dict[str, str]:
    """Which error, and where. Its words are left out: a database puts the patient's row in them."""
    frames = traceback.extract_tb(error.__traceback__)
    return {
        "error": type(error).__name__,
        "where": " > ".join(f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in frames[-6:]),
    }


UNRECEIVED = {
    "oversize": Refusal(
        "MSH^1", Fault.VALUE_TOO_LONG, "The message is larger than this listener takes: nothing was kept"
    ),
    "many": Refusal("MSH^1", Fault.VALUE_TOO_LONG, "The block holds too many messages: nothing was kept, send fewer"),
}


def refuse_unreceived(data: bytes, peer: str, why: str, *, now: datetime, control_id: str) -> bytes:
    """The answer where `answer` was never reached: a block over the limit, or a listener in trouble."""
    finding = UNRECEIVED.get(why, NOT_KEPT)
    return acknowledge(sender_of_unread(data), (finding,), now=now, control_id=control_id, code=AckCode.REJECT)
