# Generated from ragmesh/sdk/aio/migrations.py by tools/generate_blocking.py; edit that instead.
"""Changes of a collection's index, and the golden questions that they are judged by."""

from __future__ import annotations

from collections.abc import Generator

from ragmesh.core.documents import Chunking
from ragmesh.core.migrations import (
    EvaluationRecord,
    GoldenQuestions,
    IndexChange,
    IndexEstimate,
    Migration,
    MigrationCommand,
    MigrationPolicy,
)
from ragmesh.core.names import collection_name
from ragmesh.sdk.arguments import member_of
from ragmesh.sdk.blocking.connection import Connection


class Migrations(Connection):
    """Changes the index of a live collection, step by step; for administrators."""

    def want_index(
        self,
        collection: str,
        *,
        encoder: str | None = None,
        chunking: Chunking | None = None,
        language: str | None = None,
        policy: MigrationPolicy | None = None,
    ) -> Migration:
        """Say what the index should be; None leaves what it is. A migration begins if it differs.

        Raises CollectionNotFoundError, EncoderNotFoundError, InvalidError, DeniedError.
        """
        name = collection_name(collection)
        change = IndexChange(encoder, chunking, language, policy)
        return self._calls.change(lambda: self._gateway.want_index(name, change))

    def estimate_index(
        self,
        collection: str,
        *,
        encoder: str | None = None,
        chunking: Chunking | None = None,
        language: str | None = None,
    ) -> IndexEstimate:
        """What such a change would build, and what that takes; nothing is changed.

        Raises CollectionNotFoundError, EncoderNotFoundError, DeniedError.
        """
        name = collection_name(collection)
        change = IndexChange(encoder, chunking, language)
        return self._calls.read(lambda: self._gateway.estimate_index(name, change))

    def release_collection(self, collection: str, *, reason: str = "") -> None:
        """Have no custom resource keep a collection; one that is still there takes it back.

        Raises CollectionNotFoundError, DeniedError.
        """
        name = collection_name(collection)
        self._calls.change(lambda: self._gateway.release_collection(name, reason=reason))

    def get_migration(self, collection: str) -> Migration:
        """Where the migration of a collection stands. Raises CollectionNotFoundError."""
        name = collection_name(collection)
        return self._calls.read(lambda: self._gateway.get_migration(name))

    def list_migrations(self) -> Generator[Migration, None, None]:
        """Those of collections whose index somebody wanted otherwise."""
        return self._calls.each(lambda page: self._gateway.list_migrations(page))

    def command_migration(
        self, collection: str, command: MigrationCommand | str, *, reason: str = ""
    ) -> Migration:
        """Tell a migration what to do, and why.

        Raises MigrationCommandRefusedError when its phase does not allow that, and
        MigrationChangedError when it moved on meanwhile: look at it again.
        """
        name = collection_name(collection)
        told = member_of(MigrationCommand, command, field="command")
        return self._calls.change(
            lambda: self._gateway.command_migration(name, told, reason=reason)
        )

    def set_golden_questions(self, collection: str, content: str) -> GoldenQuestions:
        """Keep golden questions, as JSON lines, instead of any others.

        Raises InvalidGoldenQuestionsError, which names lines and rules.
        """
        name = collection_name(collection)
        return self._calls.change(lambda: self._gateway.set_golden_questions(name, content))

    def get_golden_questions(self, collection: str) -> GoldenQuestions:
        """The golden questions of a collection. Raises GoldenQuestionsMissingError."""
        name = collection_name(collection)
        return self._calls.read(lambda: self._gateway.get_golden_questions(name))

    def list_evaluations(self, collection: str) -> Generator[EvaluationRecord, None, None]:
        """What asking them found, the newest first."""
        name = collection_name(collection)
        return self._calls.each(lambda page: self._gateway.list_evaluations(name, page))
