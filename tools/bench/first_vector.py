"""A process that makes one vector and ends: what a start costs."""

from __future__ import annotations

import asyncio

from ragmesh.core.vectors import Lane
from ragmesh.embedding.adapters.onnx import open_onnx_encoder
from ragmesh.embedding.settings import MINILM, default_model_folder


async def main() -> None:
    """Open the default encoder and use it once."""
    async with open_onnx_encoder(MINILM, default_model_folder(MINILM)) as encoder:
        await encoder.encode_texts(["warm"], Lane.QUERY)


if __name__ == "__main__":
    asyncio.run(main())
