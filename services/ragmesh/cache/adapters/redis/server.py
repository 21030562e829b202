"""A Redis that is asked within a budget: what does not answer in time is passed by, untried again.

redis-py waits and repeats by default, for seconds with a server that is frozen; a cache that is
waited for is worse than none. Whoever is not answered is told so at once, and a server that fails
again and again is left alone but for one call now and then.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from redis.asyncio import BlockingConnectionPool, Connection, Redis, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)

from ragmesh.cache.adapters.redis.scripts import BEGIN, Script
from ragmesh.chassis.breakers import Breaker
from ragmesh.core.clock import Clock
from ragmesh.core.errors import (
    RagmeshError,
    StorageFullError,
    StoreRefusedError,
    StoreUnavailableError,
)

OLDEST_VERSION = (7, 0)
"""The first whose scripts say that they may write where there is no room."""
_PORT = 6379
_PROBE_SECONDS = 1.0
_REST_SECONDS = 1.0
_SECTIONS = ("server", "memory", "replication")
"""Of what a Redis says of itself, those that are looked at."""
_LATE = 1.5
"""Budgets after which it was this process that was late, and nothing is known of the server."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_Argument = str | bytes | int


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """Where a Redis is, and how it is entered."""

    url: str
    """redis://[USER@]HOST[:PORT][/DATABASE], or rediss:// for TLS."""
    password: str | None = None
    ca_file: Path | None = None
    """Whose certificates are believed; by default those that the system believes."""


@dataclass(frozen=True, slots=True)
class RedisLimits:
    """How long a Redis is waited for, and how it is shared."""

    budget_seconds: float = 0.02
    invalidation_seconds: float = 1.0
    """For news: whoever brings it waits rather than bring it again."""
    connections: int = 8
    prefix: str = "ragmesh"
    """What the names of all keys begin with."""


@dataclass(frozen=True, slots=True)
class RedisState:
    """What a Redis says of itself."""

    version: str
    policy: str
    """What it forgets once it is full."""
    max_bytes: int
    """0 = as much as the machine has."""
    mode: str
    role: str

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> RedisState:
        """What the reply to INFO says."""
        return cls(
            version=str(told.get("redis_version", "")),
            policy=str(told.get("maxmemory_policy", "")),
            max_bytes=int(told.get("maxmemory", 0)),
            mode=str(told.get("redis_mode", "standalone")),
            role=str(told.get("role", "master")),
        )


class _UnsuitableError(RedisError):
    """The server answers, and cannot be used; a RedisError, so that redis-py hangs up."""


class RedisServer:
    """One Redis behind a budget, a breaker, and a look at what kind of Redis it is."""

    def __init__(
        self, client: Redis, place: str, clock: Clock, limits: RedisLimits | None = None
    ) -> None:
        self._client = client
        self._place = place
        self._clock = clock
        self.limits = RedisLimits() if limits is None else limits
        self._breaker = Breaker(clock, self._left_alone, rest_seconds=_REST_SECONDS)
        self._unsuitable = ""

    def key(self, *parts: str) -> str:
        """The name of a key of this mesh."""
        return ":".join((self.limits.prefix, *parts))

    async def run(
        self,
        script: Script,
        keys: Sequence[str],
        arguments: Sequence[_Argument],
        *,
        seconds: float | None = None,
    ) -> Any:
        """What the script returns."""
        async with self._asking(seconds or self.limits.budget_seconds):
            try:
                return await self._client.evalsha(script.sha, len(keys), *keys, *arguments)
            except NoScriptError:  # after each start of the server
                return await self._client.eval(script.text, len(keys), *keys, *arguments)

    async def read_values(self, keys: Sequence[str]) -> list[bytes | None]:
        """What is kept under the keys, in their order."""
        async with self._asking(self.limits.budget_seconds):
            values: Any = await self._client.mget(keys)
            return list(values)

    async def write_values(self, values: Sequence[tuple[str, bytes]], *, ttl_ms: int) -> None:
        """Keep the values for a time."""
        async with self._asking(self.limits.budget_seconds):
            pipeline = self._client.pipeline(transaction=False)
            for key, value in values:
                pipeline.set(key, value, px=ttl_ms)
            await pipeline.execute()

    async def drop_values(self, keys: Sequence[str]) -> None:
        """Forget what is kept under the keys."""
        async with self._asking(self.limits.budget_seconds):
            await self._client.unlink(*keys)

    async def probe(self) -> None:
        """Return when the server can be used; begin the memory of changes that it may have lost."""
        await self.look()

    async def look(self) -> RedisState:
        """How the server is; StoreRefusedError when it must not be used."""
        async with self._errors(), asyncio.timeout(_PROBE_SECONDS):
            state = RedisState.of(await self._client.info(*_SECTIONS))
            self._unsuitable = unsuitable(state, self._place)
            if self._unsuitable:
                raise StoreRefusedError(self._unsuitable)
            moment = microseconds(self._clock.now())
            await self._client.eval(BEGIN.text, 1, self.key("life"), moment)
        self._breaker.answered()
        return state

    @asynccontextmanager
    async def _asking(self, seconds: float) -> AsyncIterator[None]:
        if self._unsuitable:
            raise StoreRefusedError(self._unsuitable)
        self._breaker.enter()
        began = self._clock.monotonic()
        try:
            async with self._errors(), asyncio.timeout(seconds):
                yield
        except StorageFullError:
            self._breaker.answered()
            raise
        except RagmeshError:
            if self._clock.monotonic() - began < _LATE * seconds:
                self._breaker.failed()
            raise
        self._breaker.answered()

    @asynccontextmanager
    async def _errors(self) -> AsyncIterator[None]:
        try:
            yield
        except OutOfMemoryError as error:
            raise StorageFullError(
                f"{self._place} has no room left; give it more maxmemory, or a maxmemory-policy "
                "that begins with volatile-",
                retry_after_seconds=_REST_SECONDS,
            ) from error
        except (
            AuthenticationError,
            AuthorizationError,
            NoPermissionError,
            ReadOnlyError,
            _UnsuitableError,
            ResponseError,
        ) as error:
            raise StoreRefusedError(
                f"{self._place} refuses: {error}", retry_after_seconds=_REST_SECONDS
            ) from error
        except (RedisError, OSError, TimeoutError, RuntimeError) as error:
            # uvloop's word for a connection that was reset is a bare RuntimeError, and redis-py
            # lets it pass; what is derived from that is a mistake of ours.
            if isinstance(error, RuntimeError) and type(error) is not RuntimeError:
                raise
            raise StoreUnavailableError(
                f"{self._place} did not answer: {str(error) or type(error).__name__}",
                retry_after_seconds=_REST_SECONDS,
            ) from error

    def _left_alone(self, seconds: float) -> StoreUnavailableError:
        return StoreUnavailableError(
            f"{self._place} has failed too often and is left alone", retry_after_seconds=seconds
        )


