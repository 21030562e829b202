"""A body is waited for as long as it comes."""

from __future__ import annotations

import asyncio

import pytest

from ragmesh.core.errors import BodyTooSlowError
from ragmesh.gateway.limiting.patience import Patience

PAUSE_SECONDS = 0.02


async def after(seconds: float, piece: bytes = b"x") -> bytes:
    loop = asyncio.get_running_loop()
    coming: asyncio.Future[bytes] = loop.create_future()
    loop.call_later(seconds, coming.set_result, piece)
    return await asyncio.shield(coming)


async def pieces(patience: Patience, count: int, seconds: float, size: int) -> None:
    for _ in range(count):
        patience.taken += len(await patience.wait(after(seconds, b"x" * size)))


async def test_a_piece_that_does_not_come_is_not_waited_for() -> None:
    with pytest.raises(BodyTooSlowError, match=r"pauses below 0\.02 s"):
        await Patience(PAUSE_SECONDS).wait(asyncio.Event().wait())


async def test_a_body_that_trickles_has_the_time_of_one_pause_only() -> None:
    with pytest.raises(BodyTooSlowError):
        await pieces(Patience(PAUSE_SECONDS), 20, PAUSE_SECONDS / 10, 1)


async def test_a_body_that_comes_fast_enough_earns_more_time() -> None:
    patience = Patience(0.5)
    await pieces(patience, 10, 0.001, 2_048)
    assert patience.taken == 20_480
