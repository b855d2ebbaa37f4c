"""How an error is logged: its type and its places. Its words are left out, for a database puts the patient's row in them."""

import logging
import traceback
from types import TracebackType

type ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


class PlacesOnly(logging.Formatter):
    """A formatter that never prints what an exception says, nor the source lines and values around it."""

    def formatException(self, ei: ExcInfo) -> str:  # noqa: N802 - the name is logging's
        told = []
        error = ei[1]
        seen: set[int] = set()
        while error is not None and id(error) not in seen:
            seen.add(id(error))
            frames = traceback.extract_tb(error.__traceback__)
            places = [
                f"  {frame.filename.rpartition('site-packages/')[2]}:{frame.lineno} {frame.name}" for frame in frames
            ]
            told += [f"{type(error).__module__}.{type(error).__qualname__}", *places[-25:]]
            error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        return "\n".join(told)

    def formatStack(self, stack_info: str) -> str:  # noqa: N802 - the name is logging's
        return ""

    def format(self, record: logging.LogRecord) -> str:
        # A traceback that another formatter wrote into the record must not be printed again.
        record.exc_text = None
        return super().format(record)
