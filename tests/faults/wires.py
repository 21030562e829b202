"""A wire to a server that can be slow, narrow, silent, cut or dead: a TCP proxy with weather.

It runs in a thread of its own, so that tests of any kind can change the weather while connections
stand. Bytes are never lost or changed, as TCP promises: what is held back arrives when the weather
is fine again, unless the connection has ended by then.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace

from tools.free_ports import LOOPBACK

_CHUNK_BYTES = 16_384
_LOOK_SECONDS = 0.01
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class Weather:
    """What happens to bytes in one direction."""

    latency_seconds: float = 0.0
    """How much later each piece arrives."""
    bytes_per_second: float | None = None
    """How much passes; None = as much as there is."""
    is_silent: bool = False
    """Whether nothing passes, though connections stand and can be made."""


FINE = Weather()


@dataclass
class Wire:
    """The proxy: its port, and its weather in both directions."""

    host: str
    port: int
    """Of the server behind it."""
    here: int = 0
    """The port where clients find it."""
    to_server: Weather = FINE
    to_client: Weather = FINE
    is_dead: bool = False
    """Whether connections are reset as soon as they are made."""
    _ends: set[asyncio.StreamWriter] = field(default_factory=set)
    _loop: asyncio.AbstractEventLoop | None = None

    @property
    def address(self) -> str:
        """Where clients find it, as HOST:PORT."""
        return f"{LOOPBACK}:{self.here}"

    def slow(self, seconds: float) -> None:
        """Delay each piece by so long, in both directions."""
        self.to_server = replace(self.to_server, latency_seconds=seconds)
        self.to_client = replace(self.to_client, latency_seconds=seconds)

    def silence(self) -> None:
        """Let nothing pass, and tell nobody: the other end looks as if it thought."""
        self.to_server = self.to_client = Weather(is_silent=True)

    def narrow(self, bytes_per_second: float) -> None:
        """Let no more than so much pass, in each direction."""
        weather = Weather(bytes_per_second=bytes_per_second)
        self.to_server = self.to_client = weather

    def swallow_answers(self) -> None:
        """Let requests pass and hold back what is answered: was it done or not?"""
        self.to_client = Weather(is_silent=True)

    def heal(self) -> None:
        """Fine weather; what was held back arrives."""
        self.to_server = self.to_client = FINE
        self.is_dead = False

    def reset(self) -> None:
        """End every connection that stands, by a reset at both ends."""
        assert self._loop is not None
        asyncio.run_coroutine_threadsafe(self._reset(), self._loop).result()

    def die(self) -> None:
        """Reset what stands and all that will be made, until it is healed."""
        self.is_dead = True
        self.reset()

    async def _reset(self) -> None:
        for end in self._ends:
            _abort(end)

    async def serve(self, started: threading.Event, stopping: asyncio.Event) -> None:
        """Stand between clients and the server until told to stop."""
        self._loop = asyncio.get_running_loop()
        server = await asyncio.start_server(self._accept, LOOPBACK, self.here)
        self.here = server.sockets[0].getsockname()[1]
        started.set()
        await stopping.wait()
        server.close()
        await self._reset()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends = {writer}
        self._ends.add(writer)
        try:
            if self.is_dead:
                return
            far_reader, far_writer = await asyncio.open_connection(self.host, self.port)
            ends.add(far_writer)
            self._ends.add(far_writer)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._carry(reader, far_writer, towards_server=True))
                group.create_task(self._carry(far_reader, writer, towards_server=False))
        except* OSError:
            pass  # one end is gone, and the other shall see it
        finally:
            self._ends -= ends
            for end in ends:
                _abort(end)

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, towards_server: bool
    ) -> None:
        """Carry bytes one way until their source ends."""

        def weather() -> Weather:
            return self.to_server if towards_server else self.to_client

        while chunk := await reader.read(_CHUNK_BYTES):
            now = weather()
            narrow = len(chunk) / now.bytes_per_second if now.bytes_per_second else 0.0
            await asyncio.sleep(now.latency_seconds + narrow)
            while weather().is_silent:  # noqa: ASYNC110 - another thread changes the weather
                await asyncio.sleep(_LOOK_SECONDS)
            writer.write(chunk)
            await writer.drain()
        with suppress(OSError):
            writer.write_eof()


def _abort(end: asyncio.StreamWriter) -> None:
    sock = end.get_extra_info("socket")
    if sock is not None and sock.fileno() != -1:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    end.transport.abort()


@contextmanager
def wire_to(host: str, port: int) -> Iterator[Wire]:
    """A wire to a server for the time of the block, in fine weather."""
    wire, started = Wire(host, port), threading.Event()
    stopping: list[asyncio.Event] = []

    async def live() -> None:
        stopping.append(asyncio.Event())
        await wire.serve(started, stopping[0])

    thread = threading.Thread(target=lambda: asyncio.run(live()), name=f"wire to {port}")
    thread.start()
    assert started.wait(10)
    try:
        yield wire
    finally:
        assert wire._loop is not None
        wire._loop.call_soon_threadsafe(stopping[0].set)
        thread.join()
