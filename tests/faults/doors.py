"""The same operations over REST and over gRPC, and what a document is as seen through them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random
from typing import Any

import httpx

from ragmesh.clients.gateway import GatewayClient, gateway_client
from ragmesh.core.callers import Access
from ragmesh.core.documents import DocumentChange, Upload
from ragmesh.core.errors import Kind, RagmeshError
from ragmesh.core.metadata import Metadata
from tests.e2e.meshes import Mesh
from tests.faults.script import Expected, Operation, text_of

COLLECTION = "notes"
_TIMEOUT_SECONDS = 60.0
_NOBODY_KNOWS = frozenset({Kind.UNAVAILABLE, Kind.DEADLINE})
_AWAY = frozenset({503, 504})
"""The same in HTTP."""


class AwayError(Exception):
    """The mesh was killed meanwhile: nobody knows what became of the call; why, if it was told."""


class RefusedError(Exception):
    """The call was refused for good: it has not happened."""

    def __init__(self, reason: str, told: object) -> None:
        super().__init__(reason, told)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Doors:
    """Both doors of a mesh that runs."""

    rest: httpx.AsyncClient
    grpc: GatewayClient
    collection: str = COLLECTION

    async def apply(self, operation: Operation, chance: Random) -> int:
        """Ask for it at either door; the revision that was answered."""
        if chance.random() < 0.5:
            return await self._by_rest(operation)
        try:
            return await self._by_grpc(operation)
        except RagmeshError as error:
            if error.kind in _NOBODY_KNOWS:
                raise AwayError(error.reason) from error
            raise RefusedError(error.reason, (operation, error)) from error

    async def call(self, method: str, path: str, **body: Any) -> httpx.Response:
        """A call over REST below the collection's documents."""
        try:
            return await self.rest.request(method, f"/collections/{self.collection}{path}", **body)
        except httpx.TransportError as error:
            raise AwayError(type(error).__name__) from error

    async def look(self, name: str) -> tuple[int, str, list[str] | None] | None:
        """(revision, title, access) of a document, None when it is not found."""
        reply = await self.call("GET", f"/documents/{name}")
        if reply.status_code == 404:
            return None
        assert reply.status_code == 200, reply.text
        found = reply.json()
        return found["revision"], found["title"], found["access"]

    async def newest_revision(self, name: str) -> int:
        """Also of a deleted document; 0 when there never was one."""
        reply = await self.call("GET", f"/documents/{name}/revisions")
        if reply.status_code == 404:
            return 0
        assert reply.status_code == 200, reply.text
        return int(reply.json()["revisions"][0]["revision"])

    async def is_as(self, expected: Expected) -> bool:
        """Whether the document is what the operations made of it."""
        if await self.newest_revision(expected.name) != expected.revision:
            return False
        found = await self.look(expected.name)
        if expected.edition is None:
            return found is None
        access = None if expected.access is None else list(expected.access)
        return found == (expected.revision, expected.title, access)

    async def _by_rest(self, operation: Operation) -> int:
        name = operation.name
        match operation.kind:
            case "put" | "again":
                body = {
                    "document_id": name,
                    "text": text_of(name, operation.edition),
                    "title": operation.title,
                    "metadata": {"name": name},
                    "access": operation.access,
                }
                reply = await self.call("POST", "/documents", json=body)
            case "retitle":
                titled = {"title": operation.title}
                reply = await self.call("PATCH", f"/documents/{name}", json=titled)
            case "open":
                opened = {"access": operation.access}
                reply = await self.call("PATCH", f"/documents/{name}", json=opened)
            case "delete":
                reply = await self.call("DELETE", f"/documents/{name}")
            case _:
                path = f"/documents/{name}/revisions/{operation.revision}:restore"
                reply = await self.call("POST", path)
        if reply.status_code in _AWAY:
            raise AwayError(reply.json()["reason"])
        if reply.status_code not in (200, 202):
            raise RefusedError(reply.json()["reason"], (operation, reply.text))
        answer = reply.json()
        accepted: dict[str, int] = answer["documents"][0] if "documents" in answer else answer
        return accepted["revision"]

    async def _by_grpc(self, operation: Operation) -> int:
        name, door = operation.name, self.grpc
        access = None if operation.access is None else Access(operation.access)
        match operation.kind:
            case "put" | "again":
                upload = Upload(
                    text_of(name, operation.edition).encode(),
                    name,
                    content_type="text/plain",
                    title=operation.title,
                    metadata=Metadata.parse({"name": name}),
                    access=access,
                )
                accepted = await door.create_document(self.collection, upload)
            case "retitle":
                change = DocumentChange(title=operation.title)
                accepted = await door.update_document(self.collection, name, change)
            case "open":
                change = DocumentChange(access=access, reset_access=access is None)
                accepted = await door.update_document(self.collection, name, change)
            case "delete":
                accepted = await door.delete_document(self.collection, name)
            case _:
                accepted = await door.restore_revision(self.collection, name, operation.revision)
        return accepted.revision


@asynccontextmanager
async def doors_of(mesh: Mesh) -> AsyncIterator[Doors]:
    """Both doors, open for the time of the block."""
    async with doors_at(mesh.http, mesh.grpc) as doors:
        yield doors


@asynccontextmanager
async def doors_at(
    http: str,
    grpc: str,
    *,
    collection: str = COLLECTION,
    api_key: str = "",
    seconds: float = _TIMEOUT_SECONDS,
) -> AsyncIterator[Doors]:
    """The doors at two addresses; nobody waits for longer than so many seconds."""
    headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
    async with (
        httpx.AsyncClient(base_url=f"{http}/api/v1", timeout=seconds, headers=headers) as rest,
        gateway_client(grpc, api_key=api_key, deadline_seconds=seconds) as client,
    ):
        yield Doors(rest, client, collection)
