"""The exported graph computes what BERT is: compared with a plain NumPy forward pass."""

from __future__ import annotations

import math

import numpy as np
import onnxruntime
import pytest

from ragmesh.embedding.adapters.bert_graph import BertShape, build_bert
from ragmesh.embedding.adapters.manifest import IDS, MASK, SENTENCE_VECTORS, TOKEN_VECTORS

SHAPE = BertShape(layers=2, heads=2, hidden=8, norm_epsilon=1e-12)
WORDS, POSITIONS, WIDE = 20, 16, 12
Weights = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def weights() -> Weights:
    random = np.random.default_rng(7)
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (WORDS, 8),
        "embeddings.position_embeddings.weight": (POSITIONS, 8),
        "embeddings.token_type_embeddings.weight": (2, 8),
        **_norm("embeddings.LayerNorm"),
    }
    for layer in ("encoder.layer.0", "encoder.layer.1"):
        for name in ("query", "key", "value"):
            shapes |= _linear(f"{layer}.attention.self.{name}", 8, 8)
        shapes |= _linear(f"{layer}.attention.output.dense", 8, 8)
        shapes |= _norm(f"{layer}.attention.output.LayerNorm")
        shapes |= _linear(f"{layer}.intermediate.dense", 8, WIDE)
        shapes |= _linear(f"{layer}.output.dense", WIDE, 8)
        shapes |= _norm(f"{layer}.output.LayerNorm")
    return {key: random.normal(size=shape).astype(np.float32) for key, shape in shapes.items()}


def _norm(key: str) -> dict[str, tuple[int, ...]]:
    return {f"{key}.weight": (8,), f"{key}.bias": (8,)}


def _linear(key: str, inward: int, outward: int) -> dict[str, tuple[int, ...]]:
    return {f"{key}.weight": (outward, inward), f"{key}.bias": (outward,)}


@pytest.fixture(scope="module")
def session(weights: Weights) -> onnxruntime.InferenceSession:
    model = build_bert(weights, SHAPE).SerializeToString()
    return onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])


def reference(weights: Weights, ids: list[int]) -> np.ndarray:
    """The last hidden state of one unpadded sequence, straight from BERT's definition."""

    def norm(tensor: np.ndarray, key: str) -> np.ndarray:
        centred = tensor - tensor.mean(-1, keepdims=True)
        scaled: np.ndarray = centred / np.sqrt(
            (centred**2).mean(-1, keepdims=True) + SHAPE.norm_epsilon
        )
        return scaled * weights[f"{key}.weight"] + weights[f"{key}.bias"]

    def linear(tensor: np.ndarray, key: str) -> np.ndarray:
        return tensor @ weights[f"{key}.weight"].T + weights[f"{key}.bias"]

    erf = np.vectorize(math.erf)
    tensor = norm(
        weights["embeddings.word_embeddings.weight"][ids]
        + weights["embeddings.position_embeddings.weight"][: len(ids)]
        + weights["embeddings.token_type_embeddings.weight"][0],
        "embeddings.LayerNorm",
    )
    for layer in ("encoder.layer.0", "encoder.layer.1"):
        query, key, value = (
            linear(tensor, f"{layer}.attention.self.{name}") for name in ("query", "key", "value")
        )
        heads = []
        for part in (slice(0, 4), slice(4, 8)):
            scores = query[:, part] @ key[:, part].T / math.sqrt(4)
            shares = np.exp(scores - scores.max(-1, keepdims=True))
            heads.append(shares / shares.sum(-1, keepdims=True) @ value[:, part])
        mixed = linear(np.concatenate(heads, -1), f"{layer}.attention.output.dense")
        tensor = norm(mixed + tensor, f"{layer}.attention.output.LayerNorm")
        wide = linear(tensor, f"{layer}.intermediate.dense")
        narrow = linear(wide * (1 + erf(wide / math.sqrt(2))) / 2, f"{layer}.output.dense")
        tensor = norm(narrow + tensor, f"{layer}.output.LayerNorm")
    return tensor


def run(session: onnxruntime.InferenceSession, *sequences: list[int]) -> list[np.ndarray]:
    width = max(map(len, sequences))
    ids = np.array([[*ids, *[0] * (width - len(ids))] for ids in sequences])
    mask = np.array([[1] * len(ids) + [0] * (width - len(ids)) for ids in sequences])
    outputs: list[np.ndarray] = session.run(
        [TOKEN_VECTORS, SENTENCE_VECTORS], {IDS: ids, MASK: mask}
    )
    return outputs


def test_token_vectors_are_the_last_hidden_state(
    session: onnxruntime.InferenceSession, weights: Weights
) -> None:
    ids = [3, 1, 4, 1, 5, 9, 2]
    tokens, _ = run(session, ids)
    np.testing.assert_allclose(tokens[0], reference(weights, ids), atol=2e-5)


def test_the_sentence_vector_is_their_mean_at_unit_length(
    session: onnxruntime.InferenceSession, weights: Weights
) -> None:
    ids = [3, 1, 4, 1, 5, 9, 2]
    mean = reference(weights, ids).mean(axis=0)
    _, sentences = run(session, ids)
    np.testing.assert_allclose(sentences[0], mean / np.linalg.norm(mean), atol=2e-5)


def test_padding_changes_nothing(session: onnxruntime.InferenceSession) -> None:
    long, short = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3], [7, 8]
    tokens, sentences = run(session, long, short)
    alone_tokens, alone_sentences = run(session, short)
    np.testing.assert_allclose(sentences[1], alone_sentences[0], atol=1e-6)
    np.testing.assert_allclose(tokens[1, :2], alone_tokens[0], atol=1e-5)
