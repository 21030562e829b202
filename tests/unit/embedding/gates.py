"""An encoder that stops in every call until the test lets it go on."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from ragmesh.core.vectors import EncoderDescription, Lane, Passage, PassageEmbedding
from ragmesh.embedding.ports import EncodedText
from ragmesh.testing.embedding import FakeEncoder


@dataclass
class GatedEncoder:
    """Announces each call to the model in `calls` and waits for `release` before it answers."""

    inner: FakeEncoder = field(default_factory=FakeEncoder)
    bulk_calls: int = 1
    query_calls: int = 1
    bulk_batch_tokens: int | None = None
    calls: list[str] = field(default_factory=list)
    _arrived: asyncio.Condition = field(default_factory=asyncio.Condition)
    _passes: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))

    @property
    def description(self) -> EncoderDescription:
        return self.inner.description

    @property
    def tokenizer(self) -> bytes:
        return self.inner.tokenizer

    async def count_tokens(self, texts: Sequence[str]) -> tuple[int, ...]:
        return await self.inner.count_tokens(texts)

    async def encode_texts(self, texts: Sequence[str], lane: Lane) -> tuple[EncodedText, ...]:
        await self._stop(f"{lane.value}:{' '.join(texts)}")
        return await self.inner.encode_texts(texts, lane)

    async def encode_passages(self, passages: Sequence[Passage]) -> tuple[PassageEmbedding, ...]:
        await self._stop(f"bulk:{' '.join(passage.text for passage in passages)}")
        return await self.inner.encode_passages(passages)

    def release(self, calls: int = 1) -> None:
        """Let that many calls finish, now or when they come."""
        for _ in range(calls):
            self._passes.release()

    async def until_called(self, times: int) -> None:
        """Return once the model was called that often."""
        async with self._arrived:
            await self._arrived.wait_for(lambda: len(self.calls) >= times)

    async def _stop(self, call: str) -> None:
        async with self._arrived:
            self.calls.append(call)
            self._arrived.notify_all()
        await self._passes.acquire()


async def settle() -> None:
    """Let every task run until it waits for something."""
    for _ in range(20):
        await asyncio.sleep(0)
