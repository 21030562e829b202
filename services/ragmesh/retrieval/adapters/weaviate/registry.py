"""Which index versions there are: one object each, and the collections and tenants behind it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from uuid import UUID

from ragmesh.core.errors import InvalidError, StoreDamagedError
from ragmesh.core.index import IndexSpec
from ragmesh.retrieval.adapters.spec_text import decode_spec, encode_spec
from ragmesh.retrieval.adapters.weaviate.link import WeaviateLink, quoted
from ragmesh.retrieval.adapters.weaviate.objects import StoredObject
from ragmesh.retrieval.adapters.weaviate.schema import (
    INDEX_VERSIONS,
    REVISIONS,
    chunks_collection,
    chunks_definition,
    index_versions_definition,
    revisions_definition,
)
from ragmesh.retrieval.adapters.weaviate.shard import NIL_ID, Shard

_PAGE = 500


@dataclass(frozen=True, slots=True)
class Registry:
    """Makes, finds and removes index versions; any number of replicas do so at once."""

    link: WeaviateLink

    async def uids(self) -> tuple[str, ...]:
        """The uid of every index version, in order."""
        if not await self._has_collection(INDEX_VERSIONS):
            return ()
        uids: list[str] = []
        cursor = NIL_ID
        while True:
            page = await self._entries.in_order(cursor, (), _PAGE)
            uids += [entry.id for entry in page]
            if len(page) < _PAGE:
                return tuple(sorted(uids))
            cursor = page[-1].id

    async def find(self, index_version_uid: str) -> IndexSpec | None:
        """The spec that an index version was made with; None when there is none."""
        if not _is_uuid(index_version_uid):
            return None
        entry = await self._entries.by_key(index_version_uid)
        return None if entry is None else _read_spec(entry)

    async def is_whole(self, spec: IndexSpec) -> bool:
        """Whether both tenants of an index version are there."""
        return await self._has_tenant(chunks_collection(spec), spec) and await self._has_tenant(
            REVISIONS, spec
        )

    async def make(self, spec: IndexSpec) -> None:
        """Make what is not there yet; the entry comes last."""
        if not _is_uuid(spec.index_version_uid):
            raise InvalidError.of("index_version_uid", "must be a UUID")
        for name, definition in (
            (INDEX_VERSIONS, index_versions_definition()),
            (REVISIONS, revisions_definition()),
            (chunks_collection(spec), chunks_definition(spec)),
        ):
            await self._make_collection(name, definition)
        tenants = [{"name": spec.index_version_uid}]
        for name in (chunks_collection(spec), REVISIONS):
            await self.link.require("POST", f"schema/{name}/tenants", tenants)
        await self._entries.put([StoredObject(spec.index_version_uid, {"spec": encode_spec(spec)})])

    async def remove(self, spec: IndexSpec) -> None:
        """Remove all that an index version holds, then its entry."""
        uid = spec.index_version_uid
        for name in (chunks_collection(spec), REVISIONS):
            if await self._has_tenant(name, spec):
                await self.link.require("DELETE", f"schema/{name}/tenants", [uid])
        await self.forget(uid)

    async def forget(self, index_version_uid: str) -> None:
        """Remove the entry alone."""
        await self._entries.remove_keys([index_version_uid])

    @property
    def _entries(self) -> Shard:
        return Shard(self.link, INDEX_VERSIONS)

    async def _make_collection(self, name: str, definition: Mapping[str, Any]) -> None:
        if await self._has_collection(name):
            return
        status, told = await self.link.rest("POST", "schema", definition)
        # Another replica may have been faster.
        if status != HTTPStatus.OK and not await self._has_collection(name):
            raise self.link.refusal(f"{name} cannot be made: {status} {told}")

    async def _has_collection(self, name: str) -> bool:
        return await self._is_there(f"schema/{name}")

    async def _has_tenant(self, collection: str, spec: IndexSpec) -> bool:
        uid = quoted(spec.index_version_uid)
        return await self._has_collection(collection) and await self._is_there(
            f"schema/{collection}/tenants/{uid}"
        )

    async def _is_there(self, path: str) -> bool:
        return await self.link.find(path) is not None


def _read_spec(entry: StoredObject) -> IndexSpec:
    try:
        return decode_spec(entry.properties["spec"])
    except (ValueError, KeyError, TypeError) as error:
        raise StoreDamagedError(
            "the entry of an index version in Weaviate cannot be read",
            metadata={"index_version": entry.id},
        ) from error


def _is_uuid(uid: str) -> bool:
    try:
        return str(UUID(uid)) == uid
    except ValueError:
        return False
