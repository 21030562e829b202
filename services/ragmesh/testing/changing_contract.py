"""What every catalog promises of changing an index, beside the gateway or far away."""

from __future__ import annotations

import pytest

from ragmesh.core.callers import Machine
from ragmesh.core.documents import Chunking
from ragmesh.core.errors import (
    DeniedError,
    GoldenQuestionsMissingError,
    InvalidGoldenQuestionsError,
    MigrationCommandRefusedError,
)
from ragmesh.core.migrations import (
    Approval,
    CanaryStep,
    IndexChange,
    MigrationCommand,
    MigrationPhase,
    MigrationPolicy,
)
from ragmesh.core.pages import PageRequest
from ragmesh.testing.catalog_contract import ADA, DOCS, MIA, CatalogBench
from ragmesh.testing.migrations import golden_lines

WISH = IndexChange(
    chunking=Chunking(max_tokens=100),
    policy=MigrationPolicy(canary=(CanaryStep(5, 60.0),), approval=Approval.MANUAL),
)


class ChangingContract:
    """Satisfied by IndexingService, its client and its fake."""

    async def test_an_index_that_nobody_wants_otherwise_rests(self, bench: CatalogBench) -> None:
        await bench.catalog.create_collection(ADA, DOCS)
        found = await bench.catalog.get_migration(ADA, DOCS.name)
        assert (found.phase, found.candidate, found.flips) == (MigrationPhase.IDLE, "", 0)
        assert [one.weight for one in found.shares] == [100]

    async def test_what_is_wanted_of_an_index_is_kept(self, bench: CatalogBench) -> None:
        await bench.catalog.create_collection(ADA, DOCS)
        await bench.catalog.want_index(ADA, DOCS.name, WISH)
        found = await bench.catalog.get_migration(ADA, DOCS.name)
        page = await bench.catalog.list_migrations(ADA, PageRequest())
        assert found.chunking.max_tokens == 100
        assert [one.collection for one in page.items] == [DOCS.name]

    async def test_an_estimate_says_whether_anything_would_be_built(
        self, bench: CatalogBench
    ) -> None:
        await bench.catalog.create_collection(ADA, DOCS)
        new = await bench.catalog.estimate_index(ADA, DOCS.name, WISH)
        same = await bench.catalog.estimate_index(ADA, DOCS.name, IndexChange())
        assert (new.index_version[:3], new.reason) == ("v2-", "")
        assert (same.index_version, same.reason) == ("", "NOTHING_TO_BUILD")

    async def test_a_command_that_is_out_of_place_is_refused(self, bench: CatalogBench) -> None:
        await bench.catalog.create_collection(ADA, DOCS)
        with pytest.raises(MigrationCommandRefusedError, match="while the migration is idle"):
            await bench.catalog.command_migration(
                ADA, DOCS.name, MigrationCommand.PROMOTE, reason="now"
            )

    async def test_only_admins_change_an_index(self, bench: CatalogBench) -> None:
        await bench.catalog.create_collection(ADA, DOCS)
        with pytest.raises(DeniedError):
            await bench.catalog.get_migration(MIA, DOCS.name)

    async def test_golden_questions_are_kept_as_they_were_given(self, bench: CatalogBench) -> None:
        await bench.catalog.create_collection(ADA, DOCS)
        with pytest.raises(GoldenQuestionsMissingError):
            await bench.catalog.get_golden_questions(ADA, DOCS.name)
        with pytest.raises(InvalidGoldenQuestionsError):
            await bench.catalog.set_golden_questions(ADA, DOCS.name, "{}")
        content = golden_lines([("Where is it?", "a"), ("And when?", "b")])
        await bench.catalog.set_golden_questions(ADA, DOCS.name, content)
        kept = await bench.catalog.get_golden_questions(ADA, DOCS.name)
        page = await bench.catalog.list_evaluations(ADA, DOCS.name, PageRequest())
        assert (kept.content, kept.questions) == (content, 2)
        assert page.items == ()

    async def test_who_follows_routes_hears_of_every_collection(self, bench: CatalogBench) -> None:
        made = await bench.catalog.create_collection(ADA, DOCS)
        async for batch in bench.catalog.watch_routes(Machine("gateway")):
            found = {route.collection_uid: route for route in batch.routes}
            break
        route = found[made.uid]
        assert (route.collection, route.epoch) == (DOCS.name, 1)
        assert [one.weight for one in route.shares] == [100]
