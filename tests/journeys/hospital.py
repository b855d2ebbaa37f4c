"""The hospital of a journey: Orthanc as its PACS and python-hl7's server as its integration engine."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import hl7
from hl7.mllp import start_hl7_server

from gantry.apps.estate.models import Endpoint, EndpointKind, Organisation
from tests.gateways.peers import Orthanc


@dataclass
class Engine:
    """Accepts every message and remembers it, read by the library that nobody here wrote."""

    received: list[Any] = field(default_factory=list)
    port: "Future[int]" = field(default_factory=Future)
    _loop: asyncio.AbstractEventLoop | None = None
    _stop: asyncio.Event | None = None

    async def serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await start_hl7_server(self.take, host="127.0.0.1", port=0, encoding="utf-8")
        self.port.set_result(server.sockets[0].getsockname()[1])
        async with server:
            await self._stop.wait()

    async def take(self, reader: Any, writer: Any) -> None:
        try:
            while not writer.is_closing():
                message = await reader.readmessage()
                self.received.append(message)
                writer.writemessage(message.create_ack())
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def stop(self) -> None:
        if self._loop and self._stop:
            self._loop.call_soon_threadsafe(self._stop.set)


@contextmanager
def open_engine() -> Iterator[Engine]:
    engine = Engine()
    thread = threading.Thread(target=lambda: asyncio.run(engine.serve()), daemon=True)
    thread.start()
    engine.port.result(10)
    try:
        yield engine
    finally:
        engine.stop()
        thread.join(10)


def connect(organisation: Organisation, pacs: Orthanc, engine: Engine) -> None:
    """Where this hospital takes images and reports."""
    Endpoint.objects.create(
        organisation=organisation,
        kind=EndpointKind.DICOM,
        host="127.0.0.1",
        port=pacs.dicom_port,
        ae_title=pacs.ae_title,
    )
    Endpoint.objects.create(
        organisation=organisation,
        kind=EndpointKind.HL7,
        host="127.0.0.1",
        port=engine.port.result(),
        application="EPR",
        facility=organisation.ods_code,
    )


def text_of(message: hl7.Message) -> str:
    return str(message)
