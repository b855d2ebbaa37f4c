"""Performs acts in the order of their moments: the injected clock of the demonstration."""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count

type Act = Callable[[datetime], None]
"""Performs one thing at its moment; it may ask for others later. Done already, it changes nothing."""


@dataclass(slots=True)
class Clock:
    """What is to be done, soonest first; what is asked for in the past is done at once, at its own moment."""

    until: datetime
    performed: int = 0
    _acts: list[tuple[datetime, int, Act]] = field(default_factory=list)
    _order: count = field(default_factory=count)

    def at(self, moment: datetime, act: Act) -> None:
        heapq.heappush(self._acts, (moment, next(self._order), act))

    def run(self, tick: Callable[[datetime], None]) -> None:
        """Everything up to `until`; what lies beyond is left to the people who open the demonstration."""
        while self._acts and self._acts[0][0] <= self.until:
            moment, _, act = heapq.heappop(self._acts)
            act(moment)
            tick(moment)

    def done(self, acts: int = 1) -> None:
        self.performed += acts
