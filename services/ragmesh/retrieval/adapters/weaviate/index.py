"""The VectorIndex of a Weaviate server, for any number of replicas of retrieval."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ragmesh.core.clock import Clock
from ragmesh.core.errors import (
    AlreadyExistsError,
    IndexVersionGoneError,
    StoreDamagedError,
    StoreRefusedError,
)
from ragmesh.core.index import (
    AttributesWrite,
    Chunk,
    DocumentDigest,
    DocumentWrite,
    HeadBatch,
    IndexDescription,
    IndexSpec,
)
from ragmesh.core.pages import Page, PageRequest
from ragmesh.retrieval.adapters.digest_pages import page_of, position_of
from ragmesh.retrieval.adapters.weaviate.link import WeaviateLink, weaviate_link
from ragmesh.retrieval.adapters.weaviate.registry import Registry
from ragmesh.retrieval.adapters.weaviate.server import WeaviateServer
from ragmesh.retrieval.adapters.weaviate.version import Version
from ragmesh.retrieval.adapters.weaviate.view import WeaviateView
from ragmesh.retrieval.adapters.weaviate.writing import Writer


@asynccontextmanager
async def weaviate_index(
    server: WeaviateServer, *, clock: Clock, flush_seconds: float
) -> AsyncIterator[WeaviateIndex]:
    """The index versions of a server; it need not be there yet."""
    async with weaviate_link(server) as link:
        yield WeaviateIndex(link, clock, flush_seconds)


class WeaviateIndex:
    """Keeps index versions as tenants; knows of each what was heard of its heads."""

    def __init__(self, link: WeaviateLink, clock: Clock, flush_seconds: float) -> None:
        self._link = link
        self._clock = clock
        self._registry = Registry(link)
        self._writer = Writer(clock, flush_seconds)
        self._versions: dict[str, Version] = {}

    async def probe(self) -> None:
        """Return when the server can be worked with."""
        await self._link.probe()

    async def list_indexes(self) -> tuple[str, ...]:
        """The uid of every index version that is kept, in order; the damaged ones too."""
        return await self._registry.uids()

    async def get_spec(self, index_version_uid: str) -> IndexSpec:
        """The spec it was created with, else IndexVersionGoneError."""
        return (await self._version(index_version_uid)).spec

    async def create(self, spec: IndexSpec) -> bool:
        """Make an empty index version; False when it is there, another of that uid is refused."""
        uid = spec.index_version_uid
        if await self._is_made(spec):
            return False
        self._versions.pop(uid, None)  # heads are heard from the beginning
        await self._registry.make(spec)
        return True

    async def drop(self, index_version_uid: str) -> None:
        """Remove an index version and all it holds; one that is not there is no error."""
        self._versions.pop(index_version_uid, None)
        try:
            spec = await self._registry.find(index_version_uid)
        except StoreDamagedError:
            await self._registry.forget(index_version_uid)
            return
        if spec is not None:
            await self._registry.remove(spec)

    async def write(self, write: DocumentWrite) -> DocumentDigest:
        """Keep the chunks: durable and searchable when this returns."""
        async with self._using(write.index_version_uid) as version:
            return await self._writer.write(version, write)

    async def update_attributes(self, write: AttributesWrite) -> None:
        """Replace the attributes of a revision, unless it has those of a later generation."""
        async with self._using(write.index_version_uid) as version:
            await self._writer.update_attributes(version, write)

    async def delete(
        self, index_version_uid: str, document_uid: str, *, below_revision: int
    ) -> int:
        """Remove the chunks of all revisions below; how many there were."""
        async with self._using(index_version_uid) as version:
            return await self._writer.delete(version, document_uid, below_revision)

    async def list_digests(self, index_version_uid: str, page: PageRequest) -> Page[DocumentDigest]:
        """What is held, by document uid and revision; what was deleted long ago goes with it."""
        async with self._using(index_version_uid) as version:
            after = position_of(page.token)
            held, retired = await version.revisions.listed(after, page.rows + 1)
            await self._writer.sweep(version, retired)
            return page_of([record.told for record in held], page.rows)

    async def read_chunks(
        self, index_version_uid: str, document_uid: str, revision: int
    ) -> tuple[Chunk, ...]:
        """What is held of a revision with its vectors, by ordinal; nothing if it is not held."""
        async with self._using(index_version_uid) as version:
            return await self._writer.read(version, document_uid, revision)

    async def describe(self, index_version_uid: str) -> IndexDescription:
        """The index version as it stands; documents and chunks are the visible ones."""
        async with self._using(index_version_uid) as version:
            await version.look(self._clock.monotonic())
            return IndexDescription(
                index_version_uid=index_version_uid,
                fingerprint=version.spec.fingerprint,
                documents=version.heads.documents,
                chunks=version.heads.chunks,
                heads_sequence=version.heads.sequence,
            )

    async def apply_heads(self, batch: HeadBatch) -> None:
        """Let the next view see by these heads; heads already seen change nothing."""
        (await self._version(batch.index_version_uid)).heads.hear(batch)

    @asynccontextmanager
    async def read(self, index_version_uid: str) -> AsyncIterator[WeaviateView]:
        """A view of this moment, for as long as the block lasts."""
        async with self._using(index_version_uid) as version:
            await version.look(self._clock.monotonic())
            with version.heads.moment() as moment:
                yield WeaviateView(version, moment, version.heads.missing)

    @asynccontextmanager
    async def _using(self, index_version_uid: str) -> AsyncIterator[Version]:
        """The index version; what the store refuses may mean that another replica dropped it."""
        version = await self._version(index_version_uid)
        try:
            yield version
        except StoreRefusedError as error:
            if await self._registry.find(index_version_uid) is None:
                self._versions.pop(index_version_uid, None)
                raise IndexVersionGoneError.of(index_version_uid) from error
            raise

    async def _version(self, index_version_uid: str) -> Version:
        known = self._versions.get(index_version_uid)
        if known is not None:
            return known
        spec = await self._registry.find(index_version_uid)
        if spec is None:
            raise IndexVersionGoneError.of(index_version_uid)
        return self._versions.setdefault(index_version_uid, Version.of(spec, self._link))

    async def _is_made(self, spec: IndexSpec) -> bool:
        """Whether the index version is there and whole; one whose entry is damaged is not."""
        try:
            made = await self._registry.find(spec.index_version_uid)
        except StoreDamagedError:
            return False
        if made is not None and made != spec:
            raise AlreadyExistsError(
                "an index version of that uid exists with another spec",
                metadata={"index_version": spec.index_version_uid},
            )
        return made is not None and await self._registry.is_whole(spec)
