"""What every catalog promises of changing an index, beside the gateway or far away."""

from __future__ import annotations

from typing import Protocol, cast

import pytest

from ragmesh.core.callers import Caller, Machine, Requester
from ragmesh.core.documents import Chunking, CollectionChange, DefaultAccess
from ragmesh.core.errors import (
    CollectionKeptError,
    DeniedError,
    GoldenQuestionsMissingError,
    InvalidGoldenQuestionsError,
    MigrationCommandRefusedError,
    RequesterOutdatedError,
)
from ragmesh.core.migrations import (
    Approval,
    CanaryStep,
    IndexChange,
    MetricBound,
    MigrationCommand,
    MigrationPhase,
    MigrationPolicy,
)
from ragmesh.core.pages import PageRequest
from ragmesh.core.usage import AuditQuery
from ragmesh.testing.catalog_contract import ADA, DOCS, MIA, CatalogBench
from ragmesh.testing.migrations import golden_lines

WISH = IndexChange(
    chunking=Chunking(max_tokens=100),
    policy=MigrationPolicy(
        canary=(CanaryStep(5, 60.0),),
        approval=Approval.MANUAL,
        max_regressions=(MetricBound("recall", 0.0),),
    ),
)


def acting(generation: int, uid: str = "keeper") -> Machine:
    """The operator, carrying out a resource in the tenant of the suite."""
    return Machine("operator", ADA.tenant_uid, Requester(uid, generation))


class Keeping(Protocol):
    """What the operator asks of a catalog, and no gateway does."""

    async def release_collection(
        self, caller: Caller, collection: str, *, reason: str = ""
    ) -> None: ...


def keeping(bench: CatalogBench) -> Keeping:
    """The catalog as the operator calls it."""
    return cast("Keeping", bench.catalog)


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
        assert (found.chunking.max_tokens, found.policy) == (100, WISH.policy)
        assert [one.collection for one in page.items] == [DOCS.name]

    async def test_an_estimate_says_whether_anything_would_be_built(
        self, bench: CatalogBench
    ) -> None:
        await bench.catalog.create_collection(ADA, DOCS)
        new = await bench.catalog.estimate_index(ADA, DOCS.name, WISH)
        same = await bench.catalog.estimate_index(ADA, DOCS.name, IndexChange())
        assert (new.index_version[:3], new.reason) == ("v2-", "")
        assert (same.index_version, same.reason) == ("", "NOTHING_TO_BUILD")

    async def test_what_a_resource_keeps_nobody_else_changes(self, bench: CatalogBench) -> None:
        await bench.catalog.create_collection(ADA, DOCS)
        await bench.catalog.want_index(acting(2), DOCS.name, WISH)
        closed = CollectionChange(default_access=DefaultAccess.RESTRICTED)
        for write in (
            bench.catalog.want_index(ADA, DOCS.name, IndexChange()),
            bench.catalog.update_collection(ADA, DOCS.name, closed),
            bench.catalog.set_golden_questions(ADA, DOCS.name, golden_lines([("Where?", "a")])),
            bench.catalog.delete_collection(ADA, DOCS.name),
            bench.catalog.want_index(acting(9, "another"), DOCS.name, WISH),
            keeping(bench).release_collection(acting(9, "another"), DOCS.name),
        ):
            with pytest.raises(CollectionKeptError, match=r"resource keeper keeps .* change it"):
                await write
        await bench.catalog.update_collection(ADA, DOCS.name, CollectionChange("for people"))
        await bench.catalog.update_collection(acting(2), DOCS.name, closed)

    async def test_an_older_state_of_the_keeper_is_refused(self, bench: CatalogBench) -> None:
        await bench.catalog.create_collection(ADA, DOCS)
        await bench.catalog.want_index(acting(2), DOCS.name, WISH)
        for write in (
            bench.catalog.want_index(acting(1), DOCS.name, IndexChange()),
            bench.catalog.delete_collection(acting(1), DOCS.name),
        ):
            with pytest.raises(RequesterOutdatedError):
                await write
        await bench.catalog.delete_collection(acting(2), DOCS.name)

    async def test_a_released_collection_is_anybodys(self, bench: CatalogBench) -> None:
        await bench.catalog.create_collection(ADA, DOCS)
        await bench.catalog.want_index(acting(1), DOCS.name, WISH)
        for _ in range(2):
            await keeping(bench).release_collection(acting(1), DOCS.name)
        await bench.catalog.want_index(ADA, DOCS.name, IndexChange())

    async def test_an_administrator_releases_what_a_resource_keeps_that_is_gone(
        self, bench: CatalogBench
    ) -> None:
        await bench.catalog.create_collection(ADA, DOCS)
        await bench.catalog.want_index(acting(7), DOCS.name, WISH)
        assert (await bench.catalog.get_migration(ADA, DOCS.name)).kept_by == "keeper"
        for _ in range(2):
            await bench.catalog.release_collection(ADA, DOCS.name, reason="its cluster is gone")
        found = await bench.catalog.get_migration(ADA, DOCS.name)
        assert (found.kept_by, found.chunking.max_tokens) == ("", 100)
        page = await bench.catalog.list_audit_entries(
            ADA, AuditQuery(action="ReleaseCollection"), PageRequest()
        )
        (entry,) = page.items
        assert (entry.actor, entry.reason) == ("ada", "its cluster is gone")
        assert (entry.resource, dict(entry.details)) == ("collections/docs", {"kept_by": "keeper"})
        await bench.catalog.want_index(ADA, DOCS.name, IndexChange(chunking=Chunking(50)))
        await bench.catalog.delete_collection(ADA, DOCS.name)

    async def test_nobody_but_administrators_releases_a_collection(
        self, bench: CatalogBench
    ) -> None:
        await bench.catalog.create_collection(ADA, DOCS)
        await bench.catalog.want_index(acting(1), DOCS.name, WISH)
        with pytest.raises(DeniedError):
            await bench.catalog.release_collection(MIA, DOCS.name, reason="mine")
        assert (await bench.catalog.get_migration(ADA, DOCS.name)).kept_by == "keeper"

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
