"""What the cache keeps, forgets and counts."""

from __future__ import annotations

from ragmesh.api.cache.v1 import cache_service_pb2 as pb
from ragmesh.chassis.messages.answers import answer_from_message, answer_to_message
from ragmesh.chassis.messages.parts import moment_from_message, moment_to_message, refuse_missing
from ragmesh.core.answers import CacheStats, EntryStats, Invalidation, StoredAnswer


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
        vectors=_entry_stats_to_message(stats.vectors),
    )


def cache_stats_from_message(message: pb.GetStatsResponse) -> CacheStats:
    """The counts of a cache, of both kinds."""
    refuse_missing(message, "answers", "vectors")
    return CacheStats(
        answers=_entry_stats_from_message(message.answers),
        vectors=_entry_stats_from_message(message.vectors),
    )


def _entry_stats_to_message(stats: EntryStats) -> pb.EntryStats:
    return pb.EntryStats(
        entries=stats.entries,
        size_bytes=stats.size_bytes,
        hits=stats.hits,
        misses=stats.misses,
        refusals=stats.refusals,
    )


def _entry_stats_from_message(message: pb.EntryStats) -> EntryStats:
    return EntryStats(
        entries=message.entries,
        size_bytes=message.size_bytes,
        hits=message.hits,
        misses=message.misses,
        refusals=message.refusals,
    )
