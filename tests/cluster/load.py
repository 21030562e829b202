"""A steady load at a door, which remembers what failed and when."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx

from tests.cluster.releases import Door

RATE = 20
"""Calls a second."""
PATIENCE_SECONDS = 15.0
"""A call that takes longer has failed."""
_AT_ONCE = 40
_DRAIN_SECONDS = 30.0


@dataclass(frozen=True)
class Failure:
    """A call that was not answered, or refused."""

    at: float
    """Monotonic seconds when it was made."""
    why: str


@dataclass
class Load:
    """Searches, as many a second, whatever became of the ones before.

    `{number}` in the question is that of the call, so that none is answered from the cache.
    """

    door: Door
    collection: str
    question: str
    patience_seconds: float = PATIENCE_SECONDS
    failures: list[Failure] = field(default_factory=list)
    made: int = 0
    _stopped: threading.Event = field(default_factory=threading.Event)

    def since(self, moment: float) -> list[Failure]:
        """What failed of the calls that were made later."""
        return [one for one in self.failures if one.at >= moment]

    def run(self) -> None:
        limits = httpx.Limits(max_connections=_AT_ONCE, keepalive_expiry=5)
        with (
            httpx.Client(
                limits=limits, headers=self.door.headers, timeout=self.patience_seconds
            ) as client,
            ThreadPoolExecutor(_AT_ONCE) as pool,
        ):
            due = time.monotonic()
            while not self._stopped.wait(max(0.0, due - time.monotonic())):
                pool.submit(self._call, client, self.made)
                self.made += 1
                due += 1 / RATE

    def stop(self) -> None:
        self._stopped.set()

    def _call(self, client: httpx.Client, number: int) -> None:
        begun = time.monotonic()
        path = f"{self.door.url}/collections/{self.collection}/search"
        body = {"query": self.question.format(number=number)}
        # Some callers keep their connections, others come with a new one, to whichever pod.
        headers = {"connection": "close"} if number % 2 else {}
        try:
            reply = client.post(path, json=body, headers=headers)
            is_answered = reply.status_code == 200 and bool(reply.json()["hits"])
        except (httpx.HTTPError, ValueError, KeyError) as error:  # in a pool nobody hears of others
            self.failures.append(Failure(begun, repr(error)))
            return
        if not is_answered:
            self.failures.append(Failure(begun, f"{reply.status_code} {reply.text[:600]}"))


@contextmanager
def steady_load(
    door: Door, collection: str, question: str, *, patience_seconds: float = PATIENCE_SECONDS
) -> Iterator[Load]:
    """A load for the time of the block; calls under way are waited for at its end."""
    load = Load(door, collection, question, patience_seconds)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(load.run)
        try:
            yield load
        finally:
            load.stop()
            running.result(_DRAIN_SECONDS)  # a load that ended by an error has shown nothing
