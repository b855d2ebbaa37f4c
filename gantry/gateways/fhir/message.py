"""Reads a BaRS message: its header, what it is about, and what its references mean inside the Bundle."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from gantry.gateways.fhir.issues import Issue, IssueType
from gantry.gateways.fhir.outcomes import Errors, Refusal
from gantry.gateways.fhir.reading import Tree


class MessageEvent(StrEnum):
    BOOKING = "booking-request"
    REFERRAL = "servicerequest-request"


FOCUS = {MessageEvent.BOOKING: "Appointment", MessageEvent.REFERRAL: "ServiceRequest"}
ENDING = frozenset({"cancelled", "entered-in-error", "revoked"})


@dataclass(frozen=True, slots=True)
class Placed:
    """A resource of the message and its FHIRPath."""

    tree: Tree
    path: str

    @property
    def type(self) -> str:
        return str(self.tree.get("resourceType"))


@dataclass(frozen=True, slots=True)
class Message:
    bundle: Tree
    header: Tree
    event: MessageEvent
    reason: str
    entries: tuple[tuple[str, Placed], ...]
    """fullUrl and resource, in order."""

    @property
    def id(self) -> str:
        """The identity that our answer names: of the header, else of the Bundle, else what others refer to it by."""
        url = self.entries[0][0].removeprefix("urn:uuid:")
        return str(self.header.get("id") or self.bundle.get("id") or url)

    @property
    def focus(self) -> Placed:
        """What the message is about. Raises Refusal."""
        said = self.header.get("focus") or [{}]
        found = self.resolve(said[0])
        wanted = FOCUS[self.event]
        if found is None or found.type != wanted:
            raise Refusal(
                Errors.NOT_VALID,
                text=f"The focus of a {self.event} is a {wanted} in this Bundle",
                where="Bundle.entry[0].resource.focus[0]",
            )
        return found

    @property
    def ends(self) -> bool:
        """Whether it takes back what was asked for."""
        return self.focus.tree.get("status") in ENDING or self.reason in {"delete", "cancelled", "cancel"}

    def resolve(self, reference: Any) -> Placed | None:
        """The resource of this Bundle that a reference means, or None."""
        said = str(reference.get("reference") or "") if isinstance(reference, dict) else ""
        if not said:
            return None
        for url, placed in self.entries:
            if url == said or (placed.tree.get("id") and said == f"{placed.type}/{placed.tree['id']}"):
                return placed
        return None

    def all(self, kind: str) -> Iterator[Placed]:
        return (placed for _, placed in self.entries if placed.type == kind)

    def first(self, kind: str) -> Placed | None:
        return next(self.all(kind), None)


def read_message(bundle: Tree) -> Message:
    """Raises Refusal, every gap at once."""
    entries = tuple(
        (str(entry.get("fullUrl") or ""), Placed(entry["resource"], f"Bundle.entry[{place}].resource"))
        for place, entry in enumerate(bundle.get("entry") or ())
        if isinstance(entry.get("resource"), dict)
    )
    if bundle.get("resourceType") != "Bundle" or bundle.get("type") != "message" or not entries:
        raise Refusal(Errors.NOT_VALID, text="A message is a Bundle of type message", where="Bundle.type")
    header = entries[0][1].tree
    if header.get("resourceType") != "MessageHeader":
        raise Refusal(Errors.NOT_VALID, text="A message begins with its MessageHeader", where="Bundle.entry[0]")
    code = str((header.get("eventCoding") or {}).get("code") or header.get("eventUri") or "")
    if code not in list(MessageEvent):
        raise Refusal(
            Errors.NOT_SUPPORTED,
            text=f"Taken here: {', '.join(MessageEvent)}",
            where="Bundle.entry[0].resource.eventCoding",
        )
    codings = (header.get("reason") or {}).get("coding") or [{}]
    return Message(bundle, header, MessageEvent(code), str(codings[0].get("code") or "new"), entries)


def missing(message: Message, *kinds: str) -> None:
    """Refuse a message that lacks a resource of these types. Raises Refusal."""
    lacking = [kind for kind in kinds if message.first(kind) is None]
    if lacking:
        issues = [Issue(IssueType.REQUIRED, "Bundle.entry", f"The message has no {kind}") for kind in lacking]
        raise Refusal(Errors.NOT_VALID, *issues)
