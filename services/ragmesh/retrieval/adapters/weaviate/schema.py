"""What Weaviate is told to keep: collections, their properties, and what is indexed of them.

Three collections, all of them with automatic schema off:

- `RagmeshIndexVersions`: one object an index version, its spec. What is not here does not exist.
- `RagmeshChunks_<hash>`: the chunks of every index version with the same encoder, analysis and
  sortable slots, one Weaviate tenant an index version.
- `RagmeshRevisions`: what is held of each revision, one tenant an index version. It has no
  vectors and no inverted index: records are found by their ids.
"""

from __future__ import annotations

from hashlib import sha256
from types import MappingProxyType
from typing import Any

from ragmesh.core.index import IndexSpec
from ragmesh.retrieval.adapters.analysis import Analyzer
from ragmesh.retrieval.wording import Field

SCHEMA_VERSION = 1
"""Counts up with every change of a chunk's properties or of the vector index."""
INDEX_VERSIONS = "RagmeshIndexVersions"
REVISIONS = "RagmeshRevisions"
EF = 256
"""How many candidates a search of the graph keeps: recall@10 .995 on a hard set, .935 with the
default. Nothing else is raised: loading would cost more and find no more."""
WORDS = MappingProxyType(
    {Field.TEXT: "words", Field.TITLE: "title_words", Field.HEADINGS: "heading_words"}
)
"""The properties that hold the words of each field, analysed."""
PLAIN_TEXTS = (
    "document_id",
    "title",
    "content_type",
    "metadata",
    "text",
    "headings",
    "sentences",
    "gap",
)
_FILTERED = ("document_uid", "revision", "tokens", "groups")
PLAIN_NUMBERS = ("ordinal", "generation", "page", "token_count", "span_start", "span_end")


def chunks_collection(spec: IndexSpec) -> str:
    """The collection that holds the chunks of an index version."""
    decisive = (
        str(SCHEMA_VERSION),
        spec.fingerprint.digest,
        Analyzer(spec.language).name,
        str(slot_count(spec)),
    )
    return f"RagmeshChunks_{sha256('/'.join(decisive).encode()).hexdigest()[:16]}"


def slot_count(spec: IndexSpec) -> int:
    """How many slots for numbers to sort by there must be."""
    return 1 + max((field.slot for field in spec.sortable), default=-1)


def slot_name(slot: int) -> str:
    """The property of a slot."""
    return f"slot_{slot}"


def chunk_properties(spec: IndexSpec) -> tuple[str, ...]:
    """Everything that is kept of a chunk, but its vector."""
    slots = (slot_name(slot) for slot in range(slot_count(spec)))
    return (*WORDS.values(), *_FILTERED, *slots, *PLAIN_TEXTS, *PLAIN_NUMBERS, "sentence_vectors")


def chunks_definition(spec: IndexSpec) -> dict[str, Any]:
    """The collection of chunks as Weaviate takes it."""
    return {
        "class": chunks_collection(spec),
        "description": "Chunks of ragmesh: one tenant an index version.",
        "vectorizer": "none",
        "vectorIndexType": "hnsw",
        "vectorIndexConfig": {"distance": "cosine", "ef": EF},
        **_TENANTS,
        "invertedIndexConfig": {
            "bm25": {"k1": 1.2, "b": 0.75},
            "stopwords": {"preset": "none"},  # what a word is worth is decided by its rarity
        },
        "properties": [
            *(_text(name, "whitespace", searchable=True) for name in WORDS.values()),
            _text("document_uid", "field", filterable=True),
            _number("revision", "int", filterable=True),
            _text("tokens", "field", filterable=True, kind="text[]"),
            _text("groups", "field", filterable=True, kind="text[]"),
            *(_ranged(slot_name(slot)) for slot in range(slot_count(spec))),
            *(_text(name, "field") for name in PLAIN_TEXTS),
            *(_number(name, "int") for name in PLAIN_NUMBERS),
            {"name": "sentence_vectors", "dataType": ["blob"], "indexFilterable": False},
        ],
    }


def revisions_definition() -> dict[str, Any]:
    """The collection of records as Weaviate takes it."""
    return {
        "class": REVISIONS,
        "description": "What ragmesh holds of each revision: one tenant an index version.",
        **_WITHOUT_VECTORS,
        **_TENANTS,
        "properties": [
            *(_text(name, "field") for name in ("document_uid", "digest", "attributes", "attempt")),
            *(_number(name, "int") for name in ("revision", "chunk_count", "side", "other_count")),
            _number("retired_at", "number"),
        ],
    }


def index_versions_definition() -> dict[str, Any]:
    """The collection of index versions as Weaviate takes it."""
    return {
        "class": INDEX_VERSIONS,
        "description": "Index versions of ragmesh: what is not here does not exist.",
        **_WITHOUT_VECTORS,
        "properties": [_text("spec", "field")],
    }


_TENANTS: dict[str, Any] = {"multiTenancyConfig": {"enabled": True, "autoTenantCreation": False}}
_WITHOUT_VECTORS: dict[str, Any] = {
    "vectorizer": "none",
    "vectorIndexType": "hnsw",
    "vectorIndexConfig": {"skip": True},
}


def _text(
    name: str,
    tokenization: str,
    *,
    filterable: bool = False,
    searchable: bool = False,
    kind: str = "text",
) -> dict[str, Any]:
    return {
        "name": name,
        "dataType": [kind],
        "tokenization": tokenization,
        "indexFilterable": filterable,
        "indexSearchable": searchable,
    }


def _number(name: str, kind: str, *, filterable: bool = False) -> dict[str, Any]:
    return {
        "name": name,
        "dataType": [kind],
        "indexFilterable": filterable,
        "indexRangeFilters": False,
    }


def _ranged(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "dataType": ["number"],
        "indexFilterable": False,
        "indexRangeFilters": True,
    }
