"""What the fake provider answers when nothing goes wrong, and how its numbers go wrong."""

from __future__ import annotations

import base64
import math
import re
import struct
from collections.abc import Mapping, Sequence
from typing import Any

from ragmesh.testing.provider.faults import FaultKind

Json = dict[str, Any]
_TOKEN = re.compile(r"\s*\S+|\s+\Z")
_WORD = re.compile(r"\w+")
CHANGED_SUFFIX = "-changed"
"""What a silently changed chat model is called in its replies."""


def tokens_of(text: str) -> list[str]:
    """The tokens of a text: its words, each with the space before it."""
    return _TOKEN.findall(text)


def prompt_tokens(request: Mapping[str, Any]) -> int:
    """Tokens of all messages of a chat request."""
    return sum(len(tokens_of(str(message.get("content", "")))) for message in request["messages"])


def chat_usage(prompt: int, completion: int) -> Json:
    """The usage block of a chat reply."""
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }


def chat_chunk(model: str, *, delta: Json | None = None, finish: str | None = None) -> Json:
    """One event of a streamed chat reply."""
    choice = {"index": 0, "delta": delta or {}, "finish_reason": finish}
    return _chat_head("chat.completion.chunk", model) | {"choices": [choice]}


def usage_chunk(model: str, usage: Json) -> Json:
    """The last event of a streamed chat reply whose client asked for usage."""
    return _chat_head("chat.completion.chunk", model) | {"choices": [], "usage": usage}


def chat_completion(model: str, text: str, usage: Json) -> Json:
    """A chat reply in one piece."""
    message = {"role": "assistant", "content": text}
    return _chat_head("chat.completion", model) | {
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": usage,
    }


def _chat_head(kind: str, model: str) -> Json:
    return {"id": "chatcmpl-1", "object": kind, "created": 0, "model": model}


def embeddings(
    request: Mapping[str, Any], made: Sequence[Sequence[float]], wrong: FaultKind | None
) -> Json:
    """The vectors that were made of the texts, as floats or base64, as the request asks for."""
    texts = texts_of(request)
    as_base64 = request.get("encoding_format") == "base64"
    vectors = [_vector(list(vector), request.get("dimensions"), wrong) for vector in made]
    used = sum(len(tokens_of(text)) for text in texts)
    return {
        "object": "list",
        "model": request["model"],
        "data": [
            {
                "object": "embedding",
                "index": index,
                "embedding": _base64(vector) if as_base64 else vector,
            }
            for index, vector in enumerate(vectors)
        ],
        "usage": {"prompt_tokens": used, "total_tokens": used},
    }


def texts_of(request: Mapping[str, Any]) -> list[str]:
    """The texts of an embeddings request, which may send tokens instead."""
    given = request["input"]
    if isinstance(given, str):
        return [given]
    if given and all(isinstance(item, int) for item in given):
        given = [given]
    return [item if isinstance(item, str) else " ".join(map(str, item)) for item in given]


def _vector(numbers: list[float], dimension: int | None, wrong: FaultKind | None) -> list[float]:
    if wrong is FaultKind.CHANGED_MODEL:
        numbers.reverse()
    if dimension is not None:
        numbers = _shortened(numbers, dimension)
    if wrong is FaultKind.NOT_A_NUMBER:
        numbers[0] = math.nan
    return numbers[:-1] if wrong is FaultKind.WRONG_DIMENSION else numbers


def _shortened(numbers: list[float], dimension: int) -> list[float]:
    kept = numbers[:dimension]
    length = math.sqrt(math.fsum(number * number for number in kept)) or 1.0
    return [number / length for number in kept]


def _base64(vector: Sequence[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def reranking(request: Mapping[str, Any], wrong: FaultKind | None) -> Json | list[Json]:
    """Documents by relevance, the best first: TEI's shape for `texts`, else Cohere's and Jina's."""
    tei = "texts" in request
    documents = [_document_text(item) for item in request["texts" if tei else "documents"]]
    scored = [
        (_relevance(request["query"], document, wrong), index)
        for index, document in enumerate(documents)
    ]
    scored.sort(key=lambda pair: (-pair[0], pair[1]))
    if wrong is FaultKind.WRONG_DIMENSION:
        scored.append((0.0, len(documents)))
    if tei:
        return [{"index": index, "score": score} for score, index in scored]
    results = [{"index": index, "relevance_score": score} for score, index in scored]
    used = len(tokens_of(request["query"])) + sum(len(tokens_of(text)) for text in documents)
    return {
        "id": "rerank-1",
        "model": request.get("model", ""),
        "results": results[: request.get("top_n")],
        "usage": {"prompt_tokens": used, "total_tokens": used},
    }


def _document_text(item: Any) -> str:
    return item if isinstance(item, str) else str(item["text"])


def _relevance(query: str, document: str, wrong: FaultKind | None) -> float:
    if wrong is FaultKind.NOT_A_NUMBER:
        return math.nan
    asked = set(_WORD.findall(query.casefold()))
    held = asked & set(_WORD.findall(document.casefold()))
    share = len(held) / len(asked) if asked else 0.0
    return 1.0 - share if wrong is FaultKind.CHANGED_MODEL else share


def models(names: Sequence[str]) -> Json:
    """The list of models."""
    return {
        "object": "list",
        "data": [
            {"id": name, "object": "model", "created": 0, "owned_by": "fake"} for name in names
        ],
    }


def refusal(status: int) -> Json:
    """The body of an error."""
    return {"error": {"message": f"the fake refuses with {status}", "type": "fake", "code": None}}
