"""The exported MiniLM gives the published model's vectors, whatever else is in the batch."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from ragmesh.core.errors import ModelCorruptError, ModelMissingError
from ragmesh.core.spans import Span
from ragmesh.core.vectors import Lane, Passage, SentenceKind, Vector
from ragmesh.embedding.adapters import onnx
from ragmesh.embedding.adapters.export import WEIGHTS_SHA256
from ragmesh.embedding.adapters.manifest import MODEL_FILE, TOKENIZER_FILE
from ragmesh.embedding.adapters.onnx import OnnxEncoder, open_onnx_encoder
from ragmesh.testing.encoder_contract import EncoderContract

pytestmark = pytest.mark.asyncio(loop_scope="module")

GOLDEN = {
    # As published in the documentation of sentence-transformers for this model.
    "This is an example sentence": [0.0676569, 0.0634959, 0.0487131, 0.0793050, 0.0374481],
    "Each sentence is converted": [0.0864386, 0.1027626, 0.0053945, 0.0020444, -0.0099634],
}
TEXTS = [
    "Shore power",
    "The ferry leaves Grömsiel at 07:15 on weekdays.",
    "word " * 120,
    "Ein Satz über Züge, Fähren und Straßenbahnen. " * 9,
    "?",
    "A passenger may change a ticket until one hour before departure. " * 14,
]


def numbers(vector: Vector) -> np.ndarray:
    return np.frombuffer(vector.values, "<f4")


def int8_rows(found: object) -> np.ndarray:
    return np.frombuffer(found.sentences.values, np.int8).reshape(-1, 384)  # type: ignore[attr-defined]


class TestOnnxEncoder(EncoderContract):
    """MiniLM passes the suite of every encoder."""


async def test_known_sentences_have_their_published_vectors(encoder: OnnxEncoder) -> None:
    encoded = await encoder.encode_texts(list(GOLDEN), Lane.QUERY)
    for text, expected in zip(encoded, GOLDEN.values(), strict=True):
        np.testing.assert_allclose(numbers(text.vector)[:5], expected, atol=2e-6)


async def test_a_text_that_was_cut_has_the_vector_of_what_fits(encoder: OnnxEncoder) -> None:
    fits, longer = "word " * 254, "word " * 254 + "and seven more words of this sentence"
    first, second = await encoder.encode_texts([fits, longer], Lane.QUERY)
    assert float(numbers(first.vector) @ numbers(second.vector)) >= 0.99999


async def test_sentence_vectors_are_the_means_of_their_tokens(
    encoder: OnnxEncoder, model_folder: Path
) -> None:
    text = "Tides rise twice a day. The harbour master opens the lock, then waits. Ferries follow."
    spans = (Span(0, 23), Span(24, 70), Span(71, 86))
    (found,) = await encoder.encode_passages([Passage(text, spans)])
    tokenizer = Tokenizer.from_file(str(model_folder / TOKENIZER_FILE))
    counts = [len(tokenizer.encode(span.of(text), add_special_tokens=False)) for span in spans]
    ids = np.array([tokenizer.encode(text).ids])
    assert ids.shape[1] == sum(counts) + 2
    session = onnx._open_session(model_folder / MODEL_FILE, 1)
    inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
    tokens = session.run(["token_embeddings"], inputs)[0][0, 1:-1]
    parts = np.split(tokens, np.cumsum(counts)[:-1])
    for row, part in zip(int8_rows(found), parts, strict=True):
        mean = part.mean(axis=0)
        expected = np.rint(mean / np.linalg.norm(mean) * 127)
        assert np.abs(row - expected).max() <= 1


@pytest.mark.parametrize(
    "before",
    [
        "𝔊𝔯ö𝔰𝔰𝔢 😀😀 ",
        "e\u0301a\u0308 o\u0302 ",
        "İSTANBUL ẞ ŒUVRE ",
        "日本語のテキスト ",
        "\u200b\u00ad\u2003 x ",
    ],
    ids=["astral", "combining", "lower case grows", "unspaced", "dropped by the normaliser"],
)
async def test_spans_count_code_points_of_the_text_as_given(
    encoder: OnnxEncoder, before: str
) -> None:
    sentence, after = "The ferry leaves at noon.", " ¡Adiós! 😀"
    text = before + sentence + after
    start, end = len(before), len(before) + len(sentence)
    exact, shorter, longer = (Span(start, end), Span(start + 4, end), Span(0, end))
    (found,) = await encoder.encode_passages([Passage(text, (exact, shorter, longer))])
    tokens = encoder_tokens(encoder, text)
    wanted = [i for i, (first, _) in enumerate(tokens) if start <= first < end]
    assert len(wanted) == 6
    assert tokens[wanted[0]] == (start, start + 3)
    assert tokens[wanted[-1]] == (end - 1, end)
    rows = int8_rows(found)
    assert not np.array_equal(rows[0], rows[1])
    assert not np.array_equal(rows[0], rows[2])


def encoder_tokens(encoder: OnnxEncoder, text: str) -> list[tuple[int, int]]:
    tokenizer = Tokenizer.from_buffer(encoder.tokenizer)
    return tokenizer.encode(text, add_special_tokens=False).offsets


async def test_sentence_rows_have_unit_length_and_empty_sentences_none(
    encoder: OnnxEncoder,
) -> None:
    text = "One. Two words. A third sentence that is longer."
    spans = (Span(0, 4), Span(4, 5), Span(5, 15), Span(16, 48))
    (found,) = await encoder.encode_passages([Passage(text, spans)])
    lengths = np.linalg.norm(int8_rows(found).astype(np.float32) / 127, axis=1)
    assert lengths == pytest.approx([1, 0, 1, 1], abs=0.02)


async def test_sentences_of_a_short_passage_are_not_moved_by_its_neighbours(
    encoder: OnnxEncoder,
) -> None:
    short = Passage("Tides rise. Ferries follow.", (Span(0, 11), Span(12, 27)))
    (alone,) = await encoder.encode_passages([short])
    _, batched = await encoder.encode_passages([Passage(TEXTS[5], ()), short])
    assert np.abs(int8_rows(alone) - int8_rows(batched)).max() <= 1


async def test_a_passage_that_the_service_let_through_too_long_is_a_defect(
    encoder: OnnxEncoder,
) -> None:
    with pytest.raises(ValueError, match="window"):
        await encoder.encode_passages([Passage("word " * 255, ())])


async def test_the_description_says_what_makes_vectors_comparable(encoder: OnnxEncoder) -> None:
    fingerprint = encoder.description.fingerprint
    assert fingerprint.weights_sha256 == WEIGHTS_SHA256
    assert (fingerprint.dimension, fingerprint.max_tokens) == (384, 256)
    assert (fingerprint.precision, fingerprint.sentences) == ("fp32", SentenceKind.POOLED)
    assert encoder.description.content_tokens == 254
    assert encoder.description.name == "minilm"


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="threads have priority on Linux")
async def test_bulk_threads_stand_back_and_query_threads_do_not(model_folder: Path) -> None:
    before = niceness_by_thread()
    async with open_onnx_encoder("nice", model_folder, threads=2) as encoder:
        assert encoder.bulk_calls == 2
        call = encoder.encode_passages([Passage("word " * 200, ())])
        await asyncio.gather(call, encoder.encode_passages([Passage("word " * 200, ())]))
        started = {
            thread: nice for thread, nice in niceness_by_thread().items() if thread not in before
        }
    normal = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    lowered = [nice for nice in started.values() if nice == normal + onnx.BULK_NICENESS]
    assert len(lowered) == 2, "one thread a call of the bulk lane, and none besides"
    assert len(started) - len(lowered) == 2


def niceness_by_thread() -> dict[int, int]:
    threads = [int(path.name) for path in Path("/proc/self/task").iterdir()]
    return {thread: os.getpriority(os.PRIO_PROCESS, thread) for thread in threads}


async def test_a_missing_model_says_the_command(tmp_path: Path) -> None:
    with pytest.raises(ModelMissingError, match="make model"):
        async with open_onnx_encoder("none", tmp_path):
            pytest.fail("opened an encoder without a model")


@pytest.mark.parametrize("damage", ["cut", "changed"])
async def test_a_damaged_model_is_not_loaded(
    model_folder: Path, tmp_path: Path, damage: str
) -> None:
    copy_damaged(model_folder, tmp_path, damage)
    try:
        with pytest.raises(ModelCorruptError, match="make model"):
            async with open_onnx_encoder("bad", tmp_path):
                pytest.fail("opened an encoder with a damaged model")
    finally:
        (tmp_path / MODEL_FILE).unlink()


def copy_damaged(source: Path, target: Path, damage: str) -> None:
    for file in (path for path in source.iterdir() if path.is_file()):
        (target / file.name).write_bytes(file.read_bytes())
    with (target / MODEL_FILE).open("r+b") as model:
        if damage == "cut":
            model.truncate(50_000_000)
        else:
            model.seek(40_000_000)
            model.write(b"\0\1\2\3")


async def test_a_file_that_is_no_graph_is_corrupt_even_if_its_checksum_fits(
    tmp_path: Path,
) -> None:
    (tmp_path / MODEL_FILE).write_bytes(b"not a graph")
    with pytest.raises(ModelCorruptError, match="cannot be run"):
        onnx._open_session(tmp_path / MODEL_FILE, 1)
