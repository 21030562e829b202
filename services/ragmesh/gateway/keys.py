"""What a door knows of keys and limits: followed from indexing, and believed while it is fresh."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from ragmesh.core.api_keys import KeyDigest
from ragmesh.core.callers import Machine, Principal
from ragmesh.core.clock import Clock
from ragmesh.core.errors import (
    KeyExpiredError,
    KeyRevokedError,
    KeysStaleError,
    KeyUnknownError,
    Kind,
    RagmeshError,
)
from ragmesh.core.tenants import KeyBatch, KeyEntry, Tenant
from ragmesh.gateway.ports import KeySource

LEASE_SECONDS, LONGEST_LEASE_SECONDS = 5.0, 600.0
"""Silence after which no key is believed: one that was revoked meanwhile would get in."""
IN_FORCE_SECONDS = 2.0
"""How long the maker of a key waits for it to be known; it is made all the same."""
_PAUSE_SECONDS = 0.2
_QUIET_SECONDS = 2.0
"""Silence that is nothing to speak of: servers end streams by the age of their connection."""
_GATEWAY = Machine("gateway")
_OF_OTHERS = frozenset({Kind.NOT_FOUND, Kind.INTERNAL, Kind.DENIED, Kind.UNSUPPORTED})
"""Kinds of errors that another process may answer with, and answer otherwise a moment later."""
_NO_DIGEST = bytes(32)
"""Compared where there is no key, so that it takes as long as where there is one."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Known:
    """A key, and the user that it stands for."""

    sha256: bytes
    principal: Principal
    expires_at: datetime | None
    revoked_at: datetime | None


class KnownKeys:
    """Keys and tenants by id, as they were a moment ago."""

    def __init__(self, clock: Clock, *, lease_seconds: float = LEASE_SECONDS) -> None:
        self._clock = clock
        self._lease_seconds = lease_seconds
        self._keys: dict[str, _Known] = {}
        self._tenants: dict[str, Tenant] = {}
        self._fresh_at: float | None = None
        self._heard = asyncio.Event()

    def apply(self, batch: KeyBatch) -> None:
        """Take over what changed; a batch after which all is known makes everything fresh."""
        for tenant in batch.tenants:
            self._tenants[tenant.uid] = tenant
        for entry in batch.keys:
            self._keys[entry.key.key_id] = _known(entry)
        for uid in batch.deleted_tenant_uids:
            self._forget(uid)
        if batch.caught_up:
            self._fresh_at = self._clock.monotonic()
        self._heard.set()
        self._heard = asyncio.Event()

    async def until_known(self, key_id: str, seconds: float = IN_FORCE_SECONDS) -> None:
        """Return once this door lets the key in, or when so many seconds have passed.

        Whoever has just been handed a key uses it at once, and must not read that there is none.
        """
        try:
            async with asyncio.timeout(seconds):
                while key_id not in self._keys:
                    await self._heard.wait()
        except TimeoutError:
            _log.warning("a new key is not in force yet", extra={"key_id": key_id})

    def tenant(self, uid: str) -> Tenant | None:
        """The tenant with its limits; None = it is not known, or not any more."""
        return self._tenants.get(uid)

    def principal_of(self, digest: KeyDigest) -> Principal:
        """The user whose key it is, else an UnauthenticatedError that says what is wrong with it.

        Without the right secret nobody learns whether there is such a key.
        """
        self._refuse_stale()
        known = self._keys.get(digest.key_id)
        is_right = digest.is_of(_NO_DIGEST if known is None else known.sha256)
        if known is None or not is_right:
            raise KeyUnknownError("there is no such API key, or its secret is wrong")
        refusal = self._ended(known)
        if refusal is not None:
            raise refusal
        return known.principal

    def refusal_of(self, key_id: str) -> RagmeshError | None:
        """Why requests of the key under way are to end; None while nobody knows of any reason."""
        known = self._keys.get(key_id)
        if known is None:
            return KeyUnknownError("the API key is gone, with its tenant")
        return self._ended(known)

    @property
    def silence_seconds(self) -> float | None:
        """For how long nothing was heard; None = never anything."""
        return None if self._fresh_at is None else self._clock.monotonic() - self._fresh_at

    def _ended(self, known: _Known) -> RagmeshError | None:
        if known.revoked_at is not None:
            return KeyRevokedError("the API key was revoked")
        if known.expires_at is not None and known.expires_at <= self._clock.now():
            return KeyExpiredError("the time of the API key is over; have it rotated")
        return None

    def _refuse_stale(self) -> None:
        silence = self.silence_seconds
        if silence is None or silence > self._lease_seconds:
            raise KeysStaleError(
                "API keys cannot be checked just now: nothing was heard of them for too long",
                retry_after_seconds=1.0,
            )

    def _forget(self, tenant_uid: str) -> None:
        self._tenants.pop(tenant_uid, None)
        gone = [
            key_id
            for key_id, known in self._keys.items()
            if known.principal.tenant_uid == tenant_uid
        ]
        for key_id in gone:
            del self._keys[key_id]


class KeyFollower:
    """Keeps known keys fresh, one stream after the other."""

    def __init__(self, source: KeySource, known: KnownKeys, clock: Clock) -> None:
        self._source = source
        self._known = known
        self._clock = clock
        self._is_told = False
        """Whether the log says that keys are away."""

    async def run(self) -> None:
        """Follow for ever; who is away is asked again, and keys grow stale meanwhile."""
        while True:
            try:
                stream = cast("AsyncGenerator[KeyBatch, None]", self._source.watch_keys(_GATEWAY))
                async with aclosing(stream):
                    async for batch in stream:
                        self._known.apply(batch)
                        self._is_told = False
            except RagmeshError as error:
                if not (error.kind.transient or error.kind in _OF_OTHERS):
                    raise
                self._tell(error)
            await self._clock.sleep(_PAUSE_SECONDS)

    def _tell(self, error: RagmeshError) -> None:
        silence = self._known.silence_seconds
        is_long = silence is None or silence > _QUIET_SECONDS
        level = logging.WARNING if is_long and not self._is_told else logging.DEBUG
        self._is_told = self._is_told or is_long
        _log.log(level, "keys are not to be had", extra={"reason": error.reason})


def _known(entry: KeyEntry) -> _Known:
    key = entry.key
    principal = Principal(
        entry.tenant_uid, key.subject, frozenset(key.groups), frozenset(key.roles), key.key_id
    )
    return _Known(entry.sha256, principal, key.expires_at, key.revoked_at)
