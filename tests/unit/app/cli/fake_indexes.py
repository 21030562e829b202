"""The part of the fake mesh by which an index is changed: it does what it is told at once."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from ragmesh.core.documents import Chunking, Collection
from ragmesh.core.errors import EncoderNotFoundError
from ragmesh.core.migrations import (
    EvaluationRecord,
    GoldenQuestions,
    IndexChange,
    IndexEstimate,
    MetricVerdict,
    Migration,
    MigrationCommand,
    MigrationPhase,
    RouteShare,
)
from ragmesh.core.pages import Page, PageRequest
from ragmesh.core.quality import Quality

NOON = datetime(2025, 5, 1, 12, tzinfo=UTC)
RESTING = Migration(
    collection="notes",
    phase=MigrationPhase.IDLE,
    serving="v1-00000000",
    candidate="",
    retained="",
    route_epoch=1,
    shares=(RouteShare("", "v1-00000000", 100),),
    percent=100,
    encoder="fake",
    language="en",
)


class FakeIndexes:
    """One migration a collection, and what was told it."""

    wishes: list[IndexChange]
    told: list[tuple[MigrationCommand, str]]
    released: list[tuple[str, str]]
    quality: Quality | None = None
    """What was found on schedule."""
    judged: tuple[MetricVerdict, ...] = ()
    """What the gate found of a slice."""

    def _known(self, name: str) -> Collection:
        raise NotImplementedError

    async def want_index(self, collection: str, change: IndexChange) -> Migration:
        self._known(collection)
        self.wishes.append(change)
        return replace(
            RESTING,
            phase=MigrationPhase.PROVISIONING,
            candidate="v2-11111111",
            encoder=change.encoder or "fake",
        )

    async def estimate_index(self, collection: str, change: IndexChange) -> IndexEstimate:
        self._known(collection)
        encoder = change.encoder or "fake"
        if encoder not in {"fake", "fast"}:
            raise EncoderNotFoundError(f"no encoder is named {encoder}")
        estimate = IndexEstimate("v2-11111111", encoder, Chunking(), "en", 3, 9, 3 * 2**20, 0.5)
        return replace(estimate, tokens=1_000, dollars=0.125 if encoder == "fast" else None)

    async def release_collection(self, collection: str, *, reason: str = "") -> None:
        self._known(collection)
        self.released.append((collection, reason))

    async def get_migration(self, collection: str) -> Migration:
        self._known(collection)
        return replace(RESTING, quality=self.quality, slice_verdicts=self.judged)

    async def list_migrations(self, page: PageRequest) -> Page[Migration]:
        return Page((RESTING,))

    async def command_migration(
        self, collection: str, command: MigrationCommand, *, reason: str = ""
    ) -> Migration:
        self._known(collection)
        self.told.append((command, reason))
        return RESTING

    async def set_golden_questions(self, collection: str, content: str) -> GoldenQuestions:
        self._known(collection)
        return GoldenQuestions("", "digest", len(content.splitlines()), NOON)

    async def get_golden_questions(self, collection: str) -> GoldenQuestions:
        self._known(collection)
        return GoldenQuestions("", "digest", 1, NOON)

    async def list_evaluations(self, collection: str, page: PageRequest) -> Page[EvaluationRecord]:
        self._known(collection)
        record = EvaluationRecord(
            "e", "migration", "v1-00000000", "v2-11111111", "digest", "pass", "{}", NOON
        )
        scheduled = replace(
            record, occasion="schedule", serving="v2-11111111", verdict="kept", evaluation_id="f"
        )
        return Page((scheduled, record))
