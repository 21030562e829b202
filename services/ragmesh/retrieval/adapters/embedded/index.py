"""The VectorIndex of files: one folder an index version, one lock for all of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from threadpoolctl import threadpool_limits

from ragmesh.chassis.executors import Executor, executor
from ragmesh.chassis.files import make_folder_durably
from ragmesh.chassis.locks import StoreLock
from ragmesh.core.errors import (
    AlreadyExistsError,
    ExhaustedError,
    RagmeshError,
    StoreDamagedError,
    UnavailableError,
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
from ragmesh.retrieval.adapters.embedded.desk import Desk
from ragmesh.retrieval.adapters.embedded.folders import Folders
from ragmesh.retrieval.adapters.embedded.keeper import KEPT_FROM_CHUNKS
from ragmesh.retrieval.adapters.embedded.live import Rulings
from ragmesh.retrieval.adapters.embedded.segments import Segment
from ragmesh.retrieval.adapters.embedded.shard import Shard
from ragmesh.retrieval.adapters.embedded.shelf import MOST_BYTES, Shelf
from ragmesh.retrieval.adapters.embedded.view import EmbeddedView
from ragmesh.retrieval.adapters.embedded.writing import (
    DeleteRevisions,
    Outcome,
    UpdateAttributes,
    Work,
    WriteDocument,
)

_WAITING_WRITES = 4_096
_log = logging.getLogger(__name__)


@asynccontextmanager
async def embedded_index(
    root: Path,
    *,
    threads: int | None = None,
    most_bytes: int = MOST_BYTES,
    kept_from: int = KEPT_FROM_CHUNKS,
) -> AsyncIterator[EmbeddedIndex]:
    """The index below a folder, for the time of the block; StoreInUseError when it is taken.

    An index version of a newer format refuses the whole; a damaged one only itself. They are
    opened when they are used, and closed again when they take more than `most_bytes` together.
    Those of `kept_from` chunks keep a snapshot for the next opening.
    `threads` scan and rank; they default to the usable cores. One more writes, one analyses what
    is to be written, and one applies heads.
    """
    await asyncio.to_thread(make_folder_durably, root)
    async with AsyncExitStack() as stack:
        stack.enter_context(StoreLock(root))
        # Scans run one a core already; a BLAS with threads of its own would only be in their way.
        stack.enter_context(threadpool_limits(limits=1, user_api="blas"))
        threads_of = Threads(
            search=await stack.enter_async_context(executor("retrieval", threads)),
            analysis=await stack.enter_async_context(
                executor("retrieval-analysis", 1, waiting=_WAITING_WRITES, niceness=5)
            ),
            write=await stack.enter_async_context(
                executor("retrieval-write", 1, waiting=_WAITING_WRITES)
            ),
            heads=await stack.enter_async_context(
                executor("retrieval-heads", 1, waiting=_WAITING_WRITES)
            ),
        )
        index = EmbeddedIndex(root, threads_of, Shelf(most_bytes), kept_from)
        await index.tidy_up()
        try:
            yield index
        finally:
            await threads_of.write.run(index.close)


@dataclass(frozen=True, slots=True)
class Threads:
    """Who works: searches never wait behind writes, and heads wait behind neither."""

    search: Executor
    analysis: Executor
    """One thread that analyses what is to be written."""
    write: Executor
    """One thread that writes, so that no two writes meet."""
    heads: Executor
    """One thread that applies heads: a publication waits for it, however much is searched."""


class EmbeddedIndex:
    """Keeps index versions as folders; reads in threads, writes in one."""

    def __init__(self, root: Path, threads: Threads, shelf: Shelf, kept_from: int) -> None:
        self._folders = Folders(root)
        self._threads = threads
        self._desk = Desk(threads.search)
        self._shelf = shelf
        self._kept_from = kept_from
        self._specs: dict[str, IndexSpec] = {}
        self._rulings: dict[str, Rulings] = {}
        """What was heard of heads, of index versions that are closed too."""
        self._damaged: dict[str, StoreDamagedError] = {}
        """What could not be opened: nobody tries again before it is dropped, or a restart."""

    def close(self) -> None:
        """Close every index version; runs where writes do."""
        for shard in self._shelf.clear():
            shard.close()

    async def list_indexes(self) -> tuple[str, ...]:
        """The uid of every index version that is kept, in order; the damaged ones too."""
        return await self._threads.write.run(self._folders.uids)

    async def tidy_up(self) -> None:
        """Remove what was interrupted; NewerFormatError when an index version is too new."""
        await self._threads.write.run(self._refuse_newer)
        await self._threads.write.run(self._folders.remove_remains)

    async def get_spec(self, index_version_uid: str) -> IndexSpec:
        """The spec it was created with, else IndexVersionGoneError."""
        spec = self._specs.get(index_version_uid)
        if spec is None:
            spec = await self._threads.write.run(self._read_spec, index_version_uid)
        return spec

    async def create(self, spec: IndexSpec) -> bool:
        """Make an empty index version; False when it is there, another of that uid is refused."""
        self._folders.named(spec.index_version_uid)
        return await self._threads.write.run(self._create, spec)

    async def drop(self, index_version_uid: str) -> None:
        """Remove an index version and all it holds; one that is not there is no error."""
        await self._threads.write.run(self._drop, index_version_uid)

    async def write(self, write: DocumentWrite) -> DocumentDigest:
        """Keep the chunks: durable and searchable when this returns."""
        async with self._using(write.index_version_uid) as shard:
            work = await self._threads.analysis.run(WriteDocument.analysed, write, shard.analyzer)
            outcome = await self._commit(shard, work)
        if outcome.digest is None:
            raise AssertionError("a write has a digest")
        return outcome.digest

    async def update_attributes(self, write: AttributesWrite) -> None:
        """Replace the attributes of a revision, unless it has those of a later generation."""
        async with self._using(write.index_version_uid) as shard:
            await self._commit(shard, UpdateAttributes(write))

    async def delete(
        self, index_version_uid: str, document_uid: str, *, below_revision: int
    ) -> int:
        """Remove the chunks of all revisions below; how many there were."""
        work = DeleteRevisions(document_uid, below_revision)
        async with self._using(index_version_uid) as shard:
            return (await self._commit(shard, work)).removed_chunks

    async def list_digests(self, index_version_uid: str, page: PageRequest) -> Page[DocumentDigest]:
        """What is held, by document uid and revision."""
        await self.get_spec(index_version_uid)
        after = position_of(page.token)
        self._refuse_damaged(index_version_uid)
        if not page.token:  # a comparison begins, as one does every minute
            await self._threads.write.run(self._folders.forget_aside)
        found = await self._digests(index_version_uid, after, page.rows + 1)
        return page_of(found, page.rows)

    async def read_chunks(
        self, index_version_uid: str, document_uid: str, revision: int
    ) -> tuple[Chunk, ...]:
        """What is held of a revision with its vectors, by ordinal; nothing if it is not held."""
        async with self._using(index_version_uid) as shard:
            with self._noting(index_version_uid):
                return await self._threads.search.run(shard.chunks, document_uid, revision)

    async def describe(self, index_version_uid: str) -> IndexDescription:
        """The index version as it stands; documents and chunks are the visible ones."""
        async with self._using(index_version_uid) as shard:
            return await self._threads.search.run(shard.describe)

    async def apply_heads(self, batch: HeadBatch) -> None:
        """Let the next view see by these heads; heads already seen change nothing."""
        self._refuse_damaged(batch.index_version_uid)
        await self._threads.heads.run(self._hear, batch)

    @asynccontextmanager
    async def read(self, index_version_uid: str) -> AsyncIterator[EmbeddedView]:
        """A view of this moment, for as long as the block lasts."""
        async with self._using(index_version_uid) as shard:
            snapshot = shard.begin_read()
            try:
                with self._noting(index_version_uid):
                    yield EmbeddedView(shard, snapshot, self._desk)
            finally:
                shard.end_read(snapshot)
                if shard.begin_to_settle():
                    self._threads.analysis.submit(self._settle, shard)
                for segment in snapshot.segments:
                    if segment.coarse.begin(len(segment)):
                        self._have_coarsened(segment)

    @asynccontextmanager
    async def _using(self, index_version_uid: str) -> AsyncIterator[Shard]:
        """The index version, open for the time of the block; who asks meanwhile shares it."""
        while True:
            with self._shelf.using(index_version_uid) as shard:
                if shard is not None:
                    yield shard
                    return
            await self._threads.write.run(self._open, index_version_uid)
            self._make_room()

    async def _commit(self, shard: Shard, work: Work) -> Outcome:
        with self._noting(shard.spec.index_version_uid):
            outcome = await self._threads.write.run(shard.commit, shard.enter(work))
        self._make_room()
        return outcome

    def _make_room(self) -> None:
        for closing in self._shelf.surplus():
            self._threads.write.submit(self._close, closing)

    async def _digests(
        self, index_version_uid: str, after: tuple[str, int], count: int
    ) -> list[DocumentDigest]:
        """What is held; one that is closed is not opened for it, because all are compared."""
        with self._noting(index_version_uid), self._shelf.using(index_version_uid) as shard:
            if shard is not None:
                return await self._threads.search.run(shard.digests, after, count)
            folder = self._folders.root / index_version_uid
            return await self._threads.write.run(Shard.read_digests, folder, after, count)

    def _hear(self, batch: HeadBatch) -> None:
        """Apply heads to what is open, and remember them for what is closed."""
        uid = batch.index_version_uid
        rulings = self._rulings.get(uid)
        if rulings is None:
            self._folders.require(uid)
            rulings = self._rulings.setdefault(uid, Rulings())
        with rulings.turn:
            shard = self._shelf.get(uid)
            if shard is None:
                rulings.hear(batch)
            else:
                shard.hear(batch)

    @contextmanager
    def _noting(self, index_version_uid: str) -> Iterator[None]:
        """Remember the damage that a read or a write runs into; `create` mends it."""
        try:
            yield
        except StoreDamagedError as error:
            self._note(index_version_uid, error)
            raise

    def _note(self, index_version_uid: str, error: StoreDamagedError) -> None:
        if index_version_uid not in self._damaged:
            self._damaged[index_version_uid] = error
            _log.critical(
                "an index version is damaged and is not served",
                extra={
                    "index_version": index_version_uid,
                    "path": error.metadata.get("path", ""),
                },
            )

    def _refuse_damaged(self, index_version_uid: str) -> None:
        known = self._damaged.get(index_version_uid)
        if known is not None:
            raise StoreDamagedError(known.message, metadata=known.metadata)

    # -- these run in the one writing thread, so that no two of them meet -------

    def _open(self, index_version_uid: str) -> Shard:
        shard = self._shelf.get(index_version_uid)
        return shard or self._open_folder(self._folders.require(index_version_uid))

    def _open_folder(self, folder: Path) -> Shard:
        uid = folder.name
        self._refuse_damaged(uid)
        rulings = self._rulings.setdefault(uid, Rulings())
        # It alone is lost: the others are served, and this one says what is wrong with it.
        with self._noting(uid), rulings.turn:
            shard = Shard.open(folder, rulings, kept_from=self._kept_from)
            self._shelf.put(uid, shard)
        self._specs[uid] = shard.spec
        return shard

    def _read_spec(self, index_version_uid: str) -> IndexSpec:
        folder = self._folders.require(index_version_uid)
        self._refuse_damaged(index_version_uid)
        with self._noting(index_version_uid):
            return self._specs.setdefault(index_version_uid, Shard.read_spec(folder))

    def _close(self, shard: Shard) -> None:
        try:
            shard.close()
        except RagmeshError as error:  # nobody uses it; whoever opens it again is told
            _log.warning("an index version was not closed well", extra={"reason": error.reason})

    def _have_coarsened(self, segment: Segment) -> None:
        try:
            self._threads.analysis.submit(_coarsen, segment)
        except (ExhaustedError, UnavailableError):  # writes go first, and so does an end
            segment.coarse.put_off()

    def _settle(self, shard: Shard) -> None:
        """Behind the first search of what was opened; runs where texts are analysed."""
        try:
            if not shard.settle():
                _log.warning(
                    "a kept snapshot is damaged and is made anew",
                    extra={"index_version": shard.spec.index_version_uid},
                )
                self._threads.write.submit(shard.load_anew)
        except (RagmeshError, OSError):  # it serves without; who writes or searches is told
            _log.warning("a snapshot cannot be kept", exc_info=True)

    def _create(self, spec: IndexSpec) -> bool:
        folder = self._folders.find(spec.index_version_uid)
        if folder is not None and self._is_damaged(spec.index_version_uid):
            self._set_aside(folder)
        elif folder is not None:
            if self._open(spec.index_version_uid).spec != spec:
                raise AlreadyExistsError(
                    "an index version of that uid exists with another spec",
                    metadata={"index_version": spec.index_version_uid},
                )
            return False
        Shard.create(self._folders.named(spec.index_version_uid), spec)
        self._open(spec.index_version_uid)
        return True

    def _is_damaged(self, index_version_uid: str) -> bool:
        with suppress(StoreDamagedError):
            self._open(index_version_uid)
        return index_version_uid in self._damaged

    def _set_aside(self, folder: Path) -> None:
        shard = self._forget(folder.name)
        if shard is not None:
            with suppress(StoreDamagedError):
                shard.close()
        self._folders.set_aside(folder)
        self._damaged.pop(folder.name, None)

    def _forget(self, index_version_uid: str) -> Shard | None:
        """Know nothing of it any more; what is open of it must be closed."""
        self._specs.pop(index_version_uid, None)
        self._rulings.pop(index_version_uid, None)  # they are heard from the beginning
        return self._shelf.pop(index_version_uid)

    def _drop(self, index_version_uid: str) -> None:
        folder = self._folders.find(index_version_uid)
        if folder is None:
            return
        shard = self._forget(index_version_uid)
        if shard is not None:
            shard.close()
        self._damaged.pop(index_version_uid, None)
        self._folders.remove(folder)

    def _refuse_newer(self) -> None:
        for uid in self._folders.uids():
            Shard.refuse_newer(self._folders.root / uid)


def _coarsen(segment: Segment) -> None:
    """Behind the searches that scan it; runs where texts are analysed."""
    try:
        segment.coarse.make(segment.vectors)
    except Exception:  # onnxruntime's own errors share no class; whole scans go on
        _log.warning("a segment cannot be scanned faster", exc_info=True)
