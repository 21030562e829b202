"""Room for uploads: what is being received and stored at one time is bounded, the rest refused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ragmesh.core.errors import OverloadedError
from ragmesh.gateway.limiting.gate import OnRefusal, count_upload, unheard
from ragmesh.gateway.limiting.quotas import GATEWAY

_RETRY_SECONDS = 1.0


class UploadRoom:
    """Bytes that all uploads of this process may hold together."""

    def __init__(self, limit_bytes: int, *, on_refusal: OnRefusal = unheard) -> None:
        self._limit = limit_bytes
        self._on_refusal = on_refusal
        self._taken = 0

    @contextmanager
    def share(self, size: int = 0) -> Iterator[Share]:
        """Room for one upload of so many bytes, for the time of the block."""
        share = Share(self)
        try:
            share.grow_to(size)
            yield share
        finally:
            self._taken -= share.size

    def take(self, size: int) -> None:
        """Take so many bytes more; OverloadedError when they are not free."""
        if self._taken + size > self._limit:
            self._on_refusal(OverloadedError.reason, GATEWAY)
            raise OverloadedError(
                "too many uploads are being received at the same time",
                metadata={"scope": GATEWAY, "limit": str(self._limit)},
                retry_after_seconds=_RETRY_SECONDS,
            )
        self._taken += size


class Share:
    """What one upload holds of the room."""

    def __init__(self, room: UploadRoom) -> None:
        self._room = room
        self.size = 0

    def grow_to(self, size: int) -> None:
        """Hold at least so many bytes; OverloadedError when they are not free."""
        if size > self.size:
            grown = size - self.size
            self._room.take(grown)
            self.size = size
            count_upload(grown)
