"""The VectorIndex of files: one folder an index version, one lock for all of them."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import os
import re
import shutil
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from threadpoolctl import threadpool_limits

from ragmesh.chassis.executors import Executor, executor
from ragmesh.chassis.files import make_folder_durably, sync_folder
from ragmesh.chassis.locks import StoreLock
from ragmesh.core.errors import (
    AlreadyExistsError,
    IndexVersionGoneError,
    InvalidError,
    InvalidPageTokenError,
    StoreDamagedError,
    Violation,
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
from ragmesh.retrieval.adapters.embedded.desk import Desk
from ragmesh.retrieval.adapters.embedded.records import PreparedChunk
from ragmesh.retrieval.adapters.embedded.shard import Shard
from ragmesh.retrieval.adapters.embedded.view import EmbeddedView
from ragmesh.retrieval.adapters.embedded.writing import (
    DeleteRevisions,
    Outcome,
    UpdateAttributes,
    Work,
    WriteDocument,
)

_UID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_WAITING_WRITES = 4_096
_ASIDE = ".damaged"
_ASIDE_SECONDS = 86_400.0
_log = logging.getLogger(__name__)


@asynccontextmanager
async def embedded_index(root: Path, *, threads: int | None = None) -> AsyncIterator[EmbeddedIndex]:
    """The index below a folder, for the time of the block; StoreInUseError when it is taken.

    An index version of a newer format refuses the whole; a damaged one only itself.
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
        index = EmbeddedIndex(root, threads_of)
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

    def __init__(self, root: Path, threads: Threads) -> None:
        self._root = root
        self._threads = threads
        self._desk = Desk(threads.search)
        self._shards: dict[str, Shard] = {}
        self._damaged: dict[str, StoreDamagedError] = {}
        """What could not be opened: nobody tries again before it is dropped, or a restart."""

    def close(self) -> None:
        """Close every index version; runs where writes do."""
        while self._shards:
            self._shards.popitem()[1].close()

    async def list_indexes(self) -> tuple[str, ...]:
        """The uid of every index version that is kept, in order; the damaged ones too."""
        return await self._threads.write.run(self._list)

    async def tidy_up(self) -> None:
        """Remove what was interrupted; NewerFormatError when an index version is too new."""
        await self._threads.write.run(self._refuse_newer)
        await self._threads.write.run(self._remove_remains)

    async def get_spec(self, index_version_uid: str) -> IndexSpec:
        """The spec it was created with, else IndexVersionGoneError."""
        return (await self._shard(index_version_uid)).spec

    async def create(self, spec: IndexSpec) -> bool:
        """Make an empty index version; False when it is there, another of that uid is refused."""
        if not _UID.fullmatch(spec.index_version_uid):
            raise InvalidError.of("index_version_uid", "must be a UUID in lower case")
        return await self._threads.write.run(self._create, spec)

    async def drop(self, index_version_uid: str) -> None:
        """Remove an index version and all it holds; one that is not there is no error."""
        await self._threads.write.run(self._drop, index_version_uid)

    async def write(self, write: DocumentWrite) -> DocumentDigest:
        """Keep the chunks: durable and searchable when this returns."""
        shard = await self._shard(write.index_version_uid)
        work = await self._threads.analysis.run(_prepare, shard, write)
        outcome = await self._commit(shard, work)
        if outcome.digest is None:
            raise AssertionError("a write has a digest")
        return outcome.digest

    async def update_attributes(self, write: AttributesWrite) -> None:
        """Replace the attributes of a revision, unless it has those of a later generation."""
        shard = await self._shard(write.index_version_uid)
        await self._commit(shard, UpdateAttributes(write))

    async def delete(
        self, index_version_uid: str, document_uid: str, *, below_revision: int
    ) -> int:
        """Remove the chunks of all revisions below; how many there were."""
        shard = await self._shard(index_version_uid)
        work = DeleteRevisions(document_uid, below_revision)
        return (await self._commit(shard, work)).removed_chunks

    async def list_digests(self, index_version_uid: str, page: PageRequest) -> Page[DocumentDigest]:
        """What is held, by document uid and revision."""
        shard = await self._shard(index_version_uid)
        after = _decode_token(page.token)
        self._refuse_damaged(index_version_uid)
        if not page.token:  # a comparison begins, as one does every minute
            await self._threads.write.run(self._forget_aside)
        with self._noting(index_version_uid):
            found = await self._threads.search.run(shard.digests, after, page.rows + 1)
        items = tuple(found[: page.rows])
        token = _encode_token(items[-1]) if len(found) > page.rows else ""
        return Page(items, token)

    async def read_chunks(
        self, index_version_uid: str, document_uid: str, revision: int
    ) -> tuple[Chunk, ...]:
        """What is held of a revision with its vectors, by ordinal; nothing if it is not held."""
        shard = await self._shard(index_version_uid)
        with self._noting(index_version_uid):
            return await self._threads.search.run(shard.chunks, document_uid, revision)

    async def describe(self, index_version_uid: str) -> IndexDescription:
        """The index version as it stands; documents and chunks are the visible ones."""
        shard = await self._shard(index_version_uid)
        return await self._threads.search.run(shard.describe)

    async def apply_heads(self, batch: HeadBatch) -> None:
        """Let the next view see by these heads; heads already seen change nothing."""
        shard = await self._shard(batch.index_version_uid)
        await self._threads.heads.run(shard.hear, batch)

    @asynccontextmanager
    async def read(self, index_version_uid: str) -> AsyncIterator[EmbeddedView]:
        """A view of this moment, for as long as the block lasts."""
        shard = await self._shard(index_version_uid)
        snapshot = shard.begin_read()
        try:
            with self._noting(index_version_uid):
                yield EmbeddedView(shard, snapshot, self._desk)
        finally:
            shard.end_read(snapshot)

    async def _shard(self, index_version_uid: str) -> Shard:
        shard = self._shards.get(index_version_uid)
        if shard is None:
            shard = await self._threads.write.run(self._open, index_version_uid)
        return shard

    async def _commit(self, shard: Shard, work: Work) -> Outcome:
        with self._noting(shard.spec.index_version_uid):
            return await self._threads.write.run(shard.commit, shard.enter(work))

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
        shard = self._shards.get(index_version_uid)
        if shard is None:
            folder = self._folder(index_version_uid)
            if folder is None:
                raise IndexVersionGoneError(
                    "there is no such index version",
                    metadata={"index_version": index_version_uid},
                )
            shard = self._shards[index_version_uid] = self._open_folder(folder)
        return shard

    def _open_folder(self, folder: Path) -> Shard:
        self._refuse_damaged(folder.name)
        # It alone is lost: the others are served, and this one says what is wrong with it.
        with self._noting(folder.name):
            return Shard.open(folder)

    def _create(self, spec: IndexSpec) -> bool:
        folder = self._folder(spec.index_version_uid)
        if folder is not None and self._is_damaged(spec.index_version_uid):
            self._set_aside(folder)
        elif folder is not None:
            if self._open(spec.index_version_uid).spec != spec:
                raise AlreadyExistsError(
                    "an index version of that uid exists with another spec",
                    metadata={"index_version": spec.index_version_uid},
                )
            return False
        Shard.create(self._root / spec.index_version_uid, spec)
        self._open(spec.index_version_uid)
        return True

    def _is_damaged(self, index_version_uid: str) -> bool:
        with suppress(StoreDamagedError):
            self._open(index_version_uid)
        return index_version_uid in self._damaged

    def _set_aside(self, folder: Path) -> None:
        """Keep what is left of a damaged index version for a day, out of the way of a new one."""
        shard = self._shards.pop(folder.name, None)
        if shard is not None:
            with suppress(StoreDamagedError):
                shard.close()
        aside = folder.with_name(f".{folder.name}{_ASIDE}")
        shutil.rmtree(aside, ignore_errors=True)
        folder.rename(aside)
        os.utime(aside)
        sync_folder(self._root)
        self._damaged.pop(folder.name, None)
        _log.warning(
            "a damaged index version was set aside",
            extra={"index_version": folder.name, "path": str(aside)},
        )

    def _drop(self, index_version_uid: str) -> None:
        folder = self._folder(index_version_uid)
        if folder is None:
            return
        shard = self._shards.pop(index_version_uid, None)
        if shard is not None:
            shard.close()
        self._damaged.pop(index_version_uid, None)
        shutil.rmtree(folder.with_name(f".{folder.name}{_ASIDE}"), ignore_errors=True)
        # Renamed first: a kill in between must not leave half an index under its name.
        grave = folder.with_name(f".{folder.name}.gone")
        shutil.rmtree(grave, ignore_errors=True)
        folder.rename(grave)
        sync_folder(self._root)
        shutil.rmtree(grave)

    def _list(self) -> tuple[str, ...]:
        names = sorted(path.name for path in self._root.iterdir() if path.is_dir())
        return tuple(name for name in names if _UID.fullmatch(name))

    def _refuse_newer(self) -> None:
        for name in self._list():
            Shard.refuse_newer(self._root / name)

    def _remove_remains(self) -> None:
        """Remove what a drop or a creation left behind that was interrupted."""
        for path in self._root.iterdir():
            if path.is_dir() and path.name.endswith((".gone", ".new")):
                shutil.rmtree(path)
        self._forget_aside()

    def _forget_aside(self) -> None:
        """Remove what was set aside long enough ago: deleted documents may be in it."""
        for path in self._root.glob(f".*{_ASIDE}"):
            if time.time() - path.stat().st_mtime > _ASIDE_SECONDS:
                shutil.rmtree(path, ignore_errors=True)

    def _folder(self, index_version_uid: str) -> Path | None:
        if not _UID.fullmatch(index_version_uid):
            return None
        folder = self._root / index_version_uid
        return folder if folder.is_dir() else None


def _prepare(shard: Shard, write: DocumentWrite) -> WriteDocument:
    chunks = tuple(PreparedChunk.of(chunk, shard.analyzer) for chunk in write.chunks)
    return WriteDocument(write, chunks)


def _encode_token(digest: DocumentDigest) -> str:
    token = json.dumps([digest.document_uid, digest.revision])
    return base64.urlsafe_b64encode(token.encode()).decode()


def _decode_token(token: str) -> tuple[str, int]:
    if not token:
        return ("", 0)
    try:
        document_uid, revision = json.loads(base64.urlsafe_b64decode(token.encode()))
    except (ValueError, TypeError) as error:
        raise _bad_token() from error
    if not isinstance(document_uid, str) or not isinstance(revision, int):
        raise _bad_token()
    return document_uid, revision


def _bad_token() -> InvalidPageTokenError:
    message = "was not made by this listing"
    return InvalidPageTokenError(
        f"page_token {message}", violations=[Violation("page_token", message)]
    )
