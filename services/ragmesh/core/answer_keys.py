"""Keys of cached answers and hits: equal keys, equal results; what is new is in by default."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from hashlib import sha256
from types import MappingProxyType
from typing import Any

from ragmesh.core.answers import AskQuery, EngineDescription
from ragmesh.core.callers import Caller, Machine
from ragmesh.core.documents import Route
from ragmesh.core.questions import Question
from ragmesh.core.search import RetrieveQuery

_FORMAT = 2
"""Grows when equal questions would get other keys, so that caches that outlive us start anew."""

EXCLUDED_FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "collection": "a name at the door; the route's uids stand for what it meant just now",
        "cache": "says what the cache may do, not what is asked",
    }
)
"""Fields of AskQuery that are not in the key, and why. A field that is not here is in it."""
_PRICES = frozenset({"prompt_dollars", "completion_dollars"})
"""Of an engine: what it costs decides no answer."""


def answer_key(
    caller: Caller, query: AskQuery, route: Route, engine: EngineDescription, *, reranker: str = ""
) -> str:
    """The key under which the answer to this question may be shared, 64 hex digits.

    `reranker` stands for everything that decides how a reranker orders, "" for none.
    """
    parts = {
        "format": _FORMAT,
        "query": canonical_query(query),
        "tenant": route.tenant_uid,
        "groups": groups_digest(caller),
        "collection": route.collection_uid,
        "index_version": route.index_version_uid,
        "language": route.language,
        "engine": [
            [field.name, _canonical(getattr(engine, field.name))]
            for field in fields(engine)
            if field.name not in _PRICES
        ],
        "reranker": reranker,
    }
    return sha256(_encoded(parts)).hexdigest()


def hits_key(caller: Caller, query: RetrieveQuery, tenant_uid: str, *, reranker: str = "") -> str:
    """The key under which the hits of this search may be shared, 64 hex digits.

    The words are taken as they are: hits are shown with scores, which any mark may move.
    """
    parts = {
        "format": _FORMAT,
        "query": [
            [field.name, _canonical(getattr(query, field.name))]
            for field in fields(query)
            if field.name != "question"
        ],
        "words": query.question.text,
        "tenant": tenant_uid,
        "groups": groups_digest(caller),
        "reranker": reranker,
    }
    return sha256(_encoded(parts)).hexdigest()


def canonical_query(query: AskQuery) -> dict[str, Any]:
    """What of a question decides its answer, as JSON values under their field names."""
    return {
        field.name: _canonical(getattr(query, field.name))
        for field in fields(query)
        if field.name not in EXCLUDED_FIELDS
    }


def groups_digest(caller: Caller) -> str:
    """What of a caller decides which documents may be seen; equal digests, equal sight."""
    if isinstance(caller, Machine):
        sight: dict[str, Any] = {"machine": caller.name}
    else:
        sight = {
            "tenant": caller.tenant_uid,
            "groups": sorted(caller.groups),
            "admin": caller.is_admin,
        }
    return sha256(_encoded(sight)).hexdigest()


def _encoded(value: object) -> bytes:
    """JSON keeps 1, 1.0, "1" and true apart, as Python's own equality does not."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def _canonical(value: Any) -> Any:
    if isinstance(value, Question):
        return _canonical_question(value)
    if isinstance(value, Enum):
        return [type(value).__name__, value.name]
    if isinstance(value, str):
        return unicodedata.normalize("NFC", value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, tuple | list):
        return [_canonical(item) for item in value]
    if is_dataclass(value):
        # The class is part of it: Eq("a", 1) and a later Near("a", 1) are not the same filter.
        members = {field.name: _canonical(getattr(value, field.name)) for field in fields(value)}
        return [type(value).__name__, members]
    raise TypeError(f"{type(value).__name__} has no canonical form in an answer's key")


def _canonical_question(question: Question) -> str:
    text = unicodedata.normalize("NFC", question.canonical).strip()
    # "?" and "!" are nothing but trailing marks: they stay apart.
    return text or question.text
