"""Says what word to a patient looks like to a notification service, and reads its answers and receipts. Pure translation.

The form is that of the public interface of GOV.UK Notify: a template, its personalisation and a reference of ours go
out as JSON; the receipt comes back as JSON to an address of ours, with a bearer token.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from gantry.domain.message import Channel

PATHS = {Channel.TEXT: "sms", Channel.EMAIL: "email", Channel.LETTER: "letter"}
LONGEST_RECEIPT = 64 * 1024
ADDRESS_LINES = 7
ASK_AGAIN = frozenset({408, 425, 429})


class Fate(StrEnum):
    """What a status of theirs means to us."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    FAILED = "failed"


FATES = {
    "created": Fate.WAITING,
    "sending": Fate.WAITING,
    "pending": Fate.WAITING,
    "pending-virus-check": Fate.WAITING,
    "accepted": Fate.WAITING,
    "received": Fate.WAITING,
    "sent": Fate.WAITING,
    "delivered": Fate.DELIVERED,
    "permanent-failure": Fate.FAILED,
    "temporary-failure": Fate.FAILED,
    "technical-failure": Fate.FAILED,
    "virus-scan-failed": Fate.FAILED,
    "validation-failed": Fate.FAILED,
    "cancelled": Fate.FAILED,
}
WORDS = {
    "permanent-failure": "The number or address does not exist",
    "temporary-failure": "The telephone or mailbox could not be reached",
    "technical-failure": "The service that sends could not send it",
    "cancelled": "The service that sends cancelled it",
}


@dataclass(frozen=True, slots=True)
class Account:
    """The service's own account there, and one template for each channel: ((subject)) and ((message)) are its fields."""

    url: str
    service: str
    secret: str
    templates: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Letter:
    """A postal address, line by line, the name first and the postcode last."""

    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outgoing:
    channel: Channel
    reference: str
    subject: str
    body: str
    to: str = ""
    letter: Letter | None = None
    large_print: bool = False


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the far end says became of one message."""

    reference: str
    their_id: str
    fate: Fate
    status: str
    at: datetime | None

    @property
    def reason(self) -> str:
        return WORDS.get(self.status, f"The far end says: {self.status}")


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Where in what they sent, and why: in their own coordinates."""

    place: str
    why: str


def request(account: Account, message: Outgoing) -> tuple[str, bytes]:
    """Path and body. Raises KeyError where the account has no template for it."""
    template = account.templates["letter_large" if message.large_print else PATHS[message.channel]]
    body: dict[str, Any] = {
        "template_id": template,
        "personalisation": {"subject": message.subject, "message": message.body},
        "reference": message.reference,
    }
    if message.channel is Channel.TEXT:
        body["phone_number"] = message.to
    elif message.channel is Channel.EMAIL:
        body["email_address"] = message.to
    elif message.letter is not None:
        body["personalisation"] |= {f"address_line_{n}": line for n, line in enumerate(message.letter.lines, 1)}
    return f"/v2/notifications/{PATHS[message.channel]}", json.dumps(body).encode()


def address_lines(name: str, address: str, postcode: str) -> tuple[str, ...]:
    """At most seven: the name, what fits, the postcode."""
    parts = [part.strip() for part in address.replace("\n", ",").split(",") if part.strip()]
    room = ADDRESS_LINES - 2
    shown = parts if len(parts) <= room else [*parts[: room - 1], ", ".join(parts[room - 1 :])]
    return (name, *shown, postcode)


def token(account: Account, now: datetime) -> str:
    """A JSON web token of the account (RFC 7519, HS256): who asks, and when."""
    head = encoded(json.dumps({"typ": "JWT", "alg": "HS256"}).encode())
    claims = encoded(json.dumps({"iss": account.service, "iat": int(now.timestamp())}).encode())
    signed = hmac.new(account.secret.encode(), f"{head}.{claims}".encode(), hashlib.sha256).digest()
    return f"{head}.{claims}.{encoded(signed)}"


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def accepted_id(body: bytes) -> str:
    """Their number for a message that they have taken; empty where the answer does not say one."""
    try:
        found = json.loads(body)["id"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
    return found[:80] if isinstance(found, str) else ""


def refusal(status: int, body: bytes) -> str:
    """Their error by its kind. Its words may quote the telephone number, so they are not kept."""
    try:
        errors = json.loads(body)["errors"]
        kinds = sorted({str(one["error"])[:40] for one in errors})
    except (ValueError, KeyError, TypeError, RecursionError):
        kinds = []
    return f"{status}: {', '.join(kinds[:5]) or 'no reason given'}"


def for_good(status: int) -> bool:
    """They will say the same again."""
    return 400 <= status < 500 and status not in ASK_AGAIN


def read_receipt(body: bytes) -> Receipt | Unreadable:
    """One receipt as it was posted, or where it cannot be read. No bytes raise."""
    if len(body) > LONGEST_RECEIPT:
        return Unreadable("body", f"longer than {LONGEST_RECEIPT} bytes")
    try:
        tree = json.loads(body)
    except (ValueError, RecursionError):
        return Unreadable("body", "not JSON")
    return receipt_in(tree)


def receipt_in(tree: object) -> Receipt | Unreadable:
    """The same form is a receipt, and the answer to a question about one message."""
    if not isinstance(tree, dict):
        return Unreadable("body", "not an object")
    for name in ("id", "reference", "status"):
        if not isinstance(tree.get(name), str) or not tree[name].isprintable():
            return Unreadable(name, "missing, or not plain text")
    if tree["status"] not in FATES:
        return Unreadable("status", "none that is known")
    at = moment(tree.get("completed_at"))
    if isinstance(at, Unreadable):
        return at
    return Receipt(tree["reference"][:100], tree["id"][:80], FATES[tree["status"]], tree["status"], at)


def moment(value: object) -> datetime | Unreadable | None:
    if value is None:
        return None
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        at = None
    if at is None or at.tzinfo is None or not 2000 < at.year < 2200:
        return Unreadable("completed_at", "not a moment with its zone")
    return at


def found_in(body: bytes, reference: str) -> Receipt | None:
    """The message of ours in a list of theirs; None where there is none."""
    try:
        rows = json.loads(body)["notifications"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    read = [receipt_in(row) for row in rows] if isinstance(rows, list) else []
    return next((one for one in read if isinstance(one, Receipt) and one.reference == reference), None)
