"""The small facts that components draw: views fill these, templates never reach into models for them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from markupsafe import Markup

TONES = {
    "plain": "grey",
    "info": "blue",
    "good": "green",
    "soon": "yellow",
    "late": "red",
    "held": "purple",
    "off": "white",
}


@dataclass(frozen=True, slots=True)
class Tag:
    """A state in words; the tone only repeats what the words say."""

    text: str
    tone: str = "plain"

    def __str__(self) -> str:
        return self.text

    def __html__(self) -> str:
        return Markup('<strong class="nhsuk-tag nhsuk-tag--{} tag">{}</strong>').format(TONES[self.tone], self.text)


@dataclass(frozen=True, slots=True)
class Link:
    text: str
    href: str

    def __str__(self) -> str:
        return self.text

    def __html__(self) -> str:
        return Markup('<a href="{}">{}</a>').format(self.href, self.text)


@dataclass(frozen=True, slots=True)
class TimelineEvent:
    """One event as a reader meets it; `detail` is a second line, `message` what was sent or received."""

    said: str
    happened_at: datetime
    by: str
    recorded_at: datetime | None = None
    where: str = ""
    cause: str = ""
    detail: str = ""
    message: Link | None = None
    tone: str = "plain"
    corrects: str = ""

    def recorded_late(self) -> bool:
        return self.recorded_at is not None and (self.recorded_at - self.happened_at).total_seconds() >= 120


@dataclass(frozen=True, slots=True)
class NextStep:
    """What happens next, who owns it, by when."""

    said: str
    owner: str
    due_at: datetime | None = None
    link: Link | None = None
    late: bool = False


@dataclass(frozen=True, slots=True)
class Card:
    """One number with its words; it opens to what stands behind it."""

    label: str
    number: str | int
    said: str = ""
    href: str = ""
    tone: str = "plain"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a summary list."""

    label: str
    value: Any
    change: Link | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far long work has come, in words and as a share."""

    said: str
    done: int
    total: int

    def percent(self) -> int:
        return min(100, self.done * 100 // self.total) if self.total else 0


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing that says its numbers in words and keeps its table."""

    title: str
    svg: Markup
    sentence: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
