"""The verbs of correspondence: word is written, sent, delivered, spoken or taken back. Each is one transaction."""

from gantry.apps.correspondence.services.sending import (
    Overtaken,
    begin,
    delivered,
    handed_over,
    leave_it_at_that,
    not_delivered,
    not_handed_over,
    of_reference,
    spoken,
    take_back,
    try_again,
    why_not_taken_back,
)
from gantry.apps.correspondence.services.writing import preview, write

__all__ = [
    "Overtaken",
    "begin",
    "delivered",
    "handed_over",
    "leave_it_at_that",
    "not_delivered",
    "not_handed_over",
    "of_reference",
    "preview",
    "spoken",
    "take_back",
    "try_again",
    "why_not_taken_back",
    "write",
]
