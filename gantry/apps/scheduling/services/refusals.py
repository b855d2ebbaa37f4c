"""Why something of the day plan was not done."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date

from gantry.apps.estate.models import Site


class NotPossible(Exception):
    """It cannot be done as it stands, for these reasons; nothing was changed."""

    def __init__(self, *reasons: str) -> None:
        self.reasons = list(reasons)
        super().__init__("; ".join(reasons))


class CannotBuild(NotPossible):
    """The rows of a day contradict one another so that no plan can be made of them; these reasons say where."""

    def __init__(self, site: Site, on: date, *reasons: str) -> None:
        self.site, self.on = site, on
        super().__init__(*reasons)


CONTRADICTIONS = (ValueError, LookupError, ArithmeticError, StopIteration)
"""What the day's own rules raise when they are given facts that cannot be."""


@contextmanager
def said_in_words(site: Site, on: date) -> Iterator[None]:
    """Facts that contradict one another become a reason that a page can show, instead of an error that it cannot."""
    try:
        yield
    except CONTRADICTIONS as broken:
        said = str(broken) or type(broken).__name__
        raise CannotBuild(site, on, f"The day cannot be worked out: {said}") from broken
