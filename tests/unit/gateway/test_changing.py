"""A request that changes settings and index at once changes both, or nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragmesh.core.callers import Machine, Requester
from ragmesh.core.documents import CollectionChange
from ragmesh.core.errors import (
    CollectionKeptError,
    ControlCharactersError,
    EncoderNotFoundError,
    RagmeshError,
)
from ragmesh.core.migrations import IndexChange, MigrationPhase
from ragmesh.gateway.changing import change_collection
from tests.unit.indexing.migrating import NEW, OLD, changing
from tests.unit.indexing.world import ADMIN


@pytest.mark.parametrize(
    ("description", "encoder", "refusal"),
    [("a\x07b", NEW, ControlCharactersError), ("better", "none", EncoderNotFoundError)],
)
async def test_what_is_refused_in_part_is_refused_as_a_whole(
    tmp_path: Path, description: str, encoder: str, refusal: type[RagmeshError]
) -> None:
    async with changing(tmp_path, topics=(), golden=False) as made:
        service = made.indexing.service
        change, index = CollectionChange(description), IndexChange(encoder=encoder)
        with pytest.raises(refusal):
            await change_collection(service, ADMIN, "docs", change, index)
        found = await service.get_collection(ADMIN, "docs")
        migration = await made.migration()
    assert found.description == ""
    assert (migration.phase, migration.encoder) == (MigrationPhase.IDLE, OLD)


async def test_of_what_a_resource_keeps_not_even_the_description_is_changed_with_the_index(
    tmp_path: Path,
) -> None:
    async with changing(tmp_path, topics=(), golden=False) as made:
        service = made.indexing.service
        keeper = Machine("operator", ADMIN.tenant_uid, Requester("keeper", 1))
        await service.want_index(keeper, "docs", IndexChange(encoder=OLD))
        change, index = CollectionChange("better"), IndexChange(encoder=NEW)
        with pytest.raises(CollectionKeptError, match="the custom resource keeper keeps"):
            await change_collection(service, ADMIN, "docs", change, index)
        assert (await service.get_collection(ADMIN, "docs")).description == ""


async def test_both_are_changed_by_one_request(tmp_path: Path) -> None:
    async with changing(tmp_path, topics=(), golden=False) as made:
        change, index = CollectionChange("better"), IndexChange(encoder=NEW)
        service = made.indexing.service
        found, migration = await change_collection(service, ADMIN, "docs", change, index)
    assert found.description == "better"
    assert migration is not None
    assert migration.encoder == NEW
