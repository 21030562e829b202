"""The real model, exported once from the installed wheel."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from ragmesh.embedding.adapters.export import export, locate_wheel_model
from ragmesh.embedding.adapters.manifest import FAST
from ragmesh.embedding.adapters.onnx import OnnxEncoder, open_onnx_encoder


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("model")
    export(locate_wheel_model(), folder)
    yield folder
    shutil.rmtree(folder)  # 90 MB that nobody looks at afterwards


@pytest.fixture(scope="session")
def fast_folder(model_folder: Path) -> Path:
    export(locate_wheel_model(), model_folder / FAST, FAST)
    return model_folder / FAST


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def encoder(model_folder: Path) -> AsyncIterator[OnnxEncoder]:
    async with open_onnx_encoder("minilm", model_folder) as opened:
        yield opened
