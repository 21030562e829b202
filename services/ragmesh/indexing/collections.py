"""Use cases of collections: make, look up, change, delete, and where their questions go."""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import sha256

from ragmesh.core.callers import Caller, Machine
from ragmesh.core.documents import Collection, CollectionChange, NewCollection, Route
from ragmesh.core.errors import (
    CollectionKeptError,
    CollectionNotFoundError,
    EncoderNotFoundError,
    RagmeshError,
)
from ragmesh.core.ids import new_uid
from ragmesh.core.pages import Page, PageRequest
from ragmesh.core.vectors import EncoderDescription, made_for
from ragmesh.indexing.heads import HeadFeed
from ragmesh.indexing.ownership import refuse_foreign, requester_of
from ragmesh.indexing.paging import key_of, page_of
from ragmesh.indexing.ports import Embedder, IndexRegistry
from ragmesh.indexing.progress import JobBoard
from ragmesh.indexing.routing import CollectionTable, pick
from ragmesh.indexing.rows import CollectionDraft, CollectionRow, DocumentCounts
from ragmesh.indexing.stores import Catalog
from ragmesh.indexing.tallies import Tallies
from ragmesh.indexing.tenancy import tenant_of
from ragmesh.indexing.validation import (
    checked_collection,
    checked_description,
    refuse_chunking,
)

_INDEXING = Machine("indexing")
_FALLBACK_LANGUAGE = "en"


@dataclass(frozen=True, slots=True)
class Collections:
    """What can be done with collections."""

    catalog: Catalog
    embedder: Embedder
    index: IndexRegistry
    feed: HeadFeed
    board: JobBoard
    table: CollectionTable
    tallies: Tallies

    async def create(self, caller: Caller, new: NewCollection) -> Collection:
        """Make the collection with its first index version, ready to be written and asked."""
        tenant_uid = tenant_of(caller)
        new = checked_collection(new)
        encoder = await self.encoder_of(new.encoder)
        refuse_chunking(new.chunking, encoder)
        draft = _draft(tenant_uid, new, encoder)
        row = await self.catalog.create_collection(caller, draft)
        self.table.forget(tenant_uid, row.name)
        await self._provision(caller, row)
        made = row.collection(DocumentCounts())
        return replace(made, warnings=_warnings(encoder, draft.language))

    async def get(self, caller: Caller, name: str) -> Collection:
        """The collection with what the caller may count."""
        row = await self.read(caller, name)
        counts = await self.tallies.count(caller, row)
        await self.feed.settled()
        return row.collection(counts)

    async def list(self, caller: Caller, page: PageRequest) -> Page[Collection]:
        """The tenant's collections in order of name."""
        tenant_uid = tenant_of(caller)
        listing = f"collections {tenant_uid}"
        rows = await self.catalog.list_collections(
            tenant_uid, after_name=key_of(listing, page.token), limit=page.rows + 1
        )
        found = page_of(listing, page, rows, lambda row: row.name)
        items = []
        for row in found.items:
            items.append(row.collection(await self.tallies.count(caller, row)))
        return Page(tuple(items), found.next_token)

    async def update(self, caller: Caller, name: str, change: CollectionChange) -> Collection:
        """Change description or default access; a tighter default holds at once."""
        row = await self.read(caller, name)
        if change.default_access is not None:
            await self.refuse_kept(caller, row)
        change = CollectionChange(checked_description(change.description), change.default_access)
        async with self.feed.publication() as moved:
            outcome = await self.catalog.change_collection(caller, row, change)
            moved(outcome.moves)
        self.table.forget(row.tenant_uid, row.name)
        return await self.get(caller, name)

    async def delete(self, caller: Caller, name: str) -> None:
        """Free the name at once; index, rows and blobs go afterwards."""
        row = await self.read(caller, name)
        await self.refuse_kept(caller, row)
        outcome = await self.catalog.delete_collection(caller, row)
        self.table.forget(row.tenant_uid, row.name)
        self.feed.wake()
        self.board.changed(outcome.jobs)

    async def resolve(self, caller: Caller, name: str, *, affinity: str) -> Route:
        """One index version for one question, the same for the same affinity."""
        row = await self.recall(caller, name)
        return row.route(pick(row.serving, affinity))

    async def recall(self, caller: Caller, name: str) -> CollectionRow:
        """The collection as it was a short time ago: what never changes of it, and its route."""
        return self.table.get(tenant_of(caller), name) or await self.read(caller, name)

    async def read(self, caller: Caller, name: str) -> CollectionRow:
        """The caller's collection of that name as the catalog has it, or NOT_FOUND."""
        tenant_uid = tenant_of(caller)
        epoch = self.table.epoch
        row = await self.catalog.find_collection(tenant_uid, name)
        if row is None:
            raise CollectionNotFoundError(
                f"there is no collection {name[:80]!r}", metadata={"collection": name[:80]}
            )
        self.table.keep(row, read_at_epoch=epoch)
        return row

    async def refuse_kept(self, caller: Caller, row: CollectionRow) -> None:
        """Raise when a custom resource keeps the collection that the caller does not carry out."""
        changing = await self.catalog.find_changing(row.uid)
        if changing is not None:
            refuse_foreign(
                requester_of(caller), changing.state.requester, row.name, CollectionKeptError
            )

    async def encoder_of(self, name: str) -> EncoderDescription:
        """The encoder of that name, else EncoderNotFoundError; the default without a name."""
        encoders = await self.embedder.list_encoders()
        for encoder in encoders:
            if name in ("", encoder.name):
                return encoder
        known = ", ".join(encoder.name for encoder in encoders)
        raise EncoderNotFoundError(
            f"there is no encoder {name[:80]!r}; there are: {known}",
            metadata={"encoder": name[:80]},
        )

    async def _provision(self, caller: Caller, row: CollectionRow) -> None:
        """Make the index; after a crash in between the reconciler does."""
        try:
            for version in await self.catalog.index_versions_of(row.uid):
                await self.index.create_index(_INDEXING, version.spec)
                await self.catalog.mark_serving(version.uid)
        except RagmeshError:
            # The caller is told that it failed, so the name must not stay taken.
            await self.catalog.delete_collection(caller, row)
            self.table.forget(row.tenant_uid, row.name)
            raise


def _warnings(encoder: EncoderDescription, language: str) -> tuple[str, ...]:
    if made_for(encoder.languages, language):
        return ()
    return (
        f"the encoder {encoder.name} was made for {', '.join(encoder.languages)}, not for "
        f"{language}: texts are found by their words rather than by their meaning",
    )


def _draft(tenant_uid: str, new: NewCollection, encoder: EncoderDescription) -> CollectionDraft:
    language = new.language or next(iter(encoder.languages), _FALLBACK_LANGUAGE)
    settings = (
        encoder.fingerprint.digest,
        str(new.chunking.max_tokens),
        str(new.chunking.overlap_tokens),
        language,
        *(f"{field.name}={field.kind.value}" for field in new.sortable),
    )
    spec_hash = sha256("\x1f".join(settings).encode()).hexdigest()[:8]
    return CollectionDraft(
        uid=new_uid(),
        tenant_uid=tenant_uid,
        new=new,
        language=language,
        encoder=encoder.name,
        fingerprint=encoder.fingerprint,
        index_version_uid=new_uid(),
        index_version=f"v1-{spec_hash}",
    )
