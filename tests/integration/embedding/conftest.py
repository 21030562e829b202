"""The real model, as the setup exported it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from ragmesh.embedding.adapters.onnx import OnnxEncoder, open_onnx_encoder
from ragmesh.embedding.settings import MINILM, EncoderKind, default_model_folder


@pytest.fixture(scope="session")
def model_folder() -> Path:
    """What `make model` wrote; `test_export.py` compares it with what is written today."""
    return default_model_folder(MINILM)


@pytest.fixture(scope="session")
def fast_folder() -> Path:
    return default_model_folder(MINILM, kind=EncoderKind.FAST)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def encoder(model_folder: Path) -> AsyncIterator[OnnxEncoder]:
    async with open_onnx_encoder("minilm", model_folder) as opened:
        yield opened
