"""The two doors of one Weaviate server: gRPC for data, REST for its schema.

The messages and the stub are those that `weaviate-client` publishes. Its client is not used: it
asks again up to five times with pauses that double, tells a status by its text alone, and cannot
be made while the server is away.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import httpx2
from google.protobuf.message import Message
from weaviate.proto.v1 import (
    aggregate_pb2,
    batch_delete_pb2,
    batch_pb2,
    search_get_pb2,
    weaviate_pb2_grpc,
)

from ragmesh.chassis.breakers import Breaker
from ragmesh.chassis.callers import Metadata
from ragmesh.chassis.clocks import SystemClock
from ragmesh.chassis.foreign_grpc import (
    Fault,
    ForeignCallError,
    ForeignChannel,
    ForeignSecurity,
    foreign_channel,
)
from ragmesh.chassis.requests import remaining_seconds
from ragmesh.core.clock import Clock
from ragmesh.core.errors import (
    DeadlineError,
    RagmeshError,
    StoreRefusedError,
    StoreUnavailableError,
)
from ragmesh.retrieval.adapters.weaviate.server import WeaviateServer

OLDEST, BEFORE = (1, 35), (2, 0)
"""Versions of Weaviate that this program speaks with: from the one, below the other."""
_WRITES_TAKE = 6
"""A write may take so many times as long as a search."""
_RETRY_SECONDS = 1.0
_MOST_FAILURES = 3
"""Calls in a row that wait in vain, after which the server is left alone."""
_REST_SECONDS = 1.0
"""Then one call a second tries, and every probe."""
_KEY_REFUSED = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
_MOST_DETAIL = 300
_log = logging.getLogger(__name__)


class WeaviateLink:
    """Asks Weaviate and says in the mesh's words what went wrong; any number of callers."""

    def __init__(
        self,
        server: WeaviateServer,
        channel: ForeignChannel,
        http: httpx2.AsyncClient,
        clock: Clock | None = None,
    ) -> None:
        self.server = server
        self._http = http
        self._channel = channel
        self._key = ""
        clock = SystemClock() if clock is None else clock
        self._breaker = Breaker(clock, _left_alone, _MOST_FAILURES, _REST_SECONDS)
        stub: Any = weaviate_pb2_grpc.WeaviateStub(channel)  # type: ignore[no-untyped-call]
        self._search = stub.Search
        self._aggregate = stub.Aggregate
        self._batch = stub.BatchObjects
        self._batch_delete = stub.BatchDelete

    # -- gRPC ------------------------------------------------------------------

    async def search(self, request: search_get_pb2.SearchRequest) -> search_get_pb2.SearchReply:
        """What matches."""
        reply: search_get_pb2.SearchReply = await self._ask(
            self._search, request, self.server.timeout_seconds
        )
        return reply

    async def count(self, request: aggregate_pb2.AggregateRequest) -> int:
        """How many objects match."""
        reply: aggregate_pb2.AggregateReply = await self._ask(
            self._aggregate, request, self.server.timeout_seconds
        )
        return reply.single_result.objects_count

    async def insert(self, request: batch_pb2.BatchObjectsRequest) -> None:
        """Keep all of the objects; the error of the first that was refused."""
        reply = await self._ask(self._batch, request, self._write_seconds)
        if reply.errors:
            raise self._refused_objects(len(reply.errors), reply.errors[0].error)

    async def delete(self, request: batch_delete_pb2.BatchDeleteRequest) -> int:
        """Remove what matches; how many there were. The server takes away so many at once."""
        removed = 0
        while True:
            reply: batch_delete_pb2.BatchDeleteReply = await self._ask(
                self._batch_delete, request, self._write_seconds
            )
            if reply.failed:
                raise self._refused_objects(reply.failed, "they could not be deleted")
            removed += reply.successful
            if reply.successful == 0 or reply.matches <= reply.successful:
                return removed

    @property
    def _write_seconds(self) -> float:
        return _WRITES_TAKE * self.server.timeout_seconds

    async def _ask(
        self, call: Callable[..., Awaitable[Any]], request: Message, seconds: float
    ) -> Any:
        limit = self._limit(seconds)
        self._breaker.enter()
        try:
            reply = await call(request, timeout=limit, metadata=self._metadata)
        except ForeignCallError as error:
            self._note(error.fault, had_its_time=limit == seconds)
            raise self._failed(error) from error
        self._breaker.answered()
        return reply

    def _note(self, fault: Fault, *, had_its_time: bool) -> None:
        """Tell the breaker; that a request with little time left got no answer says nothing."""
        if fault not in (Fault.AWAY, Fault.LATE):
            self._breaker.answered()
        elif fault is Fault.AWAY or had_its_time:
            self._breaker.failed()

    @property
    def _metadata(self) -> Metadata:
        return (("authorization", f"Bearer {self._key}"),) if self._key else ()

    def _limit(self, seconds: float) -> float:
        """Seconds for one call, never more than the request has left that it is made for."""
        left = remaining_seconds()
        if left is None:
            return seconds
        if left <= 0:
            raise DeadlineError("the request's time ran out before Weaviate was asked")
        return min(left, seconds)

    def _failed(self, error: ForeignCallError) -> RagmeshError:
        match error.fault:
            case Fault.KEY_REFUSED:
                return self._refused_key()
            case Fault.LATE:
                return self._late()
            case Fault.AWAY:
                return self._away()
            case Fault.REFUSED:
                return self.refusal(error.details)

    # -- REST ------------------------------------------------------------------

    async def rest(
        self, method: str, path: str, body: object = None
    ) -> tuple[int, dict[str, Any] | list[Any]]:
        """Status and JSON of a REST call; what is no success may be meant, so the caller looks."""
        headers = {name: str(value) for name, value in self._metadata}
        seconds = self._limit(self._write_seconds)
        try:
            async with asyncio.timeout(seconds):
                response = await self._http.request(
                    method, f"{self.server.rest_url}/v1/{path}", json=body, headers=headers
                )
        except (TimeoutError, httpx2.TimeoutException) as error:
            raise self._late() from error
        except (httpx2.HTTPError, AttributeError) as error:
            # anyio looks for the peer of a connection that was cut as soon as it was made, and
            # stumbles over the socket that uvloop has taken away.
            raise self._away() from error
        if response.status_code in _KEY_REFUSED:
            raise self._refused_key()
        try:
            told = response.json() if response.content else {}
        except json.JSONDecodeError:
            raise self.refusal("an answer that is not JSON") from None
        return response.status_code, told

    async def require(self, method: str, path: str, body: object = None) -> Any:
        """JSON of a REST call that must succeed."""
        status, told = await self.rest(method, path, body)
        if not 200 <= status < 300:
            raise self.refusal(f"{method} {path}: {status} {told}")
        return told

    async def find(self, path: str) -> Any:
        """JSON of what is at a path; None when there is nothing."""
        status, told = await self.rest("GET", path)
        if status == HTTPStatus.NOT_FOUND:
            # A server that has just started answers before it knows what it keeps.
            await self._require_ready()
            status, told = await self.rest("GET", path)
        return self._expected(f"GET {path}", status, told)

    async def remove(self, path: str) -> None:
        """Remove what is at a path, if there is something."""
        status, told = await self.rest("DELETE", path)
        self._expected(f"DELETE {path}", status, told)

    async def _require_ready(self) -> None:
        status, _ = await self.rest("GET", ".well-known/ready")
        if not _is_success(status):
            raise StoreUnavailableError(
                "Weaviate has started and does not know yet what it keeps",
                retry_after_seconds=_RETRY_SECONDS,
            )

    def _expected(self, call: str, status: int, told: object) -> object:
        if status == HTTPStatus.NOT_FOUND:
            return None
        if not _is_success(status):
            raise self.refusal(f"{call}: {status} {told}")
        return told

    # -- standing --------------------------------------------------------------

    async def probe(self) -> str:
        """The server's version, when it answers at both doors, takes the key and fits this program.

        The key file is read anew, so that a key that was changed needs no restart.
        """
        await self.read_key()
        meta = await self.require("GET", "meta")
        version = str(meta.get("version", ""))
        if not OLDEST <= _numbers(version) < BEFORE:
            raise StoreRefusedError(
                f"Weaviate has version {version or 'unknown'}; this program works with"
                f" {'.'.join(map(str, OLDEST))} and later, below {BEFORE[0]}",
                retry_after_seconds=_RETRY_SECONDS,
            )
        try:
            await self._channel.check(timeout=self._limit(self.server.timeout_seconds))
        except ForeignCallError as error:
            raise self._failed(error) from error
        self._breaker.answered()
        return version

    async def read_key(self) -> None:
        """Take the key from its file."""
        file = self.server.api_key_file
        if file is None:
            return
        try:
            self._key = (await asyncio.to_thread(file.read_text, "utf-8")).strip()
        except (OSError, ValueError) as error:
            raise StoreRefusedError(
                f"{file}, which index.api_key_file names, cannot be read",
                retry_after_seconds=_RETRY_SECONDS,
            ) from error

    # -- what is said ----------------------------------------------------------

    def _away(self) -> StoreUnavailableError:
        return StoreUnavailableError(
            "Weaviate cannot be reached; start it, or change index.url",
            retry_after_seconds=_RETRY_SECONDS,
        )

    def _late(self) -> RagmeshError:
        left = remaining_seconds()
        if left is not None and left <= 0:
            return DeadlineError("the request's time ran out while Weaviate was asked")
        return StoreUnavailableError(
            "Weaviate did not answer in time", retry_after_seconds=_RETRY_SECONDS
        )

    def _refused_key(self) -> StoreRefusedError:
        return StoreRefusedError(
            "Weaviate refuses the API key; set index.api_key_file to a file that"
            " holds one of its keys",
            retry_after_seconds=_RETRY_SECONDS,
        )

    def _refused_objects(self, count: int, example: str) -> RagmeshError:
        _log.warning(
            "weaviate refused objects", extra={"count": count, "detail": example[:_MOST_DETAIL]}
        )
        return self.refusal(example)

    def refusal(self, details: str) -> RagmeshError:
        """What it says may hold what it was asked: only the log is told."""
        _log.warning("weaviate refused a request", extra={"detail": details[:_MOST_DETAIL]})
        return StoreRefusedError(
            "Weaviate refused a request; the log tells why",
            retry_after_seconds=_RETRY_SECONDS,
        )


