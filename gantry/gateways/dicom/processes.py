"""Decides which process serves a connection: one listens, several serve, and one that dies is replaced.

Python serves one association at a time well; scanners and hospitals bring several. The listening process holds nothing
but sockets: it hands each connection to the worker with the fewest, so a killed worker costs its own associations only.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import selectors
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field

from gantry.gateways.dicom.reactor import HANDED_BYTES
from gantry.gateways.dicom.server import Doors, serve

log = logging.getLogger(__name__)

RESTART_AFTER_S = 1.0
"""A worker that dies sooner than this after its start is not started again before it has passed."""

DRAIN_S = 5.0
"""How long associations may go on after a stop was asked for."""


@dataclass(slots=True)
class Worker:
    pid: int
    channel: socket.socket
    started: float
    active: int = 0


@dataclass(slots=True)
class Dispatcher:
    """The listening process."""

    ae_title: str
    listener: socket.socket
    make: Callable[[], Doors]
    processes: int
    workers: dict[int, Worker] = field(default_factory=dict)
    selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)
    stopping: bool = False

    def run(self) -> None:
        wake, woken = socket.socketpair()
        wake.setblocking(False)
        woken.setblocking(False)
        previous = [(number, signal.signal(number, self._stop)) for number in (signal.SIGTERM, signal.SIGINT)]
        previous_wakeup = signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
        self.selector.register(woken, selectors.EVENT_READ, None)
        self.selector.register(self.listener, selectors.EVENT_READ, None)
        try:
            while not self.stopping:
                self._fill()
                for key, _ in self.selector.select(timeout=RESTART_AFTER_S):
                    if key.fileobj is self.listener:
                        self._accept()
                    elif key.fileobj is woken:
                        woken.recv(256)
                    else:
                        self._hear(key.data)
        finally:
            self._end_all()
            signal.set_wakeup_fd(previous_wakeup)
            for number, handler in previous:
                signal.signal(number, handler)
            self.selector.close()
            wake.close()
            woken.close()

    def _stop(self, number: int, frame: object) -> None:
        self.stopping = True

    def _fill(self) -> None:
        now = time.monotonic()
        while len(self.workers) < self.processes:
            self._start(now)

    def _start(self, now: float) -> None:
        ours, theirs = socket.socketpair()
        pid = os.fork()
        if pid == 0:
            ours.close()
            self._become_worker(theirs)
        theirs.close()
        worker = Worker(pid, ours, now)
        self.workers[pid] = worker
        self.selector.register(ours, selectors.EVENT_READ, worker)

    def _become_worker(self, channel: socket.socket) -> None:
        """In the child: forget the listener, serve until told or until the listening process is gone."""
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            self.selector.close()
            self.listener.close()
            for other in self.workers.values():
                other.channel.close()
            work(self.ae_title, channel, self.make)
            status = 0
        except BaseException:
            traceback.print_exc(file=sys.stderr)
        finally:
            # Never return into the parent's stack: its clean-up is not ours to run.
            os._exit(status)

    def _accept(self) -> None:
        try:
            connection, address = self.listener.accept()
        except OSError:
            return
        with connection:
            message = f"{address[0]} {address[1]}".encode().ljust(HANDED_BYTES)
            for worker in sorted(self.workers.values(), key=lambda worker: worker.active):
                try:
                    socket.send_fds(worker.channel, [message], [connection.fileno()])
                except OSError:
                    continue
                worker.active += 1
                return

    def _hear(self, worker: Worker) -> None:
        try:
            heard = worker.channel.recv(4096)
        except OSError:
            heard = b""
        if heard:
            worker.active -= len(heard)
            return
        self.selector.unregister(worker.channel)
        worker.channel.close()
        del self.workers[worker.pid]
        with contextlib.suppress(ChildProcessError):
            os.waitpid(worker.pid, 0)
        if not self.stopping:
            log.error("a DICOM worker died and is replaced", extra={"pid": worker.pid})
            early = worker.started + RESTART_AFTER_S - time.monotonic()
            if early > 0:
                time.sleep(early)

    def _end_all(self) -> None:
        self.listener.close()
        for worker in self.workers.values():
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker.pid, signal.SIGTERM)
        for worker in self.workers.values():
            with contextlib.suppress(ChildProcessError):
                os.waitpid(worker.pid, 0)
            worker.channel.close()


def work(ae_title: str, channel: socket.socket, make: Callable[[], Doors]) -> None:
    told = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: told.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    server = serve(ae_title, ("127.0.0.1", 0), make(), channel=channel)
    while not told.wait(0.2) and not server.orphaned:
        pass
    until = time.monotonic() + DRAIN_S
    while server.active and time.monotonic() < until:
        time.sleep(0.05)
    server.stop()


def serve_forever(
    ae_title: str,
    address: tuple[str, int],
    make: Callable[[], Doors],
    *,
    processes: int,
    listening: Callable[[int], None] = lambda port: None,
) -> None:
    """Serves until SIGTERM or SIGINT. `make` runs in each worker, so connections to the database are its own."""
    listener = socket.create_server(address, backlog=128, reuse_port=False)
    listening(listener.getsockname()[1])
    gc.freeze()
    Dispatcher(ae_title, listener, make, processes).run()