@asynccontextmanager
async def open_redis(
    address: RedisAddress, clock: Clock, limits: RedisLimits | None = None
) -> AsyncIterator[RedisServer]:
    """The Redis at the address, for the time of the block; it may be away, and come later."""
    limits = RedisLimits() if limits is None else limits
    parts = urlsplit(address.url)
    place = f"the Redis at {parts.hostname}:{parts.port or _PORT}"

    async def greet(connection: Any) -> None:
        try:
            await connection.on_connect()
            state = await _told(connection)
        except BaseException:
            # redis-py would keep it when this is given up, and hand the replies that were waited
            # for to whoever asks next.
            await connection.disconnect(nowait=True)
            raise
        reason = unsuitable(state, place)
        if reason:
            raise _UnsuitableError(reason)

    pool = _pool(address, limits, greet)
    client = Redis(connection_pool=pool)
    try:
        yield RedisServer(client, place, clock, limits)
    finally:
        await client.aclose()
        await pool.aclose()


def _pool(address: RedisAddress, limits: RedisLimits, greet: Any) -> BlockingConnectionPool:
    parts = urlsplit(address.url)
    secure: dict[str, Any] = {} if parts.scheme == "redis" else _tls(address)
    return BlockingConnectionPool(
        max_connections=limits.connections,
        timeout=None,  # every call has its budget
        connection_class=SSLConnection if secure else Connection,
        host=parts.hostname,
        port=parts.port or _PORT,
        db=int(parts.path.strip("/") or 0),
        username=parts.username,
        password=address.password,
        protocol=2,
        driver_info=None,
        socket_timeout=_PROBE_SECONDS,
        socket_connect_timeout=_PROBE_SECONDS,
        retry=Retry(NoBackoff(), 0),
        redis_connect_func=greet,
        **secure,
    )


async def _told(connection: Any) -> RedisState:
    """What the server at the other end says of itself."""
    try:
        await connection.send_command("INFO", *_SECTIONS)
        return RedisState.of(_parsed(await connection.read_response()))
    except ResponseError:  # it is older than OLDEST_VERSION, and says so when asked for all
        await connection.send_command("INFO")
        return RedisState.of(_parsed(await connection.read_response()))


def _tls(address: RedisAddress) -> dict[str, Any]:
    return {
        "ssl_ca_certs": None if address.ca_file is None else str(address.ca_file),
        "ssl_min_version": ssl.TLSVersion.TLSv1_2,
    }


def unsuitable(state: RedisState, place: str) -> str:
    """Why a server in this state must not be used; empty when it may be."""
    if _numbers(state.version) < OLDEST_VERSION:
        oldest = ".".join(map(str, OLDEST_VERSION))
        return f"{place} is of version {state.version or 'unknown'}; it must be {oldest} or newer"
    if state.policy.startswith("allkeys-"):
        return (
            f"{place} may forget which answers became untrue: its maxmemory-policy is "
            f"{state.policy}; set it to volatile-lru"
        )
    if state.mode == "cluster":
        return f"{place} is a cluster; the cache needs one primary"
    if state.role == "slave":
        return f"{place} is a replica; cache.url must name its primary"
    return ""


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdigit())


def _parsed(text: bytes) -> dict[str, str]:
    """What INFO says, line by line."""
    lines = text.decode(errors="replace").splitlines()
    return {name: value for name, colon, value in (line.partition(":") for line in lines) if colon}


def microseconds(moment: datetime) -> int:
    """Moments as Redis compares them, to the microsecond."""
    return (moment - _EPOCH) // timedelta(microseconds=1)
