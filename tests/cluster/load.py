"""A steady load at a door, which remembers what failed and when."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import httpx

from tests.cluster.releases import Door
from tools.processes import await_condition

RATE = 20
"""Calls a second."""
PATIENCE_SECONDS = 15.0
"""A call that takes longer has failed."""
_AT_ONCE = 40
_DRAIN_SECONDS = 30.0
_INDEXED_SECONDS = 60.0
_QUESTIONS = count()
"""Numbers of the questions of all loads, so that none is answered from the cache."""


@dataclass(frozen=True)
class Kind:
    """Something that is asked of a collection, or of one beside it."""

    path: str
    body: Callable[[str], dict[str, object]]
    """What is sent for a question."""
    shown: Callable[[dict[str, Any]], object]
    """What of an answer must be there, and not empty."""
    beside: str = ""
    """What the name of the collection ends with."""


SEARCH = Kind("search", lambda question: {"query": question}, lambda told: told["hits"])
ASK = Kind("ask", lambda question: {"question": question}, lambda told: told["answer"])
UPLOAD = Kind(
    "documents",
    lambda question: {"text": f"Somebody asked: {question}"},
    lambda told: told["documents"][0].get("job_id"),
    # What is searched stays as it is, and its answers the same.
    beside="-uploaded",
)


@dataclass(frozen=True)
class Failure:
    """A call that was not answered, or refused."""

    kind: Kind
    at: float
    """Monotonic seconds when it was made."""
    why: str


MIX = (*[SEARCH] * 7, ASK, *[SEARCH] * 7, UPLOAD, *[SEARCH] * 5)
"""What reaches every service. An odd number, so that callers of each kind keep their connections
now and come anew then."""


@dataclass
class Load:
    """Calls of a mix in turn, as many a second, whatever became of the ones before.

    `{number}` in the question differs with each call of all loads.
    """

    door: Door
    collection: str
    question: str
    patience_seconds: float = PATIENCE_SECONDS
    mix: Sequence[Kind] = MIX
    failures: list[Failure] = field(default_factory=list)
    made: int = 0
    _stopped: threading.Event = field(default_factory=threading.Event)

    @property
    def uploads(self) -> int:
        """How many were tried."""
        return sum(self.mix[number % len(self.mix)] is UPLOAD for number in range(self.made))

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
        kind = self.mix[number % len(self.mix)]
        url = f"{self.door.url}/collections/{self.collection}{kind.beside}/{kind.path}"
        body = kind.body(self.question.format(number=next(_QUESTIONS)))
        # Some callers keep their connections, others come with a new one, to whichever pod.
        headers = {"connection": "close"} if number % 2 else {}
        try:
            reply = client.post(url, json=body, headers=headers)
            is_answered = reply.is_success and bool(kind.shown(reply.json()))
        except (httpx.HTTPError, ValueError, KeyError) as error:  # in a pool nobody hears of others
            self.failures.append(Failure(kind, begun, f"{kind.path}: {error!r}"))
            return
        if not is_answered:
            why = f"{kind.path}: {reply.status_code} {reply.text[:600]}"
            self.failures.append(Failure(kind, begun, why))


@contextmanager
def steady_load(
    door: Door,
    collection: str,
    question: str,
    *,
    patience_seconds: float = PATIENCE_SECONDS,
    mix: Sequence[Kind] = MIX,
) -> Iterator[Load]:
    """A load for the time of the block; calls under way are waited for at its end."""
    load = Load(door, collection, question, patience_seconds, mix)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(load.run)
        try:
            yield load
        finally:
            load.stop()
            running.result(_DRAIN_SECONDS)  # a load that ended by an error has shown nothing


def fill(door: Door, collection: str, texts: Mapping[str, str]) -> None:
    """What a load needs: a collection to search, and one beside it for uploads."""
    door.fill(collection, texts)
    door.call("POST", "/collections", {"name": f"{collection}{UPLOAD.beside}"})


def uploaded(door: Door, collection: str) -> int:
    """How many documents loads have brought so far."""
    number: int = _counted(door, collection)["documents"]
    return number


def lost_documents(load: Load, before: int) -> str:
    """What became of documents that were uploaded beside so many, unless all can be found, once
    each; an upload that failed may have been taken."""
    door, collection = load.door, load.collection
    doubtful = sum(one.kind is UPLOAD for one in load.failures)
    await_condition(lambda: _counted(door, collection)["pending_documents"] == 0, _INDEXED_SECONDS)
    told = _counted(door, collection)
    number, indexed = told["documents"], told["indexed_documents"]
    least, most = before + load.uploads - doubtful, before + load.uploads
    if least <= number == indexed <= most:
        return ""
    failed = told["failed_documents"]
    return f"{least} to {most} documents expected, {number} there, {indexed} found, {failed} failed"


def _counted(door: Door, collection: str) -> dict[str, Any]:
    return door.call("GET", f"/collections/{collection}{UPLOAD.beside}")
