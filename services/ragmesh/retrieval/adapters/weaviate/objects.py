"""How chunks stand in Weaviate's objects, and back."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

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


def chunk_objects(
    analyzer: Analyzer,
    index_version_uid: str,
    owner: tuple[str, int],
    attributes: Attributes,
    chunks: Sequence[Chunk],
) -> list[StoredObject]:
    """The objects of a revision's chunks; analysing them is most of the work of a write."""
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
    return StoredObject(stored.id, properties, _renewed(stored.vector))


def _renewed(vector: bytes) -> bytes:
    """The same vector for whoever compares it, and another one for Weaviate, by its last bit.

    An object whose vector is equal keeps its number, and is removed and added under it. Weaviate
    1.35 then takes it out of the filter of every search by words that filters, since something
    newer has removed that number: it is not found until the segments are merged, which can be long.
    """
    return bytes((vector[0] ^ 1, *vector[1:]))


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


def read_stored_chunk(
    stored: StoredObject, place: int, dimension: int, terms: Sequence[QueryTerm]
) -> StoredChunk:
    """The chunk as a search hands it on."""
    of = stored.properties
    return StoredChunk(
        place=place,
        chunk_id=stored.id,
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
