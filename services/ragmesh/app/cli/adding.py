"""Sends files to a mesh and follows each until its text can be found, or cannot."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Protocol

from ragmesh.app.cli.files import NO_ATTRIBUTES, Attributes, FoundFile, Refused, read_upload
from ragmesh.app.cli.following import followed
from ragmesh.app.cli.ports import Mesh
from ragmesh.core.documents import Accepted, Failure, JobState, Upload
from ragmesh.core.errors import JobCancelledError, Kind, RagmeshError
from ragmesh.sdk.arguments import batched

_WAITING = 512
"""Most files that were sent and not yet reported; sending pauses there."""
_WATCHED = 16
"""Most jobs that are followed at the same time."""
_ATTEMPTS = 6
_DELAY_SECONDS = 0.5
_ABOUT_THE_MESH = frozenset({Kind.UNAVAILABLE, Kind.UNAUTHENTICATED, Kind.DENIED, Kind.INTERNAL})
"""Kinds of errors that the next file would meet as well."""


class Ending(Enum):
    """What became of a file."""

    INDEXED = "indexed"
    UNCHANGED = "unchanged"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file."""

    path: Path
    ending: Ending
    document_id: str = ""
    chunks: int | None = None
    error: Failure | None = None


class Audience(Protocol):
    """Whoever is told how it goes."""

    def found(self, files: int) -> None:
        """So many more files were found."""

    def ended(self, outcome: Outcome) -> None:
        """One more file is done; in the order in which the files were found."""


@dataclass(frozen=True, slots=True)
class Adding:
    """Adds files to one collection."""

    mesh: Mesh
    collection: str
    audience: Audience
    attributes: Attributes = NO_ATTRIBUTES
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep
    _watchers: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_WATCHED))

    async def add(self, found: Iterable[FoundFile | Refused]) -> None:
        """Send every file and return when each has ended; raise what concerns the mesh itself."""
        await self.mesh.get_collection(self.collection)
        waiting: asyncio.Queue[asyncio.Task[Outcome] | None] = asyncio.Queue(_WAITING)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._send_all(found, waiting, tasks))
                while (ending := await waiting.get()) is not None:
                    self.audience.ended(await ending)
        except ExceptionGroup as group:
            raise _first(group) from None

    async def _send_all(
        self,
        found: Iterable[FoundFile | Refused],
        waiting: asyncio.Queue[asyncio.Task[Outcome] | None],
        tasks: asyncio.TaskGroup,
    ) -> None:
        read = (one if isinstance(one, Refused) else _read(one, self.attributes) for one in found)
        batches = batched(read, _size)
        while (batch := await asyncio.to_thread(next, batches, None)) is not None:
            self.audience.found(len(batch))
            uploads = [item for item in batch if isinstance(item, _Read)]
            accepted = iter(await self._send([item.upload for item in uploads]))
            for item in batch:
                result = item.error if isinstance(item, Refused) else next(accepted)
                await waiting.put(tasks.create_task(self._follow(item, result)))
        await waiting.put(None)

    async def _send(self, uploads: Sequence[Upload]) -> list[Accepted | RagmeshError]:
        """What the mesh says to each upload; when it is full, once more after a while."""
        results: dict[int, Accepted | RagmeshError] = {}
        refused = list(range(len(uploads)))
        for attempt in range(_ATTEMPTS):
            answers = await self._send_once([uploads[number] for number in refused])
            results.update(zip(refused, answers, strict=True))
            delays = {
                number: answer.retry_after_seconds or _DELAY_SECONDS * 2**attempt
                for number, answer in zip(refused, answers, strict=True)
                if isinstance(answer, RagmeshError) and answer.kind is Kind.EXHAUSTED
            }
            refused = list(delays)
            if not refused or attempt == _ATTEMPTS - 1:
                break
            await self.pause(max(delays.values()))
        return [results[number] for number in range(len(uploads))]

    async def _send_once(self, uploads: Sequence[Upload]) -> Sequence[Accepted | RagmeshError]:
        if not uploads:
            return ()
        try:
            if len(uploads) == 1:
                return (await self.mesh.create_document(self.collection, uploads[0]),)
            return await self.mesh.create_documents(self.collection, uploads)
        except RagmeshError as error:
            if error.kind in _ABOUT_THE_MESH or (len(uploads) > 1 and error.kind is Kind.NOT_FOUND):
                raise
            return (error,) * len(uploads)

    async def _follow(self, item: _Read | Refused, result: Accepted | RagmeshError) -> Outcome:
        document_id = "" if isinstance(item, Refused) else item.found.document_id
        path = item.path
        if isinstance(result, RagmeshError):
            return _failed(path, document_id, result)
        if result.state is JobState.SUCCEEDED:  # nothing is new: the answer names the former job
            return Outcome(path, Ending.UNCHANGED, document_id)
        try:
            async with self._watchers:
                job = await followed(self.mesh, result.job_id)
                if job.error is not None:
                    return Outcome(path, Ending.FAILED, document_id, error=job.error)
                if job.state is not JobState.SUCCEEDED:
                    return _failed(path, document_id, JobCancelledError("the job was cancelled"))
                document = await self.mesh.get_document(self.collection, document_id)
        except RagmeshError as error:
            if error.kind in _ABOUT_THE_MESH:
                raise
            return _failed(path, document_id, error)
        return Outcome(path, Ending.INDEXED, document_id, chunks=document.chunks)


@dataclass(frozen=True, slots=True)
class _Read:
    """A file with its content."""

    found: FoundFile
    upload: Upload

    @property
    def path(self) -> Path:
        return self.found.path


def _read(found: FoundFile, attributes: Attributes) -> _Read | Refused:
    upload = read_upload(found, attributes)
    return upload if isinstance(upload, Refused) else _Read(found, upload)


def _size(item: _Read | Refused) -> int:
    return len(item.upload.content) if isinstance(item, _Read) else 0


def _failed(path: Path, document_id: str, error: RagmeshError) -> Outcome:
    failure = Failure(error.reason, error.message)
    return Outcome(path, Ending.FAILED, document_id, error=failure)


def _first(group: ExceptionGroup[Exception]) -> Exception:
    error: Exception = group
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error
