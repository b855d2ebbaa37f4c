"""The verbs of booking. Each is one transaction with one event for each thing that happened."""

from gantry.apps.booking.services.changing import (
    arrive,
    cancel,
    fulfil,
    move,
    not_attended,
    still_told,
    turn_away,
)
from gantry.apps.booking.services.holding import Gone, Refused, confirm, expire_holds, hold, let_go
from gantry.apps.booking.services.need import need_of, prescribed_for, prescribed_mbq, shape_for
from gantry.apps.booking.services.offering import Choice, Offer, decline, make_offers, offers_for, one_each
from gantry.apps.booking.services.rearranging import Change, Less, put_back, rearrange
from gantry.apps.booking.services.rechecking import recheck_authorisations
from gantry.apps.booking.services.recorded import history_faults
from gantry.apps.booking.services.telling import log_attempt, tell

__all__ = [
    "Change",
    "Choice",
    "Gone",
    "Less",
    "Offer",
    "Refused",
    "arrive",
    "cancel",
    "confirm",
    "decline",
    "expire_holds",
    "fulfil",
    "history_faults",
    "hold",
    "let_go",
    "log_attempt",
    "make_offers",
    "move",
    "need_of",
    "not_attended",
    "offers_for",
    "one_each",
    "prescribed_for",
    "prescribed_mbq",
    "put_back",
    "rearrange",
    "recheck_authorisations",
    "shape_for",
    "still_told",
    "tell",
    "turn_away",
]
