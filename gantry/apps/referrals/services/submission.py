"""Says what a door hands to `receive`, and what it gets back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from gantry.apps.accounts.models import Person
from gantry.apps.estate.models import Network, Organisation
from gantry.apps.referrals.models import Referral
from gantry.domain.referral import Finding


@dataclass(frozen=True, slots=True)
class Submission:
    """A request as one of the doors took it: answers by the data set's names, and where the sender said each."""

    door: str
    """web, hl7, fhir or csv."""
    source_key: str
    """The sender's own identity for this request, for ever: a repeat makes no second referral."""
    answers: Mapping[str, object]
    network: Network
    coordinates: Mapping[str, str] = field(default_factory=dict)
    """Data-set item → the place in the sender's message, where the sender looks for it."""
    sender_organisation: Organisation | None = None
    """For whom the sender is registered to speak; None where the door cannot say."""
    referrer: Person | None = None
    raw_inbox_id: UUID | None = None
    placer_order_number: str = ""
    findings: tuple[Finding, ...] = ()
    """What the door itself could not read."""

    def where(self, name: str) -> str:
        return self.coordinates.get(name) or self.coordinates.get(name.partition("-")[0], "")


@dataclass(frozen=True, slots=True)
class Found:
    """A finding with its place in the sender's message."""

    finding: Finding
    coordinate: str


@dataclass(frozen=True, slots=True)
class Received:
    """Kept. `where_to` is filled when it was redirected."""

    referral: Referral
    found: tuple[Found, ...] = ()
    repeated: bool = False
    where_to: str = ""

    @property
    def findings(self) -> tuple[Finding, ...]:
        return tuple(one.finding for one in self.found)


@dataclass(frozen=True, slots=True)
class Refused:
    """Not kept as a referral; the refusal is an event, and says where to send the request instead."""

    found: tuple[Found, ...]
    where_to: str
    event: UUID

    @property
    def findings(self) -> tuple[Finding, ...]:
        return tuple(one.finding for one in self.found)

    @property
    def reasons(self) -> list[str]:
        return [one.finding.message for one in self.found if one.finding.severity == "refuse"]
