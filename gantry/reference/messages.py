"""How long each way of telling somebody takes, and how long a change may still be undone before word of it leaves."""

from datetime import timedelta

from gantry.domain.message import Channel
from gantry.reference.dated import LIBRARY_FROM, Fact

OURS = "Ours, to be set by the service with its patients"
LEAD: Fact[dict[Channel, timedelta]] = Fact(
    {Channel.TEXT: timedelta(hours=2), Channel.EMAIL: timedelta(hours=24), Channel.LETTER: timedelta(days=7)},
    "time before the first moment that the news concerns",
    OURS,
    LIBRARY_FROM,
    recalled=True,
)
"""With less than this somebody rings instead: a text is not read on the road, a letter is not there yet."""
PROOF: Fact[dict[Channel, timedelta]] = Fact(
    {Channel.TEXT: timedelta(hours=1), Channel.EMAIL: timedelta(hours=4), Channel.LETTER: timedelta(days=5)},
    "time without a receipt",
    OURS,
    LIBRARY_FROM,
    recalled=True,
)
"""After this, or half of what is left of the notice, somebody rings."""
HOLD_BACK: Fact[timedelta] = Fact(timedelta(minutes=2), "time", OURS, LIBRARY_FROM, recalled=True)
"""Word of a recovery waits so long: an undo within it reaches nobody."""
