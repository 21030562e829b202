"""Encoders are opened by their kind, all of them before the service is built."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from ragmesh.embedding.adapters.onnx import open_onnx_encoder
from ragmesh.embedding.ports import Encoder
from ragmesh.embedding.settings import EmbeddingSettings


@asynccontextmanager
async def open_encoders(settings: EmbeddingSettings) -> AsyncIterator[tuple[Encoder, ...]]:
    """Every configured encoder, in order; they are closed with the block."""
    async with AsyncExitStack() as stack:
        yield tuple(
            [
                await stack.enter_async_context(
                    open_onnx_encoder(encoder.name, encoder.folder, threads=encoder.threads)
                )
                for encoder in settings.encoders
            ]
        )
