"""Lifecycles as tables: a state changes here or it does not change."""

from collections.abc import Mapping
from enum import StrEnum

type Table[S: StrEnum, E: StrEnum] = Mapping[tuple[S, E], S]


class IllegalMove(Exception):
    """The event is not allowed in this state; carries the state, the event and what is allowed."""

    def __init__(self, state: StrEnum, event: StrEnum, allowed: frozenset[StrEnum]) -> None:
        self.state, self.event, self.allowed = state, event, allowed
        super().__init__(f"cannot {event} when {state}; can: {', '.join(sorted(allowed)) or 'nothing'}")


def allowed[S: StrEnum, E: StrEnum](table: Table[S, E], state: S) -> frozenset[E]:
    """The events that `state` accepts: a page asks this which buttons to show."""
    return frozenset(event for (from_state, event) in table if from_state is state)


def advance[S: StrEnum, E: StrEnum](table: Table[S, E], state: S, event: E) -> S:
    """The state after `event`; raises IllegalMove."""
    try:
        return table[state, event]
    except KeyError:
        options = allowed(table, state)
        raise IllegalMove(state, event, frozenset[StrEnum](options)) from None
