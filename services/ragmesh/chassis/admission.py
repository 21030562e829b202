"""Letting calls in: what a server asks before it serves a call whose caller it knows."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from ragmesh.core.callers import Caller


class Admission(Protocol):
    """Decides how many calls are under way on one server."""

    def admit(self, method: str, caller: Caller | None) -> AbstractAsyncContextManager[object]:
        """A call of `/package.Service/Method` is under way for the time of the block.

        `caller` is whom the guard verified; None where nobody needs to be known.
        Entering raises an ExhaustedError when there is no room for it; no call waits for room.
        """
