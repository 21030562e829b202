"""A mutation with an idempotency key is done once, also when it is asked for again after a crash.

The key is written by the transaction of the mutation itself, together with the answer: either both
are there or neither is. Keys belong to who asks and to what the request is about; after a day they
are free again. A refused request leaves its key unused.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import timedelta
from enum import Enum
from hashlib import sha256
from typing import Any, Protocol, TypeVar

from ragmesh.core.callers import Caller
from ragmesh.core.documents import UploadOutcome
from ragmesh.core.errors import IdempotencyKeyInUseError, IdempotencyKeyReusedError
from ragmesh.indexing.tenancy import subject_of, tenant_of

KEPT = timedelta(hours=24)
"""How long a key stands for its request."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Target:
    """What a mutation is about: its route."""

    method: str
    collection: str = ""
    name: str = ""
    """Of the document or job."""

    @property
    def route(self) -> str:
        """The target as one text."""
        return f"{self.method} {self.collection} {self.name}".rstrip()


@dataclass(slots=True)
class Claim:
    """One request's claim on its key; settled by the first transaction that succeeds."""

    tenant_uid: str
    asker: str
    """Subject of who asks."""
    target: Target
    key: str
    fingerprint: str
    """Digest of what was asked for."""
    is_settled: bool = False

    @property
    def place(self) -> tuple[str, str, str]:
        """What no two requests may claim; nobody comes upon the keys of somebody else."""
        owned = sha256(f"{self.asker}\n{self.key}".encode()).hexdigest()
        return (self.tenant_uid, self.target.route, owned)


@dataclass(frozen=True, slots=True)
class KnownAnswer:
    """What a request with the key was answered before."""

    fingerprint: str
    outcomes: tuple[UploadOutcome, ...]


class KnownAnswers(Protocol):
    """The store of answers; a part of the catalog."""

    async def find_answer(self, claim: Claim) -> KnownAnswer | None:
        """The answer under the claim's key, unless its time is over."""


_current: ContextVar[Claim | None] = ContextVar("ragmesh_claim", default=None)


def current_claim() -> Claim | None:
    """The claim that the transaction of this mutation has to settle; None without a key."""
    claim = _current.get()
    return None if claim is None or claim.is_settled else claim


@contextmanager
def claiming(claim: Claim) -> Iterator[None]:
    """Make this the claim of the mutation inside."""
    token = _current.set(claim)
    try:
        yield
    finally:
        _current.reset(token)


@dataclass(frozen=True, slots=True)
class Once:
    """Does what is asked for with a key once, and answers it again."""

    answers: KnownAnswers
    current_key: Callable[[], str]
    """The idempotency key of the request being served, empty without one."""
    _under_way: set[tuple[str, str, str]] = field(default_factory=set)

    async def run(
        self,
        caller: Caller,
        target: Target,
        asked: object,
        act: Callable[[], Awaitable[T]],
        again: Callable[[tuple[UploadOutcome, ...]], Awaitable[T]],
    ) -> T:
        """What `act` answers; `again` makes the answer from what is known of an earlier time."""
        key = self.current_key()
        if not key:
            return await act()
        # In a thread: what was asked for may be 32 MB of documents.
        fingerprint = await asyncio.to_thread(fingerprint_of, asked)
        claim = Claim(tenant_of(caller), subject_of(caller), target, key, fingerprint)
        with self._alone(claim):
            known = await self.answers.find_answer(claim)
            if known is None:
                with claiming(claim):
                    return await act()
        if known.fingerprint != claim.fingerprint:
            raise IdempotencyKeyReusedError(
                "the idempotency key was used for another request of this kind",
                metadata={"route": target.method},
            )
        return await again(known.outcomes)

    @contextmanager
    def _alone(self, claim: Claim) -> Iterator[None]:
        if claim.place in self._under_way:
            raise in_use()
        self._under_way.add(claim.place)
        try:
            yield
        finally:
            self._under_way.discard(claim.place)


def in_use() -> IdempotencyKeyInUseError:
    """The refusal of a request whose like is still under way."""
    return IdempotencyKeyInUseError(
        "the first request with this idempotency key is still under way", retry_after_seconds=1.0
    )


def fingerprint_of(asked: object) -> str:
    """A digest of the values that were asked for, the same in every process and version."""
    return sha256(repr(_plain(asked)).encode("utf-8", "surrogatepass")).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return sha256(value).hexdigest()
    if isinstance(value, Enum):
        return value.value
    if is_dataclass(value):
        return [(one.name, _plain(getattr(value, one.name))) for one in fields(value)]
    if isinstance(value, Mapping):
        return [(name, _plain(value[name])) for name in sorted(value)]
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(part) for part in value]
    return value
