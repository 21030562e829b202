"""A model behind several addresses is asked at each in turn, and never where it just failed."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from ragmesh.core.errors import ProviderOverloadedError, ProviderUnavailableError, RagmeshError
from ragmesh.generation.adapters.balancing import PASSED_OVER_SECONDS, BalancedChat
from ragmesh.generation.ports import ChatMessage, ChatText
from ragmesh.testing.chat import Script, ScriptedChat
from ragmesh.testing.clocks import ManualClock

AWAY = ProviderUnavailableError("away")
SLOW_SECONDS = 5.0


class Balanced:
    """A chat over scripted ones."""

    def __init__(self, *scripts: Script) -> None:
        self.clock = ManualClock()
        self.chats = [ScriptedChat((script,)) for script in scripts]
        self.chat = BalancedChat(self.chats, self.clock, SLOW_SECONDS)

    @property
    def calls(self) -> list[int]:
        return [len(chat.calls) for chat in self.chats]

    async def ask(self) -> str:
        async with aclosing(self.chat.complete([ChatMessage("user", "Dogs?")])) as pieces:
            return "".join([piece.text async for piece in pieces if isinstance(piece, ChatText)])

    async def ask_times(self, count: int) -> list[str]:
        return [await self.ask() for _ in range(count)]


async def test_all_are_asked_in_turn() -> None:
    balanced = Balanced("a", "b", "c")
    assert await balanced.ask_times(6) == ["a", "b", "c", "a", "b", "c"]


async def test_the_next_stands_in_at_once_and_who_failed_is_passed_over_for_a_while() -> None:
    balanced = Balanced((AWAY,), "b", "c")
    assert await balanced.ask_times(3) == ["b", "b", "c"]
    assert balanced.calls == [1, 2, 1]
    await balanced.clock.advance(PASSED_OVER_SECONDS)
    await balanced.ask_times(3)
    assert balanced.calls[0] == 2


async def test_who_says_for_how_long_is_passed_over_for_that_long() -> None:
    balanced = Balanced((ProviderOverloadedError("busy", retry_after_seconds=60.0),), "b")
    await balanced.ask_times(2)
    await balanced.clock.advance(59.0)
    await balanced.ask_times(2)
    assert balanced.calls[0] == 1
    await balanced.clock.advance(1.0)
    await balanced.ask_times(2)
    assert balanced.calls[0] == 2


async def test_nobody_stands_in_once_a_word_was_said() -> None:
    balanced = Balanced(("Dogs", AWAY), "b")
    with pytest.raises(ProviderUnavailableError):
        await balanced.ask()
    assert balanced.calls == [1, 0]


async def test_with_all_of_them_away_each_is_asked_once_and_then_one_a_call() -> None:
    balanced = Balanced((AWAY,), (AWAY,))
    for calls in ([1, 1], [1, 2], [2, 2]):
        with pytest.raises(RagmeshError):
            await balanced.ask()
        assert balanced.calls == calls


@pytest.mark.parametrize(("waited", "failed"), [(SLOW_SECONDS, True), (1.0, False)])
async def test_only_who_was_silent_for_too_long_is_passed_over_when_given_up(
    waited: float, failed: bool
) -> None:
    balanced = Balanced((), "b")
    balanced.chats[0].hold = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(balanced.ask())
        await balanced.chats[0].begun.wait()
        await balanced.clock.advance(waited)
        asking.cancel()
    balanced.chats[0].hold = None
    await balanced.ask_times(2)
    assert balanced.calls == ([1, 2] if failed else [2, 1])
