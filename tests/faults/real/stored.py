"""What lies in the catalog and in Weaviate, read past the mesh, so that nothing is filtered out."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import asyncpg
import httpx

from ragmesh.retrieval.adapters.weaviate.revisions import record_id
from ragmesh.retrieval.adapters.weaviate.schema import REVISIONS
from tests.faults.real.mesh import RealMesh
from tests.faults.script import text_of
from tests.faults.stores import Key, Remains, Row
from tools.servers.table import PASSWORD

_PAGE = 500
_CHUNKS = "RagmeshChunks_"
UNHEARD_OF = -1
"""The edition of a text that none of the users wrote."""


@dataclass(frozen=True, slots=True)
class Place:
    """A collection of one tenant, as the stores call it."""

    tenant_uid: str
    collection_uid: str
    index_version_uid: str


@dataclass(frozen=True, slots=True)
class Stored:
    """Connections to both servers that go past the wires."""

    catalog: asyncpg.Connection
    weaviate: httpx.AsyncClient

    async def place(self, tenant: str, collection: str) -> Place:
        """Where a collection lies."""
        found = await self.catalog.fetchrow(
            "SELECT t.uid, c.uid, v.uid FROM collections c JOIN tenants t ON t.uid = c.tenant_uid"
            " JOIN index_versions v ON v.collection_uid = c.uid"
            " WHERE t.name = $1 AND c.name = $2 AND c.deleted_at IS NULL",
            tenant,
            collection,
        )
        return Place(*found)

    async def editions(
        self, place: Place, known: Mapping[str, set[int]]
    ) -> dict[str, tuple[int | None, ...]]:
        """What each revision of each document holds, of what users have written."""
        digests = {
            (name, sha256(text_of(name, edition).encode()).hexdigest()): edition
            for name, editions in known.items()
            for edition in editions
        }
        rows = await self.catalog.fetch(
            "SELECT d.document_id, r.revision, r.deleted, r.content_sha256 FROM revisions r"
            " JOIN documents d ON d.uid = r.document_uid WHERE d.collection_uid = $1"
            " ORDER BY d.document_id, r.revision",
            place.collection_uid,
        )
        found: dict[str, tuple[int | None, ...]] = {}
        for name, revision, deleted, digest in rows:
            before = found.get(name, ())
            assert revision == len(before) + 1, f"{name} lacks a revision before {revision}"
            edition = None if deleted else digests.get((name, digest), UNHEARD_OF)
            found[name] = (*before, edition)
        return found

    async def unended(self, place: Place) -> list[str]:
        """Work that was lost, or given up although nothing was wrong with it."""
        jobs = await self.catalog.fetch(
            "SELECT d.document_id, j.revision, j.state, j.error_reason FROM jobs j"
            " JOIN documents d ON d.uid = j.document_uid WHERE d.collection_uid = $1"
            " AND j.state NOT IN ('SUCCEEDED', 'CANCELLED')",
            place.collection_uid,
        )
        waiting = await self.catalog.fetch(
            "SELECT document_id, state FROM documents WHERE collection_uid = $1"
            " AND (pending OR NOT deleted AND state <> 'INDEXED')",
            place.collection_uid,
        )
        told = [f"a job is {state} ({reason}): {name}, {n}" for name, n, state, reason in jobs]
        return told + [f"{name} is still {state}" for name, state in waiting]

    async def remains(self, place: Place) -> Remains:
        """Every chunk of the heads; what else there is are strays."""
        heads = {
            uid: (revision, access, count)
            for uid, revision, access, count in await self.catalog.fetch(
                "SELECT document_uid, revision, access, chunk_count FROM heads"
                " WHERE index_version_uid = $1 AND NOT deleted",
                place.index_version_uid,
            )
        }
        rows: dict[Key, Row] = {}
        strays: list[str] = []
        shown = dict.fromkeys(heads, 0)
        async for of, vector in self._chunks(place.index_version_uid):
            uid, revision = of["document_uid"], int(of["revision"])
            if uid not in heads or heads[uid][0] != revision:
                strays.append(f"a chunk of {of['document_id']} in revision {revision}")
                continue
            key = (of["document_id"], revision, int(of["ordinal"]))
            if key in rows:
                strays.append(f"{key} is there twice")
            shown[uid] += 1
            rows[key] = _row(of, heads[uid][1], vector)
        strays += [
            f"document {uid} has {shown[uid]} chunks, its head tells of {count}"
            for uid, (_, _, count) in heads.items()
            if shown[uid] != count
        ]
        return Remains(rows, strays)

    async def record(self, place: Place, document_uid: str, revision: int) -> Mapping[str, Any]:
        """What Weaviate holds of a revision's record; nothing if its write has not begun."""
        id = record_id(document_uid, revision)
        reply = await self.weaviate.get(
            f"/v1/objects/{REVISIONS}/{id}", params={"tenant": place.index_version_uid}
        )
        found: dict[str, Any] = reply.json()["properties"] if reply.status_code == 200 else {}
        return found

    async def published(self, place: Place) -> int:
        """How many publications there were."""
        found = await self.catalog.fetchval(
            "SELECT max(sequence) FROM heads WHERE index_version_uid = $1", place.index_version_uid
        )
        return int(found or 0)

    async def letters(self, place: Place) -> int:
        """How many events of the collection are kept that could not be handled."""
        found = await self.catalog.fetchval(
            "SELECT count(*) FROM dead_letters WHERE collection_uid = $1", place.collection_uid
        )
        return int(found)

    async def chunks_collection(self, tenant: str) -> str:
        """The collection of Weaviate whose tenant an index version is."""
        schema = (await self.weaviate.get("/v1/schema")).json()
        for name in (one["class"] for one in schema["classes"]):
            if name.startswith(_CHUNKS):
                tenants = (await self.weaviate.get(f"/v1/schema/{name}/tenants")).json()
                if tenant in {one["name"] for one in tenants}:
                    return str(name)
        raise AssertionError(f"no collection has the tenant {tenant}")

    async def _chunks(self, tenant: str) -> AsyncIterator[tuple[Mapping[str, Any], list[float]]]:
        asked: dict[str, str | int] = {
            "class": await self.chunks_collection(tenant),
            "tenant": tenant,
            "limit": _PAGE,
            "include": "vector",
        }
        after = ""
        while True:
            page = (await self.weaviate.get("/v1/objects", params={**asked, "after": after})).json()
            for one in page["objects"]:
                yield one["properties"], one["vector"]
            if len(page["objects"]) < _PAGE:
                return
            after = page["objects"][-1]["id"]


def _row(of: Mapping[str, Any], access: str | None, vector: list[float]) -> Row:
    return Row(
        (int(of["span_start"]), int(of["span_end"])),
        of["text"],
        of["title"],
        json.dumps(json.loads(of["metadata"])),
        0,
        access,
        tuple(vector),
    )


@asynccontextmanager
async def stored_by(mesh: RealMesh) -> AsyncIterator[Stored]:
    """What the servers hold, which have to be up."""
    url = mesh.servers["postgres"].url.replace("+asyncpg", "")
    connection = await asyncpg.connect(url, password=PASSWORD)
    base = f"http://{mesh.servers['weaviate'].host}:8080"
    try:
        async with httpx.AsyncClient(base_url=base, timeout=60) as weaviate:
            yield Stored(connection, weaviate)
    finally:
        await connection.close()
