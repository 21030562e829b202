"""How chunks stand in Weaviate's objects, and back."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID, uuid5

from google.protobuf.struct_pb2 import Struct
from weaviate.proto.v1 import base_pb2, batch_pb2, search_get_pb2

from ragmesh.core.ids import chunk_id
from ragmesh.core.index import Attributes, Chunk, ChunkDraft
from ragmesh.core.search import QueryTerm
from ragmesh.core.spans import Span
from ragmesh.core.vectors import SentenceVectors, Vector
from ragmesh.retrieval.adapters.analysis import Analyzer
from ragmesh.retrieval.adapters.chunk_words import matched_sentences, words_of
from ragmesh.retrieval.adapters.weaviate.conditions import access_tokens
from ragmesh.retrieval.adapters.weaviate.schema import WORDS, slot_name
from ragmesh.retrieval.ports import StoredChunk
from ragmesh.retrieval.wording import Field

Properties = dict[str, Any]
Key = tuple[str, int, int]
"""A chunk of an index version: document, revision, ordinal."""
_TEXT_ARRAYS = ("tokens", "groups")


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object as it is kept."""

    id: str
    properties: Properties
    vector: bytes = b""

    def message(self, collection: str, tenant: str) -> batch_pb2.BatchObject:
        """The object as it is written."""
        arrays = [
            base_pb2.TextArrayProperties(prop_name=name, values=self.properties[name])
            for name in _TEXT_ARRAYS
            if self.properties.get(name)
        ]
        plain = Struct()
        plain.update({k: v for k, v in self.properties.items() if k not in _TEXT_ARRAYS})
        return batch_pb2.BatchObject(
            uuid=self.id,
            collection=collection,
            tenant=tenant,
            vector_bytes=self.vector,
            properties=batch_pb2.BatchObject.Properties(
                non_ref_properties=plain, text_array_properties=arrays
            ),
        )


def read_object(result: search_get_pb2.SearchResult) -> StoredObject:
    """An object of an answer, with the properties that were asked for."""
    fields = result.properties.non_ref_props.fields
    properties = {name: _plain(value) for name, value in fields.items()}
    kept = {name: value for name, value in properties.items() if value is not None}
    return StoredObject(result.metadata.id, kept, result.metadata.vector_bytes)


def _plain(value: Any) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "list_value":
        return list(value.list_value.text_values.values)
    if kind in (None, "null_value"):
        return None
    return getattr(value, kind)


# -- chunks --------------------------------------------------------------------


def object_id(chunk: str, side: int) -> str:
    """The id of the object that holds a chunk on one of the two sides of its revision."""
    return chunk if side == 0 else str(uuid5(UUID(chunk), "other side"))


def chunk_objects(
    analyzer: Analyzer,
    index_version_uid: str,
    owner: tuple[str, int],
    attributes: Attributes,
    chunks: Sequence[Chunk],
) -> list[StoredObject]:
    """The objects of a revision's chunks; analysing them is most of the work of a write.

    Their ids are those of the first side.
    """
    document_uid, revision = owner
    shared = {
        "document_uid": document_uid,
        "revision": revision,
        **attribute_properties(analyzer, attributes),
    }
    return [
        StoredObject(
            chunk_id(index_version_uid, document_uid, revision, chunk.draft.ordinal),
            {**shared, **_chunk_properties(analyzer, chunk)},
            chunk.vector.values,
        )
        for chunk in chunks
    ]


def attribute_properties(analyzer: Analyzer, attributes: Attributes) -> Properties:
    """What of a chunk changes without embedding."""
    return {
        "generation": attributes.generation,
        "document_id": attributes.document_id,
        "title": attributes.title,
        "content_type": attributes.content_type,
        "metadata": attributes.metadata,
        "tokens": sorted(attributes.tokens),
        "groups": access_tokens(attributes.access),
        WORDS[Field.TITLE]: " ".join(analyzer.terms(attributes.title)),
        **{slot_name(slot): value for slot, value in attributes.slots},
    }


def with_attributes(
    analyzer: Analyzer, stored: StoredObject, attributes: Attributes
) -> StoredObject:
    """The same chunk with other attributes; a slot that they leave empty is emptied."""
    kept = {k: v for k, v in stored.properties.items() if not k.startswith(slot_name(0)[:-1])}
    properties = {**kept, **attribute_properties(analyzer, attributes)}
    return replace(stored, properties=properties)


def _chunk_properties(analyzer: Analyzer, chunk: Chunk) -> Properties:
    draft = chunk.draft
    words, heading_words = words_of(analyzer, draft.text, draft.headings, draft.sentences)
    properties: Properties = {
        WORDS[Field.TEXT]: words,
        WORDS[Field.HEADINGS]: heading_words,
        "ordinal": draft.ordinal,
        "text": draft.text,
        "headings": json.dumps(draft.headings, ensure_ascii=False),
        "sentences": json.dumps([[span.start, span.end] for span in draft.sentences]),
        "gap": draft.gap,
        "span_start": draft.span.start,
        "span_end": draft.span.end,
        "token_count": draft.token_count,
    }
    if draft.page is not None:
        properties["page"] = draft.page
    if chunk.sentence_vectors is not None:
        properties["sentence_vectors"] = base64.b64encode(chunk.sentence_vectors.values).decode()
    return properties


def read_chunk(stored: StoredObject) -> Chunk:
    """The chunk as it was written."""
    of = stored.properties
    return Chunk(
        ChunkDraft(
            ordinal=int(of["ordinal"]),
            text=of.get("text", ""),
            span=Span(int(of["span_start"]), int(of["span_end"])),
            headings=tuple(json.loads(of["headings"])),
            page=_page(of),
            token_count=int(of["token_count"]),
            sentences=_spans(of),
            gap=of.get("gap", ""),
        ),
        Vector(stored.vector),
        _sentence_vectors(of, Vector(stored.vector).dimension),
    )


def key_of(stored: StoredObject) -> Key:
    """Which chunk an object holds, on whichever side."""
    of = stored.properties
    return of["document_uid"], int(of["revision"]), int(of["ordinal"])


def read_stored_chunk(
    stored: StoredObject, chunk: str, place: int, dimension: int, terms: Sequence[QueryTerm]
) -> StoredChunk:
    """The chunk of that id as a search hands it on."""
    of = stored.properties
    return StoredChunk(
        place=place,
        chunk_id=chunk,
        document_uid=of["document_uid"],
        document_id=of["document_id"],
        revision=int(of["revision"]),
        ordinal=int(of["ordinal"]),
        title=of.get("title", ""),
        text=of.get("text", ""),
        span=Span(int(of["span_start"]), int(of["span_end"])),
        page=_page(of),
        headings=tuple(json.loads(of["headings"])),
        metadata=of["metadata"],
        token_count=int(of["token_count"]),
        sentences=matched_sentences(of.get(WORDS[Field.TEXT], ""), _spans(of), terms),
        sentence_vectors=_sentence_vectors(of, dimension),
        gap=of.get("gap", ""),
    )


def _page(of: Mapping[str, Any]) -> int | None:
    page = of.get("page")
    return None if page is None else int(page)


def _spans(of: Mapping[str, Any]) -> tuple[Span, ...]:
    return tuple(Span(start, end) for start, end in json.loads(of["sentences"]))


def _sentence_vectors(of: Mapping[str, Any], dimension: int) -> SentenceVectors | None:
    blob = of.get("sentence_vectors")
    return None if blob is None else SentenceVectors(dimension, base64.b64decode(blob))
