"""A BERT encoder's weights become one ONNX graph whose pooling is part of the artefact.

Inputs are `input_ids` and `attention_mask` (int64, [batch, tokens]). Outputs are
`token_embeddings` ([batch, tokens, hidden], the last hidden state) and `sentence_embedding`
([batch, hidden], the mean of the real tokens at unit length), so that no caller pools by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from ragmesh.embedding.adapters.manifest import IDS, MASK, SENTENCE_VECTORS, TOKEN_VECTORS

OPSET = 18
IR_VERSION = 9
_LOWEST = -3.4e38
"""Added to the attention of padding; float32 cannot go lower, so its weight becomes exactly 0."""


@dataclass(frozen=True, slots=True)
class BertShape:
    """The numbers of a BERT model that its weights do not tell."""

    layers: int
    heads: int
    hidden: int
    norm_epsilon: float


class _Graph:
    """Nodes and constants of a graph under construction; an operation answers its output's name."""

    def __init__(self, weights: Mapping[str, npt.NDArray[np.float32]]) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}
        self._weights = weights

    def add(self, kind: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        name = output or f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        return name

    def constant(self, name: str, array: npt.NDArray[np.generic]) -> str:
        if name not in self.constants:
            self.constants[name] = numpy_helper.from_array(np.ascontiguousarray(array), name)
        return name

    def integers(self, *values: int) -> str:
        return self.constant("i_" + "_".join(map(str, values)), np.array(values, np.int64))

    def number(self, value: float) -> str:
        return self.constant(f"f_{value!r}", np.array(value, np.float32))

    def weight(self, key: str) -> str:
        return self.constant(key, self._weights[key])

    def linear(self, tensor: str, key: str) -> str:
        # The published matrices are [out, in]; MatMul multiplies from the right.
        matrix = self.constant(f"{key}.matrix", self._weights[f"{key}.weight"].T)
        return self.add("Add", self.weight(f"{key}.bias"), self.add("MatMul", tensor, matrix))

    def norm(self, tensor: str, key: str, epsilon: float, output: str = "") -> str:
        scale, shift = self.weight(f"{key}.weight"), self.weight(f"{key}.bias")
        return self.add(
            "LayerNormalization", tensor, scale, shift, output=output, axis=-1, epsilon=epsilon
        )


def build_bert(weights: Mapping[str, npt.NDArray[np.float32]], shape: BertShape) -> onnx.ModelProto:
    """The checked model; the weights are those of a BertModel under their published names."""
    graph = _Graph(weights)
    tensor = _embeddings(graph, weights, shape)
    attention = _additive_mask(graph)
    for layer in range(shape.layers):
        output = TOKEN_VECTORS if layer == shape.layers - 1 else ""
        tensor = _layer(graph, tensor, attention, (f"encoder.layer.{layer}", output), shape)
    _pool(graph, tensor)
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "bert",
            [_tensor(name, TensorProto.INT64, "batch", "tokens") for name in (IDS, MASK)],
            [
                _tensor(TOKEN_VECTORS, TensorProto.FLOAT, "batch", "tokens", shape.hidden),
                _tensor(SENTENCE_VECTORS, TensorProto.FLOAT, "batch", shape.hidden),
            ],
            list(graph.constants.values()),
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="ragmesh",
    )
    onnx.checker.check_model(model)
    return model


def _tensor(name: str, kind: int, *dimensions: str | int) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, list(dimensions))


def _embeddings(
    graph: _Graph, weights: Mapping[str, npt.NDArray[np.float32]], shape: BertShape
) -> str:
    words = graph.add("Gather", graph.weight("embeddings.word_embeddings.weight"), IDS)
    # Only token type 0 ever occurs, so its row is folded into every position.
    table = graph.constant(
        "positions",
        weights["embeddings.position_embeddings.weight"]
        + weights["embeddings.token_type_embeddings.weight"][0],
    )
    length = graph.add("Shape", IDS, start=1, end=2)
    zero = graph.integers(0)
    positions = graph.add("Slice", table, zero, length, zero)
    summed = graph.add("Add", words, positions)
    return graph.norm(summed, "embeddings.LayerNorm", shape.norm_epsilon)


def _additive_mask(graph: _Graph) -> str:
    """0 for real tokens and the lowest number for padding, as [batch, 1, 1, tokens]."""
    real = graph.add("Cast", graph.add("Unsqueeze", MASK, graph.integers(1, 2)), to=1)
    return graph.add("Mul", graph.add("Sub", graph.number(1.0), real), graph.number(_LOWEST))


def _layer(graph: _Graph, tensor: str, mask: str, names: tuple[str, str], shape: BertShape) -> str:
    key, output = names
    attended = _attention(graph, tensor, mask, f"{key}.attention", shape)
    tensor = graph.norm(
        graph.add("Add", attended, tensor), f"{key}.attention.output.LayerNorm", shape.norm_epsilon
    )
    wide = graph.linear(tensor, f"{key}.intermediate.dense")
    narrow = graph.linear(_gelu(graph, wide), f"{key}.output.dense")
    return graph.norm(
        graph.add("Add", narrow, tensor), f"{key}.output.LayerNorm", shape.norm_epsilon, output
    )


def _attention(graph: _Graph, tensor: str, mask: str, key: str, shape: BertShape) -> str:
    size = shape.hidden // shape.heads
    split = graph.integers(0, 0, shape.heads, size)

    def project(name: str, order: tuple[int, ...]) -> str:
        projected = graph.linear(tensor, f"{key}.self.{name}")
        return graph.add("Transpose", graph.add("Reshape", projected, split), perm=order)

    query, value = project("query", (0, 2, 1, 3)), project("value", (0, 2, 1, 3))
    products = graph.add("MatMul", query, project("key", (0, 2, 3, 1)))
    scores = graph.add("Add", graph.add("Div", products, graph.number(size**0.5)), mask)
    mixed = graph.add("MatMul", graph.add("Softmax", scores, axis=-1), value)
    joined = graph.add("Transpose", mixed, perm=(0, 2, 1, 3))
    flat = graph.add("Reshape", joined, graph.integers(0, 0, shape.hidden))
    return graph.linear(flat, f"{key}.output.dense")


def _gelu(graph: _Graph, tensor: str) -> str:
    """x/2 · (1 + erf(x/√2)) in the form that ONNX Runtime fuses into one kernel at load."""
    error = graph.add("Erf", graph.add("Div", tensor, graph.number(2**0.5)))
    raised = graph.add("Add", error, graph.number(1.0))
    return graph.add("Mul", graph.add("Mul", tensor, raised), graph.number(0.5))


def _pool(graph: _Graph, tensor: str) -> None:
    real = graph.add("Cast", graph.add("Unsqueeze", MASK, graph.integers(2)), to=1)
    total = graph.add("ReduceSum", graph.add("Mul", tensor, real), graph.integers(1), keepdims=0)
    count = graph.add("ReduceSum", real, graph.integers(1), keepdims=0)
    mean = graph.add("Div", total, count)
    graph.add("LpNormalization", mean, output=SENTENCE_VECTORS, axis=-1, p=2)
