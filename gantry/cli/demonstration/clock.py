"""Performs acts in the order of their moments: the injected clock of the demonstration."""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count

from gantry.apps.audit.services import Stale
from gantry.apps.booking import services as booking
from gantry.apps.radiopharmacy import services as radiopharmacy
from gantry.apps.reporting import services as reporting
from gantry.domain.lifecycle import IllegalMove

type Act = Callable[[datetime], None]
"""Performs one thing at its moment; it may ask for others later. Done already, it changes nothing."""

OVERTAKEN = (
    Stale,
    IllegalMove,
    booking.Refused,
    radiopharmacy.NotDone,
    radiopharmacy.Impossible,
    reporting.Refused,
    reporting.OpenElsewhere,
)
"""Somebody who signed in meanwhile did it otherwise: theirs stands."""


@dataclass(slots=True)
class Clock:
    """What is to be done, soonest first. `now` says which moment the weeks have really come to."""

    now: Callable[[], datetime]
    performed: int = 0
    overtaken: int = 0
    _acts: list[tuple[datetime, int, Act]] = field(default_factory=list)
    _order: count = field(default_factory=count)

    def at(self, moment: datetime, act: Act) -> None:
        heapq.heappush(self._acts, (moment, next(self._order), act))

    def run(self, tick: Callable[[datetime], None], wait: Callable[[datetime], bool] = lambda moment: False) -> None:
        """Everything that has come; what has not is waited for, for as long as `wait` says so."""
        while self._acts and (self._acts[0][0] <= self.now() or wait(self._acts[0][0])):
            if self._acts[0][0] > self.now():
                continue
            moment, _, act = heapq.heappop(self._acts)
            try:
                act(moment)
            except OVERTAKEN:
                self.overtaken += 1
            tick(moment)

    def done(self, acts: int = 1) -> None:
        self.performed += acts
