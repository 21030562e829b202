"""Signals over LISTEN and NOTIFY, on one connection of their own.

They are sent right after the commit, many in one NOTIFY, and not by the transaction itself: commits
that notify wait for each other through all of the database, each for the disk of the one before.
What is lost so (a process that dies in between, a connection that was away) is found by reading:
after every new connection listeners are told to look at everything, and followers of heads compare
their sequence with the catalog's every second.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import asyncpg

from ragmesh.core.errors import RagmeshError
from ragmesh.core.ids import new_uid
from ragmesh.indexing.adapters.catalog.places import PostgresPlace
from ragmesh.indexing.adapters.catalog.postgres import connect, mesh_error
from ragmesh.indexing.sharing import Listener, Signal, Subject

_log = logging.getLogger(__name__)
_CHANNEL = "ragmesh_catalog"
_MOST_CHARACTERS = 7_000
"""A payload has less than 8,000 bytes."""
_GATHERED_SECONDS = 0.005
_BEAT_SECONDS = 1.0
_PAUSE_SECONDS = 1.0
_MOST_WAITING = 10_000


@dataclass(slots=True)
class NotifySignals:
    """Satisfies `sharing.Signals`."""

    place: PostgresPlace
    _me: str = field(default_factory=new_uid, init=False)
    _listeners: dict[Subject, list[Listener]] = field(default_factory=dict, init=False)
    _waiting: dict[tuple[Subject, str], int] = field(default_factory=dict, init=False)
    _filled: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _is_interrupted: bool = field(default=False, init=False)
    """And it was said: once an outage."""

    def tell(self, signal: Signal) -> None:
        """Have the others hear of it soon; never waits."""
        key = (signal.subject, signal.name)
        if key not in self._waiting and len(self._waiting) >= _MOST_WAITING:
            self._waiting.clear()
            self._waiting.update({(subject, ""): 0 for subject in Subject})
        self._waiting[key] = max(self._waiting.get(key, 0), signal.number)
        self._filled.set()

    def listen(self, subject: Subject, listener: Listener) -> None:
        """Call the listener with what others tell."""
        self._listeners.setdefault(subject, []).append(listener)

    async def run(self) -> None:
        """Send and hear until cancelled; a server that is away is dialled again."""
        while True:
            try:
                await self._converse()
            except RagmeshError as error:
                told: Exception = error
            except Exception as error:  # mapped
                told = mesh_error(error, self.place)
            if not (isinstance(told, RagmeshError) and told.kind.transient):
                raise told
            if not self._is_interrupted:
                _log.warning("the catalog's signals are interrupted", extra={"cause": str(told)})
            self._is_interrupted = True
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _converse(self) -> None:
        """On one connection, until it is lost."""
        connection = await connect(self.place)
        try:
            await connection.add_listener(_CHANNEL, self._hear)
            self._is_interrupted = False
            self._look_at_everything()
            while True:
                await self._send(connection)
        finally:
            connection.terminate()

    async def _send(self, connection: asyncpg.Connection) -> None:
        """What waits, or a sign that the connection is alive."""
        try:
            async with asyncio.timeout(_BEAT_SECONDS):
                await self._filled.wait()
            await asyncio.sleep(_GATHERED_SECONDS)
        except TimeoutError:
            await connection.execute("SELECT 1", timeout=self.place.statement_seconds)
            return
        self._filled.clear()
        waiting = [Signal(*key, number) for key, number in self._waiting.items()]
        self._waiting.clear()
        for payload in _payloads(self._me, waiting):
            await connection.execute(
                "SELECT pg_notify($1, $2)",
                _CHANNEL,
                payload,
                timeout=self.place.statement_seconds,
            )

    def _hear(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        sender, *signals = json.loads(str(payload))
        if sender == self._me:
            return
        for subject, name, number in signals:
            self._pass_on(Signal(Subject(subject), name, number))

    def _look_at_everything(self) -> None:
        for subject in Subject:
            self._pass_on(Signal(subject))

    def _pass_on(self, signal: Signal) -> None:
        for listener in self._listeners.get(signal.subject, ()):
            listener(signal)


def _payloads(sender: str, signals: Iterable[Signal]) -> Iterator[str]:
    """The signals as JSON, in texts that one NOTIFY takes."""
    part: list[object] = [sender]
    characters = 0
    for signal in signals:
        one = [signal.subject.value, signal.name, signal.number]
        characters += len(json.dumps(one)) + 2
        if characters > _MOST_CHARACTERS:
            yield json.dumps(part)
            part, characters = [sender], len(json.dumps(one)) + 2
        part.append(one)
    yield json.dumps(part)
