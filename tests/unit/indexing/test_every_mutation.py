"""Every method that changes something is done once, however often it is asked for."""  # RL-9

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from ragmesh.core.api_keys import mint_key
from ragmesh.core.callers import ADMIN as ADMIN_ROLE
from ragmesh.core.callers import DEFAULT_TENANT_UID, MESH, Principal
from ragmesh.core.documents import (
    CollectionChange,
    DocumentChange,
    NewCollection,
    Upload,
    accepted_of,
)
from ragmesh.core.errors import IdempotencyKeyReusedError, RagmeshError, SecretSpentError
from ragmesh.core.ids import new_uid
from ragmesh.core.tenants import KeyChange, NewKey, NewTenant, TenantChange
from ragmesh.gateway.authorization import METHODS, READERS
from ragmesh.testing.idempotency_contract import keyed
from ragmesh.testing.indexing_world import ADMIN, EVERYBODY, World
from tests.unit.indexing.world import world

KEEPER = Principal(DEFAULT_TENANT_UID, "keeper", roles=frozenset({MESH, ADMIN_ROLE}))
NEW_KEY = NewKey("default", "anna", roles=("read",))


async def made_key(made: World) -> str:
    """A key that is there before; without an idempotency key of its own."""
    return (await made.service.create_key(KEEPER, NEW_KEY, mint_key().digest)).key_id


async def made_tenant(made: World) -> str:
    name = f"t-{new_uid()}"
    await made.service.create_tenant(KEEPER, NewTenant(name))
    return name


async def revised(made: World) -> None:
    await made.service.create_documents(ADMIN, "docs", [Upload(b"y", document_id="a")])


async def a_job(made: World) -> str:
    (accepted,) = await made.service.create_documents(ADMIN, "docs", [Upload(b"z")])
    return accepted_of(accepted).job_id


async def nothing(_made: World) -> None:
    """Nothing has to be there before."""


def create(made: World) -> Awaitable[Any]:
    return made.service.create_documents(ADMIN, "docs", [Upload(b"x")])


MUTATIONS: dict[
    str, tuple[Callable[[World, Any], Awaitable[Any]], Callable[[World], Awaitable[Any]]]
] = {
    "CreateCollection": (
        lambda made, _: made.service.create_collection(ADMIN, NewCollection("more")),
        nothing,
    ),
    "UpdateCollection": (
        lambda made, _: made.service.update_collection(
            ADMIN, "docs", CollectionChange(description="d")
        ),
        nothing,
    ),
    "CreateDocument": (lambda made, _: create(made), nothing),
    "BatchCreateDocuments": (lambda made, _: create(made), nothing),
    "UploadDocument": (lambda made, _: create(made), nothing),
    "UpdateDocument": (
        lambda made, _: made.service.update_document(ADMIN, "docs", "a", DocumentChange(title="t")),
        nothing,
    ),
    "DeleteDocument": (lambda made, _: made.service.delete_document(ADMIN, "docs", "a"), nothing),
    "RestoreRevision": (
        lambda made, _: made.service.restore_revision(ADMIN, "docs", "a", 1),
        revised,
    ),
    "CancelJob": (lambda made, job_id: made.service.cancel_job(ADMIN, job_id), a_job),
    "CreateKey": (
        lambda made, _: made.service.create_key(KEEPER, NEW_KEY, mint_key().digest),
        nothing,
    ),
    "UpdateKey": (
        lambda made, key_id: made.service.update_key(KEEPER, key_id, KeyChange(groups=("staff",))),
        made_key,
    ),
    "RevokeKey": (
        lambda made, key_id: made.service.revoke_key(KEEPER, key_id, reason="lost"),
        made_key,
    ),
    "RotateKey": (
        lambda made, key_id: made.service.rotate_key(
            KEEPER, key_id, mint_key().digest, overlap_seconds=60
        ),
        made_key,
    ),
    "CreateTenant": (
        lambda made, _: made.service.create_tenant(KEEPER, NewTenant("acme")),
        nothing,
    ),
    "UpdateTenant": (
        lambda made, name: made.service.update_tenant(KEEPER, name, TenantChange(display_name="A")),
        made_tenant,
    ),
    "DeleteTenant": (lambda made, name: made.service.delete_tenant(KEEPER, name), made_tenant),
    "ReplayDeadLetters": (
        lambda made, _: made.service.replay_dead_letters(ADMIN, [new_uid()]),
        nothing,
    ),
    "RepairCollection": (lambda made, _: made.service.repair_collection(ADMIN, "docs"), nothing),
    "DeleteCollection": (lambda made, _: made.service.delete_collection(ADMIN, "docs"), nothing),
}
"""What each method is asked to do, and what has to be there before."""
SAID_ONCE = {"CreateKey", "RotateKey"}
"""What they make is told only once, and who asks again is told so."""
OTHERWISE_SAFE = {"CommandMigration", "SetGoldenQuestions", "ReleaseCollection", "ReleaseTenant"}
"""What nobody keeps is released already; a command is refused in every phase but its own, questions
are set as a whole: asked again, they change nothing, as the tests of migrations show."""


def mutating() -> set[str]:
    """Methods of the doors that change something."""
    return {
        method
        for methods in METHODS.values()
        for method, roles in methods.items()
        if roles != READERS and not method.startswith(("Get", "List"))
    }


def test_every_method_that_changes_something_is_in_the_table() -> None:
    assert set(MUTATIONS) | OTHERWISE_SAFE >= mutating()
    assert set(MUTATIONS) <= mutating()


async def ask_twice(made: World, method: str) -> None:
    ask, before = MUTATIONS[method]
    needed = await before(made)
    with keyed(method):
        first = await ask(made, needed)
    with keyed(method):
        if method in SAID_ONCE:
            with pytest.raises(SecretSpentError):
                await ask(made, needed)
        else:
            assert await ask(made, needed) == first, method


async def test_a_mutation_that_is_asked_for_again_is_done_once(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        await made.upload("a")
        for method in MUTATIONS:
            await ask_twice(made, method)
        keys = (await made.service.list_keys(KEEPER, "", EVERYBODY)).items
        assert len(keys) == len(
            ("CreateKey", "UpdateKey", "RevokeKey", "RotateKey", "its successor")
        )


async def test_the_key_of_another_request_is_refused(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        refused: list[RagmeshError] = []
        for content in (b"x", b"y"):
            with keyed("k"):
                try:
                    await made.service.create_documents(ADMIN, "docs", [Upload(content)])
                except IdempotencyKeyReusedError as error:
                    refused.append(error)
        assert len(refused) == 1
