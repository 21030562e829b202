"""Encoders are opened by their kind, all of them before the service is built."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path

from ragmesh.core.clock import Clock
from ragmesh.embedding.adapters.manifest import EXACT, FAST
from ragmesh.embedding.adapters.onnx import open_onnx_encoder
from ragmesh.embedding.ports import Encoder
from ragmesh.embedding.settings import EmbeddingSettings, EncoderKind, EncoderSettings

_PRECISIONS = {EncoderKind.EXACT: EXACT, EncoderKind.FAST: FAST}


@asynccontextmanager
async def open_encoders(
    settings: EmbeddingSettings, *, probes: Path, clock: Clock
) -> AsyncIterator[tuple[Encoder, ...]]:
    """Every configured encoder, in order; they are closed with the block.

    The folder `probes` keeps what remote models answered when they were first met.
    """
    async with AsyncExitStack() as stack:
        yield tuple(
            [
                await stack.enter_async_context(_open(encoder, probes, clock))
                for encoder in settings.encoders
            ]
        )


def _open(
    settings: EncoderSettings, probes: Path, clock: Clock
) -> AbstractAsyncContextManager[Encoder]:
    if settings.endpoint is not None:
        # Imported where it is needed: it costs every start of a mesh without it a second.
        from ragmesh.embedding.adapters.openai import open_openai_encoder

        return open_openai_encoder(settings, settings.endpoint, probes=probes, clock=clock)
    return open_onnx_encoder(
        settings.name,
        settings.folder,
        precision=_PRECISIONS[settings.kind],
        threads=settings.threads,
    )
