"""One request and the limits of who sent it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ragmesh.core.callers import Principal
from ragmesh.core.clock import Clock
from ragmesh.core.errors import (
    InFlightLimitedError,
    RagmeshError,
    RateLimitedError,
    UploadLimitedError,
)
from ragmesh.gateway.limiting.accounts import Account, Bucket, seconds_until
from ragmesh.gateway.limiting.quotas import Allowance

REQUESTS, CONCURRENT, BYTES = "requests", "concurrent-requests", "content-bytes"
"""Units, named as the draft of the RateLimit fields registers them."""
_RETRY_SECONDS = 1.0
"""Nobody knows when a request under way ends."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a caller stands with one limit."""

    policy: str
    unit: str
    limit: int
    left: int

    @property
    def seconds(self) -> int | None:
        """In how many seconds at least a caller who keeps to the limit uses up what is left.

        With nothing left it is the time until something is. None where time does not matter.
        """
        if self.unit == CONCURRENT:
            return None
        return seconds_until(max(self.left, 1), self.limit)


@dataclass(frozen=True, slots=True)
class Holder:
    """A key or a tenant with what it may use and what it has used."""

    scope: str
    account: Account
    allowance: Allowance

    def refuse(self, now: float, *, uploads: bool) -> None:
        """Raise what keeps one more request of this holder out."""
        allowance, account = self.allowance, self.account
        if allowance.in_flight and account.in_flight >= allowance.in_flight:
            raise InFlightLimitedError(
                f"the {self.scope} has {allowance.in_flight} requests under way, its limit",
                metadata={"scope": self.scope, "limit": str(allowance.in_flight)},
                retry_after_seconds=_RETRY_SECONDS,
            )
        if limit := allowance.requests_per_minute:
            missing = 1 - account.requests.left(limit, now)
            if missing > 0:
                raise RateLimitedError(
                    f"the {self.scope} may send {limit} requests a minute",
                    metadata={"scope": self.scope, "limit": str(limit)},
                    retry_after_seconds=seconds_until(missing, limit),
                )
        limit = allowance.upload_bytes_per_minute
        if uploads and limit:
            missing = 1 - account.uploads.left(limit, now)
            if missing > 0:
                raise UploadLimitedError(
                    f"the {self.scope} may upload {limit} bytes a minute",
                    metadata={"scope": self.scope, "limit": str(limit)},
                    retry_after_seconds=seconds_until(missing, limit),
                )

    def standings(self, now: float) -> Iterator[Standing]:
        """Where it stands now with each of its limits."""
        allowance, account = self.allowance, self.account
        if limit := allowance.requests_per_minute:
            yield Standing(self.scope, REQUESTS, limit, _left(account.requests, limit, now))
        if limit := allowance.in_flight:
            left = max(0, limit - account.in_flight)
            yield Standing(f"{self.scope}-in-flight", CONCURRENT, limit, left)
        if limit := allowance.upload_bytes_per_minute:
            left = _left(account.uploads, limit, now)
            yield Standing(f"{self.scope}-uploads", BYTES, limit, left)


class Visit:
    """A request at the gate, and behind it once it was let in."""

    def __init__(self, principal: Principal, holders: tuple[Holder, Holder], clock: Clock) -> None:
        self.principal = principal
        self.holders = holders
        """The key, then its tenant."""
        self._clock = clock
        self._task: asyncio.Task[Any] | None = None
        self._refusal: RagmeshError | None = None

    def refuse(self, *, uploads: bool) -> None:
        """Raise what keeps it out, before anything is counted."""
        now = self._clock.monotonic()
        for holder in self.holders:
            holder.refuse(now, uploads=uploads)

    def refused_often(self, limit: int) -> bool:
        """Count a refusal; whether the key has been refused more often than so in a minute."""
        refusals = self.holders[0].account.refusals
        if refusals.left(limit, self._clock.monotonic()) < 1:
            return True
        refusals.use(1)
        return False

    def begin(self) -> None:
        """It is let in, for as long as the current task serves it."""
        self._task = asyncio.current_task()
        for holder in self.holders:
            holder.account.in_flight += 1
            if holder.allowance.requests_per_minute:
                holder.account.requests.use(1)

    def turn_out(self, refusal: RagmeshError) -> None:
        """End it before it is over: whoever sent it would not be let in any more."""
        if self._refusal is None and self._task is not None:
            self._refusal = refusal
            self._task.cancel()

    def refusal_instead(self) -> RagmeshError | None:
        """Why it was turned out; None when its cancellation means something else."""
        if self._refusal is None or self._task is None or self._task.uncancel() > 0:
            return None
        return self._refusal

    def end(self) -> None:
        """It is over."""
        self._task = None
        for holder in self.holders:
            holder.account.in_flight -= 1

    def uploaded(self, size: int) -> None:
        """Count bytes that were received.

        What has begun is let through and later ones wait for it: an upload that broke off at the
        limit would have to be sent again as a whole.
        """
        for holder in self.holders:
            if holder.allowance.upload_bytes_per_minute:
                holder.account.uploads.use(size)

    def standings(self) -> Iterator[Standing]:
        """Where the caller stands now with each limit that there is."""
        now = self._clock.monotonic()
        for holder in self.holders:
            yield from holder.standings(now)


def _left(bucket: Bucket, limit: int, now: float) -> int:
    return max(0, int(bucket.left(limit, now)))
