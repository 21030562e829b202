"""What the cache keeps, forgets and counts."""

from __future__ import annotations

from ragmesh.api.cache.v1 import cache_service_pb2 as pb
from ragmesh.chassis.messages.answers import answer_from_message, answer_to_message
from ragmesh.chassis.messages.parts import moment_from_message, moment_to_message, refuse_missing
from ragmesh.chassis.messages.search import retrieval_from_message, retrieval_to_message
from ragmesh.core.answers import CacheStats, EntryStats, Invalidation, ReadMark, StoredAnswer
from ragmesh.core.search import StoredHits


def stored_answer_to_message(entry: StoredAnswer) -> pb.StoredAnswer:
    """An answer as the cache keeps it."""
    return pb.StoredAnswer(
        key=entry.key,
        collection_uid=entry.collection_uid,
        answer=answer_to_message(entry.answer),
        heads_sequence=entry.heads_sequence,
        tags=entry.tags,
        read_at=moment_to_message(entry.read_at),
    )


def stored_answer_from_message(message: pb.StoredAnswer, *, field: str = "answer") -> StoredAnswer:
    """An answer as the cache keeps it, which always says when it was read."""
    refuse_missing(message, "answer", "read_at", field=field)
    return StoredAnswer(
        key=message.key,
        collection_uid=message.collection_uid,
        answer=answer_from_message(message.answer, field=f"{field}.answer"),
        heads_sequence=message.heads_sequence,
        tags=tuple(message.tags),
        read_at=moment_from_message(message.read_at, field=f"{field}.read_at"),
    )


def stored_answer_to_bytes(entry: StoredAnswer) -> bytes:
    """An answer for a store that keeps bytes."""
    return stored_answer_to_message(entry).SerializeToString()


def stored_answer_from_bytes(content: bytes) -> StoredAnswer:
    """The answer that a store kept."""
    return stored_answer_from_message(pb.StoredAnswer.FromString(content))


def read_mark_to_message(read: ReadMark) -> pb.ReadMark:
    """What a question read."""
    return pb.ReadMark(
        collection_uid=read.collection_uid,
        heads_sequence=read.heads_sequence,
        tags=read.tags,
        read_at=moment_to_message(read.read_at),
    )


def read_mark_from_message(message: pb.ReadMark, *, field: str = "read") -> ReadMark:
    """What a question read, which always says when."""
    refuse_missing(message, "read_at", field=field)
    return ReadMark(
        collection_uid=message.collection_uid,
        heads_sequence=message.heads_sequence,
        tags=tuple(message.tags),
        read_at=moment_from_message(message.read_at, field=f"{field}.read_at"),
    )


def stored_hits_to_message(entry: StoredHits) -> pb.StoreHitsRequest:
    """Hits to keep."""
    return pb.StoreHitsRequest(
        key=entry.key,
        collection_uid=entry.collection_uid,
        retrieval=retrieval_to_message(entry.retrieval),
        read_at=moment_to_message(entry.read_at),
    )


def stored_hits_from_message(message: pb.StoreHitsRequest) -> StoredHits:
    """Hits to keep, which always say when they were read."""
    refuse_missing(message, "retrieval", "read_at")
    return StoredHits(
        key=message.key,
        collection_uid=message.collection_uid,
        retrieval=retrieval_from_message(message.retrieval),
        read_at=moment_from_message(message.read_at, field="read_at"),
    )


def stored_hits_to_bytes(entry: StoredHits) -> bytes:
    """Hits for a store that keeps bytes."""
    return stored_hits_to_message(entry).SerializeToString()


def stored_hits_from_bytes(content: bytes) -> StoredHits:
    """The hits that a store kept."""
    return stored_hits_from_message(pb.StoreHitsRequest.FromString(content))


def invalidation_to_message(change: Invalidation) -> pb.Invalidation:
    """The news that a document changed."""
    return pb.Invalidation(
        collection_uid=change.collection_uid,
        document_uid=change.document_uid,
        sequence=change.sequence,
    )


def invalidation_from_message(message: pb.Invalidation) -> Invalidation:
    """The news that a document changed."""
    return Invalidation(message.collection_uid, message.document_uid, message.sequence)


def cache_stats_to_message(stats: CacheStats) -> pb.GetStatsResponse:
    """The counts of a cache."""
    return pb.GetStatsResponse(
        answers=_entry_stats_to_message(stats.answers),
        hits=_entry_stats_to_message(stats.hits),
        vectors=_entry_stats_to_message(stats.vectors),
    )


def cache_stats_from_message(message: pb.GetStatsResponse) -> CacheStats:
    """The counts of a cache, of every kind."""
    refuse_missing(message, "answers", "hits", "vectors")
    return CacheStats(
        answers=_entry_stats_from_message(message.answers),
        hits=_entry_stats_from_message(message.hits),
        vectors=_entry_stats_from_message(message.vectors),
    )


def _entry_stats_to_message(stats: EntryStats) -> pb.EntryStats:
    return pb.EntryStats(
        entries=stats.entries,
        size_bytes=stats.size_bytes,
        hits=stats.hits,
        misses=stats.misses,
        refusals=stats.refusals,
        evictions=stats.evictions,
    )


def _entry_stats_from_message(message: pb.EntryStats) -> EntryStats:
    return EntryStats(
        entries=message.entries,
        size_bytes=message.size_bytes,
        hits=message.hits,
        misses=message.misses,
        refusals=message.refusals,
        evictions=message.evictions,
    )