@asynccontextmanager
async def weaviate_link(server: WeaviateServer) -> AsyncIterator[WeaviateLink]:
    """A link that lives as long as the block; the server need not be there yet."""
    authorities = None
    if server.authorities is not None:
        authorities = await asyncio.to_thread(server.authorities.read_bytes)
    security = ForeignSecurity(authorities) if server.secure else None
    async with AsyncExitStack() as stack:
        channel = await stack.enter_async_context(
            foreign_channel(server.grpc_address, security=security)
        )
        http = await stack.enter_async_context(
            httpx2.AsyncClient(
                timeout=server.timeout_seconds * _WRITES_TAKE,
                follow_redirects=False,
                trust_env=False,
                verify=True if server.authorities is None else str(server.authorities),
            )
        )
        link = WeaviateLink(server, channel, http)
        with suppress(StoreRefusedError):  # said by the first probe, and by every call until then
            await link.read_key()
        yield link


def quoted(name: str) -> str:
    """A name as a part of a REST path."""
    return quote(name, safe="")


def _left_alone(seconds: float) -> StoreUnavailableError:
    return StoreUnavailableError(
        "Weaviate has not answered and is left alone", retry_after_seconds=seconds
    )


def _is_success(status: int) -> bool:
    return status // 100 == 2


def _numbers(version: str) -> tuple[int, ...]:
    parts = version.split("-")[0].split(".")
    return tuple(int(part) for part in parts if part.isdecimal())
