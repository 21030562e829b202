"""Collections: encoders, names, routes and the index that goes with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragmesh.core.callers import Principal
from ragmesh.core.documents import Chunking, CollectionChange, DefaultAccess, NewCollection
from ragmesh.core.errors import (
    CollectionExistsError,
    CollectionNotFoundError,
    EncoderNotFoundError,
    InvalidError,
    InvalidNameError,
    UnavailableError,
)
from ragmesh.core.pages import PageRequest
from ragmesh.indexing.records import IndexState
from ragmesh.indexing.routing import pick
from ragmesh.indexing.rows import ServingVersion
from ragmesh.testing.embedding import fake_fingerprint
from tests.unit.indexing.world import ADMIN, world

STRANGER = Principal("other-tenant", "eve", frozenset(), frozenset({"admin"}))


async def test_a_new_collection_has_an_index_and_a_route(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        route = await made.service.resolve_route(ADMIN, "docs")
        collection = await made.service.get_collection(ADMIN, "docs")
        spec = made.registry.specs[route.index_version_uid]
        assert (spec.collection_uid, spec.tenant_uid) == (collection.uid, ADMIN.tenant_uid)
        assert spec.fingerprint == fake_fingerprint()
        assert route.index_version == collection.index_version
        assert collection.index_version.startswith("v1-")
        (version,) = await made.indexing.ledger.index_versions_of(collection.uid)
        assert (version.state, version.spec) == (IndexState.SERVING, spec)


async def test_a_collection_that_could_not_be_made_leaves_its_name_free(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        made.registry.error = UnavailableError("retrieval is away")
        with pytest.raises(UnavailableError):
            await made.service.create_collection(ADMIN, NewCollection("new"))
        made.registry.error = None
        with pytest.raises(CollectionNotFoundError):
            await made.service.resolve_route(ADMIN, "new")
        await made.service.create_collection(ADMIN, NewCollection("new"))
        assert (await made.service.resolve_route(ADMIN, "new")).collection == "new"


async def test_a_language_that_the_encoder_was_not_made_for_is_told_to_whoever_chose_it(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as made:
        (warning,) = (
            await made.service.create_collection(ADMIN, NewCollection("de", language="de"))
        ).warnings
        assert "fake was made for en, not for de" in warning
        for name, language in (("silent", ""), ("english", "en")):
            new = NewCollection(name, language=language)
            assert (await made.service.create_collection(ADMIN, new)).warnings == ()
        assert (await made.service.get_collection(ADMIN, "de")).warnings == ()


async def test_another_tenant_sees_nothing_and_may_use_the_same_name(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        accepted = await made.upload("a")
        for call in (
            made.service.get_collection(STRANGER, "docs"),
            made.service.resolve_route(STRANGER, "docs"),
            made.service.delete_collection(STRANGER, "docs"),
            made.service.get_document(STRANGER, "docs", "a"),
        ):
            with pytest.raises(CollectionNotFoundError):
                await call
        assert (await made.service.list_collections(STRANGER, PageRequest())).items == ()
        mine = await made.service.create_collection(STRANGER, NewCollection("docs"))
        theirs = await made.service.get_collection(ADMIN, "docs")
        assert (mine.documents, theirs.documents) == (0, 1)
        assert mine.uid != theirs.uid
        jobs = await made.service.list_jobs(STRANGER, state=None, page=PageRequest())
        assert jobs.items == ()
        with pytest.raises(Exception, match="no job"):
            await made.service.get_job(STRANGER, accepted.job_id)


@pytest.mark.parametrize(
    ("new", "error"),
    [
        (NewCollection("docs"), CollectionExistsError),
        (NewCollection("Docs"), InvalidNameError),
        (NewCollection("x" * 64), InvalidNameError),
        (NewCollection("x", encoder="nope"), EncoderNotFoundError),
        (NewCollection("x", language="Deutsch!"), InvalidError),
        (NewCollection("x", description="a" * 2_001), InvalidError),
        (NewCollection("x", chunking=Chunking(10**6)), InvalidError),
        (NewCollection("x", chunking=Chunking(3)), InvalidError),
        (NewCollection("x", chunking=Chunking(64, 60)), InvalidError),
        (NewCollection("x", chunking=Chunking(64, -1)), InvalidError),
    ],
)
async def test_a_collection_that_cannot_be_is_refused(
    tmp_path: Path, new: NewCollection, error: type[Exception]
) -> None:
    async with world(tmp_path) as made:
        with pytest.raises(error):
            await made.service.create_collection(ADMIN, new)
        assert len((await made.service.list_collections(ADMIN, PageRequest())).items) == 1


async def test_a_changed_collection_is_seen_at_once(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        await made.service.resolve_route(ADMIN, "docs")
        change = CollectionChange(description="ours", default_access=DefaultAccess.RESTRICTED)
        changed = await made.service.update_collection(ADMIN, "docs", change)
        assert (changed.description, changed.default_access) == (
            "ours",
            DefaultAccess.RESTRICTED,
        )
        same = await made.service.update_collection(ADMIN, "docs", CollectionChange())
        assert same.description == "ours"


async def test_a_deleted_collection_is_not_routed_to(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        await made.service.resolve_route(ADMIN, "docs")
        await made.service.delete_collection(ADMIN, "docs")
        for _ in range(2):
            with pytest.raises(CollectionNotFoundError):
                await made.service.resolve_route(ADMIN, "docs")


def test_equal_affinities_meet_equal_versions_and_weights_are_kept() -> None:
    versions = (ServingVersion("new", "v2", 75), ServingVersion("old", "v1", 25))
    picked = [pick(versions, f"user {n}").uid for n in range(2_000)]
    assert picked == [pick(versions, f"user {n}").uid for n in range(2_000)]
    assert 0.70 < picked.count("new") / len(picked) < 0.80
    assert pick((ServingVersion("only", "v1", 0),), "x").uid == "only"
    assert {pick(versions, "").uid for _ in range(200)} == {"new", "old"}
