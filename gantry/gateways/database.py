"""Decides which connection a listener's thread works on, and what becomes of a call when the database goes away."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from django.db import InterfaceError, OperationalError, connection


class Desk:
    """A few threads with a connection each, for servers whose own threads come and go with every caller.

    A call whose connection broke is made once more on a new one, so a call must be safe to make twice.
    """

    def __init__(self, threads: int = 4) -> None:
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="database")

    def ask[**P, R](self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """The call's answer, or its exception, in the caller's thread."""
        return self._pool.submit(self._answer, call, *args, **kwargs).result()

    def _answer[**P, R](self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return call(*args, **kwargs)
        except (OperationalError, InterfaceError):
            connection.close()
        try:
            return call(*args, **kwargs)
        except (OperationalError, InterfaceError):
            connection.close()
            raise

    def close(self) -> None:
        """Ends the threads and their connections."""
        # Each thread is held until all have come, so that none closes twice and another never.
        all_here = threading.Barrier(self._threads)

        def end() -> None:
            all_here.wait(5)
            connection.close()

        for _ in range(self._threads):
            self._pool.submit(end)
        self._pool.shutdown(wait=True)


def reaches_the_database() -> None:
    """Raises when it does not."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
