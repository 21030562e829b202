"""Notices a peer that has fallen silent while its connection stands: stopped, stuck or cut off.

gRPC's own pings take 20 seconds to find such a peer, and connecting anew to a stopped process
succeeds, as its kernel answers for it. Whoever asks meanwhile would wait as long. The probes that
each process makes anyway know it sooner: once some in a row stay unanswered, calls that wait are
given up and new ones are refused at once, until a probe is answered again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import grpc

MOST_UNANSWERED = 3
_DETAILS = "the peer has fallen silent"


class Silence:
    """Of one peer: how long it has not answered, and the calls that wait for it."""

    def __init__(self, *, most_unanswered: int = MOST_UNANSWERED) -> None:
        self._most_unanswered = most_unanswered
        self._unanswered = 0
        self._waiting: set[Any] = set()

    @property
    def has_fallen(self) -> bool:
        """Whether the peer is taken for silent."""
        return self._unanswered >= self._most_unanswered

    def learn(self, was_answered: bool) -> None:
        """A probe was answered, whatever was said, or it was not in its time."""
        self._unanswered = 0 if was_answered else self._unanswered + 1
        if self.has_fallen:
            for call in list(self._waiting):
                call.cancel()

    def unary(self, invoke: Callable[..., Any]) -> Callable[..., Any]:
        """The method with one reply, which is waited for only while the peer is heard."""

        async def ask(request: Any, **options: Any) -> Any:
            call = self._begun(invoke, request, options)
            try:
                return await call
            except asyncio.CancelledError:
                raise self.instead(call) from None
            finally:
                self._waiting.discard(call)

        return ask

    def stream(self, invoke: Callable[..., Any]) -> Callable[..., Any]:
        """The same of a method with a stream of replies."""

        def ask(request: Any, **options: Any) -> _Replies:
            return _Replies(self._begun(invoke, request, options), self)

        return ask

    def ended(self, call: Any) -> None:
        """Nobody waits for this call any more."""
        self._waiting.discard(call)

    def instead(self, call: Any) -> BaseException:
        """What a cancellation means: that we gave up, or that whoever asked has left."""
        task = asyncio.current_task()
        left = task is not None and task.cancelling()
        if self.has_fallen and call.cancelled() and not left:
            return _silent()
        return asyncio.CancelledError()

    def _begun(self, invoke: Callable[..., Any], request: Any, options: Any) -> Any:
        if self.has_fallen:
            raise _silent()
        call = invoke(request, **options)
        self._waiting.add(call)
        return call


class _Replies:
    """The replies of a stream, for as long as the peer is heard."""

    def __init__(self, call: Any, silence: Silence) -> None:
        self._call = call
        self._silence = silence
        self._replies = call.__aiter__()

    def __aiter__(self) -> _Replies:
        return self

    async def __anext__(self) -> Any:
        try:
            return await anext(self._replies)
        except asyncio.CancelledError:
            self._silence.ended(self._call)
            raise self._silence.instead(self._call) from None
        except (StopAsyncIteration, grpc.aio.AioRpcError):
            self._silence.ended(self._call)
            raise

    def cancel(self) -> bool:
        """Leave the call."""
        self._silence.ended(self._call)
        return bool(self._call.cancel())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._call, name)


def _silent() -> grpc.aio.AioRpcError:
    nothing = grpc.aio.Metadata()
    return grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, nothing, nothing, details=_DETAILS)
