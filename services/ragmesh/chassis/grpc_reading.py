"""What a server makes of the messages that come in: those it cannot take are refused by name."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import DecodeError

from ragmesh.core.errors import BodyTooLargeError, BodyTooSlowError, InvalidError, RagmeshError

Behaviour = Callable[[Any, Any], Any]


@dataclass(frozen=True, slots=True)
class Refused:
    """Stands for a message that could not be taken, until the call may be answered."""

    error: RagmeshError


def reader(deserialize: Callable[[bytes], Any] | None, limit: int) -> Callable[[bytes], Any]:
    """What makes a message of bytes, or says why it cannot be taken."""

    def read(payload: bytes) -> Any:
        if len(payload) > limit:
            return Refused(_too_large(len(payload), limit))
        if deserialize is None:
            return payload
        try:
            return deserialize(payload)
        except DecodeError:
            return Refused(InvalidError("the request is not the message of this method"))

    return read


def read_first(behaviour: Behaviour, seconds: float) -> Behaviour:
    """The behaviour once the one message of the call is there.

    gRPC would wait for its end for ever, and a call that waits so cannot be ended: to gRPC these
    methods take streams, which we read. It costs a tenth of a millisecond, which callers who are
    known do not pay.
    """

    async def read(_requests: Any, context: Any) -> Any:
        try:
            async with asyncio.timeout(seconds):
                request = await context.read()
        except TimeoutError:
            request = Refused(BodyTooSlowError(f"the message did not come in {seconds:g} s"))
        return await behaviour(request, context)

    return read


def accepted(request: Any) -> Any:
    """The request, unless it was refused before its call began."""
    if isinstance(request, Refused):
        raise request.error
    return request


async def accepted_stream(requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
    """The same of a stream of requests."""
    async for request in requests:
        if isinstance(request, Refused):
            raise request.error
        yield request


def _too_large(size: int, limit: int) -> BodyTooLargeError:
    return BodyTooLargeError(
        f"the message has {size} bytes, of which at most {limit} are taken",
        metadata={"limit": str(limit)},
    )
