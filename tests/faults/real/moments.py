"""Faults that strike at a moment of the work itself, which is seen in the stores."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from types import MappingProxyType

import httpx

from tests.faults.doors import AwayError, RefusedError
from tests.faults.real.scene import Scene
from tests.faults.real.stored import Place, Stored, stored_by
from tests.faults.real.users import PATIENCE_SECONDS, Users
from tests.faults.script import Operation, text_of

_LOOK_SECONDS = 0.002
_LONGEST_SECONDS = 60.0

Reached = Callable[[Stored, Place, str, int], Awaitable[bool]]
"""Whether the work on a revision of a document has come so far."""


async def _is_begun(stored: Stored, _place: Place, uid: str, revision: int) -> bool:
    found = await stored.catalog.fetchval(
        "SELECT state FROM jobs WHERE document_uid = $1 AND revision = $2", uid, revision
    )
    return found not in (None, "RECEIVED")


async def _is_read(stored: Stored, _place: Place, uid: str, revision: int) -> bool:
    found = await stored.catalog.fetchval(
        "SELECT text_blob FROM revisions WHERE document_uid = $1 AND revision = $2", uid, revision
    )
    return found is not None


async def _is_being_written(stored: Stored, place: Place, uid: str, revision: int) -> bool:
    return bool(await stored.record(place, uid, revision))


async def _is_written(stored: Stored, place: Place, uid: str, revision: int) -> bool:
    return bool((await stored.record(place, uid, revision)).get("digest"))


async def _is_published(stored: Stored, place: Place, uid: str, revision: int) -> bool:
    found = await stored.catalog.fetchval(
        "SELECT revision FROM heads WHERE index_version_uid = $1 AND document_uid = $2",
        place.index_version_uid,
        uid,
    )
    return found is not None and found >= revision


STAGES: Mapping[str, Reached] = MappingProxyType(
    {
        "begun": _is_begun,
        "read": _is_read,
        "being written": _is_being_written,
        "written": _is_written,
        "published": _is_published,
    }
)
"""How far a revision can be, in order."""


async def kill_indexers(stage: str, scene: Scene) -> None:
    """Kill all indexers at once when one of them has come so far with a document."""
    users = scene.chance.choice(scene.users)
    async with stored_by(scene.mesh) as stored:
        await await_stage(users, stored, stage)
    names = scene.mesh.names_of("indexer")
    for name in names:
        scene.mesh.send(name, signal.SIGKILL)
    for name in names:
        await scene.mesh.end(name)
    await scene.mesh.begin(*names)


async def await_stage(users: Users, stored: Stored, stage: str) -> None:
    """Return when the newest revision of some document has come so far."""
    place = await stored.place(users.tenant, users.doors[0].collection)
    before = {uid: revision async for uid, revision in _newest(stored, place)}
    async with asyncio.timeout(_LONGEST_SECONDS):
        while True:
            async for uid, revision in _newest(stored, place):
                is_new = revision > before.get(uid, 0)
                if is_new and await STAGES[stage](stored, place, uid, revision):
                    return
            await asyncio.sleep(_LOOK_SECONDS)


async def _newest(stored: Stored, place: Place) -> AsyncIterator[tuple[str, int]]:
    for uid, revision in await stored.catalog.fetch(
        "SELECT uid, revision FROM documents WHERE collection_uid = $1 AND NOT deleted",
        place.collection_uid,
    ):
        yield uid, revision


async def kill_gateway_in_mid_upload(scene: Scene) -> None:
    """Kill a gateway that has half of a document."""
    users = scene.chance.choice(scene.users)
    number = scene.chance.randrange(len(users.doors))
    replica = scene.mesh.gateways[number]
    script = users.script
    script.number += len(scene.users)
    operation = Operation("put", "barn", script.number)
    halfway, gone = asyncio.Event(), asyncio.Event()

    async def halves() -> AsyncIterator[bytes]:
        text = text_of(operation.name, operation.edition).encode()
        body = _form(operation, text)
        yield body[: len(body) - len(text) // 2]
        halfway.set()
        await gone.wait()
        yield body[len(body) - len(text) // 2 :]

    async def send() -> int:
        try:
            reply = await users.doors[number].rest.post(
                f"/collections/{users.doors[number].collection}/documents",
                content=halves(),
                headers={"content-type": f"multipart/form-data; boundary={_BOUNDARY}"},
                timeout=PATIENCE_SECONDS,
            )
        except httpx.TransportError as error:
            raise AwayError(type(error).__name__) from error
        if reply.status_code == 202:
            return int(reply.json()["documents"][0]["revision"])
        raise RefusedError(reply.json()["reason"], reply.text)

    async with asyncio.TaskGroup() as group:
        group.create_task(users.ask(operation, send()))
        await halfway.wait()
        await scene.mesh.end(replica.name)
        gone.set()
        await scene.meanwhile()
    await scene.mesh.begin(replica.name)


_BOUNDARY = "half-of-a-document"


def _form(operation: Operation, text: bytes) -> bytes:
    """A form with one file, which ends with its text."""
    parts = {"document_id": operation.name, "metadata": json.dumps({"name": operation.name})}
    fields = "".join(
        f'--{_BOUNDARY}\r\ncontent-disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in parts.items()
    )
    head = (
        f'--{_BOUNDARY}\r\ncontent-disposition: form-data; name="file"; filename="barn.txt"\r\n'
        "content-type: text/plain\r\n\r\n"
    )
    return f"{fields}{head}".encode() + text + f"\r\n--{_BOUNDARY}--\r\n".encode()
