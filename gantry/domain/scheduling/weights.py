"""How much it counts that somebody is scanned in time, and whether a clinical lead has signed these very values."""

from collections.abc import Iterable
from dataclasses import astuple, dataclass
from datetime import date
from hashlib import sha256


@dataclass(frozen=True, slots=True)
class Weights:
    priority: tuple[tuple[int, int], ...]
    """DID priority → weight; one that is not listed counts as 1."""
    near: tuple[tuple[int, int], ...]
    """Days left to the breach, at most → what it adds: the fewest days first. Past the breach is the first of them."""

    def __post_init__(self) -> None:
        if min((weight for _, weight in (*self.priority, *self.near)), default=1) < 1:
            raise ValueError("a weight is at least 1")
        if [days for days, _ in self.near] != sorted({days for days, _ in self.near}):
            raise ValueError("the fewest days left come first, each once")


def weight_of(weights: Weights, *, priority: int, days_left: int | None) -> int:
    """Of one patient on one day. Without a breach date only the priority counts."""
    base = dict(weights.priority).get(priority, 1)
    if days_left is None:
        return base
    return base + next((more for most, more in weights.near if days_left <= most), 0)


def digest(weights: Weights) -> str:
    """Names the values: another value is another digest, so that a signature cannot outlive what was signed."""
    return sha256(repr(astuple(weights)).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Signature:
    digest: str
    by: str
    signed_on: date
    valid_from: date


@dataclass(frozen=True, slots=True)
class Unsigned:
    reason: str


def signature_on(weights: Weights, signatures: Iterable[Signature], on: date) -> Signature | Unsigned:
    """Who signed the values that count on a day, or why nobody has."""
    given = sorted(signatures, key=lambda each: (each.signed_on, each.valid_from))
    same = [each for each in given if each.digest == digest(weights)]
    held = [each for each in same if each.valid_from <= on]
    if held:
        return held[-1]
    if same:
        return Unsigned(f"Signed by {same[-1].by}, but only from {same[-1].valid_from:%-d %B %Y}")
    if given:
        last = given[-1]
        return Unsigned(f"The values have changed since {last.by} signed others on {last.signed_on:%-d %B %Y}")
    return Unsigned("No clinical lead has signed them")
