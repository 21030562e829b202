"""A kill of the worker at any call of any port ends like a run without one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from ragmesh.core.documents import DocumentChange
from ragmesh.indexing.rows import CollectionRow
from tests.unit.indexing.pipeline import Killed, Pipeline, pipeline
from tests.unit.indexing.world import ADMIN

LONG = "\n\n".join(f"This is the paragraph of number {n}. It ends." for n in range(5))


async def _first_upload(made: Pipeline, document_id: str) -> None:
    await made.upload(document_id, LONG)


async def _second_upload(made: Pipeline, document_id: str) -> None:
    await made.upload(document_id, "Before.")
    await made.work()
    await made.upload(document_id, LONG)


async def _attributes(made: Pipeline, document_id: str) -> None:
    await made.upload(document_id, LONG)
    await made.work()
    change = DocumentChange(title="New")
    await made.indexing.service.update_document(ADMIN, "docs", document_id, change)


async def _delete(made: Pipeline, document_id: str) -> None:
    await made.upload(document_id, LONG)
    await made.work()
    await made.indexing.service.delete_document(ADMIN, "docs", document_id)


async def _outcome(made: Pipeline, document_id: str) -> object:
    """All that can be seen of a document, without what differs from one to the next."""
    row = (await made.indexing.ledger.catalog.find_documents(await _row(made), [document_id]))[
        document_id
    ]
    work = await made.indexing.ledger.work_of(await made.version(), row.uid)
    assert work is not None
    job = await made.indexing.ledger.catalog.find_job(work.job_id or "")
    assert job is not None
    head = work.head
    return (
        row.state,
        row.revision,
        row.generation,
        row.chunks,
        row.document.title,
        work.task,
        (job.job.state, job.job.stage, job.job.percent, job.job.error),
        head and (head.revision, head.generation, head.digest, head.chunk_count, head.deleted),
        [
            (d.revision, d.generation, d.digest, d.chunk_count)
            for d in await made.held()
            if d.document_uid == row.uid
        ],
    )


async def _row(made: Pipeline) -> CollectionRow:
    return await made.indexing.service.collections.read(ADMIN, "docs")


@pytest.mark.parametrize("prepare", [_first_upload, _second_upload, _attributes, _delete])
async def test_a_kill_at_any_call_ends_like_a_run_without_one(
    tmp_path: Path, prepare: Callable[[Pipeline, str], Awaitable[None]]
) -> None:
    async with pipeline(tmp_path) as made:
        await prepare(made, "clean")
        (delivery,) = await made.events()
        made.fuse.reset()
        await made.indexer.handle(delivery)
        wanted, calls = await _outcome(made, "clean"), len(made.fuse.calls)
        assert calls > 3
        for number in range(calls):
            document_id = f"killed-{number}"
            made.fuse.reset()
            await prepare(made, document_id)
            (delivery,) = await made.events()
            made.fuse.reset(after=number)
            with pytest.raises(Killed):
                await made.indexer.handle(delivery)
            made.fuse.reset()
            made.indexer = made.restarted()
            await made.indexer.handle(delivery)
            assert await _outcome(made, document_id) == wanted, f"killed after call {number}"
