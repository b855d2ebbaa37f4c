"""The scan day's verbs: expected, arrived, each step, the injection, corrections, and how a visit ends."""

from gantry.apps.scanning.services.expecting import expect, follow, remove
from gantry.apps.scanning.services.injecting import NotAuthorised, inject, note, why_not
from gantry.apps.scanning.services.leaving import NeedsCause, WasInjected, arrive, leave, turn_away, unused_doses
from gantry.apps.scanning.services.steps import (
    AlreadyRecorded,
    NeedsReason,
    NotAStep,
    correct_step,
    progress_of,
    protocol_of,
    record_step,
)

__all__ = [
    "AlreadyRecorded",
    "NeedsCause",
    "NeedsReason",
    "NotAStep",
    "NotAuthorised",
    "WasInjected",
    "arrive",
    "correct_step",
    "expect",
    "follow",
    "inject",
    "leave",
    "note",
    "progress_of",
    "protocol_of",
    "record_step",
    "remove",
    "turn_away",
    "unused_doses",
    "why_not",
]
