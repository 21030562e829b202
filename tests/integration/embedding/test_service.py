"""The service on the real model: questions are not stuck behind documents."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from ragmesh.chassis.clocks import SystemClock
from ragmesh.core.errors import TextTooLongError
from ragmesh.core.spans import Span
from ragmesh.core.vectors import Lane, Passage
from ragmesh.embedding.adapters.onnx import OnnxEncoder
from ragmesh.embedding.adapters.opening import open_encoders
from ragmesh.embedding.service import EmbeddingService
from ragmesh.embedding.settings import EmbeddingSettings, EncoderSettings
from ragmesh.testing.embedding import NullVectorCache

pytestmark = pytest.mark.asyncio(loop_scope="module")


def serve(encoder: OnnxEncoder) -> EmbeddingService:
    return EmbeddingService((encoder,), cache=NullVectorCache(), clock=SystemClock())


async def test_questions_are_answered_while_documents_are_embedded(encoder: OnnxEncoder) -> None:
    service = serve(encoder)
    passages = [Passage("word " * 250, (Span(0, 500),)) for _ in range(60)]
    async with asyncio.TaskGroup() as group:
        bulk = group.create_task(service.embed_passages(passages))
        answered = 0
        while answered < 10:
            await service.embed_texts([f"question {answered}"])
            answered += 1
        assert not bulk.done(), "ten questions were stuck behind the documents"
    assert len(bulk.result().passages) == 60


async def test_mixed_lengths_keep_their_order_in_both_lanes(encoder: OnnxEncoder) -> None:
    service = serve(encoder)
    texts = [f"{'word ' * (number * 37 % 90)}{number}" for number in range(30)]
    bulk = await service.embed_texts(texts, lane=Lane.BULK)
    passages = await service.embed_passages([Passage(text, ()) for text in texts])
    for position in (0, 7, 29):
        (alone,) = (await service.embed_texts([texts[position]])).vectors
        for found in (bulk.vectors[position], passages.passages[position].vector):
            assert found.floats() == pytest.approx(alone.floats(), abs=1e-5)


async def test_a_passage_one_token_over_the_window_is_refused(encoder: OnnxEncoder) -> None:
    service = serve(encoder)
    content = (await service.list_encoders())[0].content_tokens
    await service.embed_passages([Passage("word " * content, ())])
    with pytest.raises(TextTooLongError) as caught:
        await service.embed_passages([Passage("word " * (content + 1), ())])
    assert caught.value.metadata == {"position": "0", "limit": "256"}


async def test_the_configured_encoders_are_opened_in_their_order(
    model_folder: Path, tmp_path: Path
) -> None:
    settings = EmbeddingSettings(
        encoders=tuple(
            EncoderSettings(name=name, path=model_folder, threads=1) for name in ("b", "a")
        )
    )
    async with open_encoders(settings, probes=tmp_path, clock=SystemClock()) as encoders:
        assert [encoder.description.name for encoder in encoders] == ["b", "a"]
