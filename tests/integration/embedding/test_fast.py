"""The fast encoder keeps every promise of an encoder, and stays close to the exact one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from ragmesh.core.errors import ModelCorruptError
from ragmesh.core.spans import Span
from ragmesh.core.vectors import Lane, Passage
from ragmesh.embedding.adapters.export import WEIGHTS_SHA256
from ragmesh.embedding.adapters.manifest import FAST
from ragmesh.embedding.adapters.onnx import OnnxEncoder, open_onnx_encoder
from ragmesh.testing.embedding_contract import TEXTS, likeness
from ragmesh.testing.encoder_contract import EncoderContract

pytestmark = pytest.mark.asyncio(loop_scope="module")
LEAST_LIKENESS = 0.96


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fast(fast_folder: Path) -> AsyncIterator[OnnxEncoder]:
    async with open_onnx_encoder("fast", fast_folder, precision=FAST, threads=1) as opened:
        yield opened


class TestFastEncoder(EncoderContract):
    """MiniLM in int8 passes the suite of every encoder: alone in its call, a text is itself."""

    @pytest.fixture
    def encoder(self, fast: OnnxEncoder) -> OnnxEncoder:
        return fast


async def test_fast_vectors_are_near_the_exact_ones_and_never_taken_for_them(
    fast: OnnxEncoder, encoder: OnnxEncoder
) -> None:
    pairs = zip(
        await fast.encode_texts(TEXTS, Lane.QUERY),
        await encoder.encode_texts(TEXTS, Lane.QUERY),
        strict=True,
    )
    assert min(likeness(one.vector, other.vector) for one, other in pairs) > LEAST_LIKENESS
    rounded, exact = fast.description.fingerprint, encoder.description.fingerprint
    assert (rounded.precision, rounded.weights_sha256) == ("int8", WEIGHTS_SHA256)
    assert rounded.digest != exact.digest


async def test_a_passage_has_the_same_sentences_alone_and_beside_others(fast: OnnxEncoder) -> None:
    short = Passage("Tides rise. Ferries follow.", (Span(0, 11), Span(12, 27)))
    long = Passage("A passenger may change a ticket. " * 20, ())
    (alone,) = await fast.encode_passages([short])
    _, beside = await fast.encode_passages([long, short])
    assert alone == beside


async def test_a_folder_of_another_precision_is_not_taken_for_the_one_that_was_named(
    model_folder: Path,
) -> None:
    with pytest.raises(ModelCorruptError, match="fp32"):
        async with open_onnx_encoder("fast", model_folder, precision=FAST):
            pytest.fail("opened exact weights as fast ones")
