"""Events only say where to look: in any order, and however often they come, the end is the same."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ragmesh.chassis.events import Delivery
from ragmesh.core.documents import DocumentChange
from ragmesh.core.errors import ConflictError, DocumentNotFoundError
from ragmesh.indexing.worker import Indexer
from tests.folders import folder_in_memory
from tests.unit.indexing.pipeline import Pipeline, pipeline
from tests.unit.indexing.world import ADMIN

NAMES = ("a", "b", "c")
WORKERS = 2
OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["upload", "upload", "retitle", "delete"]),
        st.sampled_from(NAMES),
        st.integers(0, 9),
    ),
    min_size=2,
    max_size=8,
)
DELIVERIES = st.lists(
    st.tuples(st.integers(0, 30), st.integers(0, WORKERS - 1)), min_size=0, max_size=12
)
"""(which event of those so far, which worker); also long after its document has moved on."""


async def apply(made: Pipeline, operation: tuple[str, str, int]) -> None:
    """Do to the catalog what a user would."""
    kind, name, number = operation
    service = made.indexing.service
    if kind == "upload":
        await made.upload(name, f"Text {number} of {name}. It ends.")
        return
    with suppress(DocumentNotFoundError):
        if kind == "delete":
            await service.delete_document(ADMIN, "docs", name)
        else:
            change = DocumentChange(title=f"Title {number}")
            await service.update_document(ADMIN, "docs", name, change)


async def deliver(workers: list[Indexer], deliveries: list[tuple[Delivery, int]]) -> None:
    """Hand events to their workers, all at once; what gives way to a newer state may say so."""
    ended = await asyncio.gather(
        *(workers[worker].handle(delivery) for delivery, worker in deliveries),
        return_exceptions=True,
    )
    for error in ended:
        if isinstance(error, BaseException) and not isinstance(error, ConflictError):
            raise error


async def assert_highest(made: Pipeline) -> None:
    """The index holds the newest state of every document and nothing else."""
    row = await made.indexing.service.collections.read(ADMIN, "docs")
    found = await made.indexing.ledger.catalog.find_documents(row, NAMES)
    wanted = {
        (document.uid, document.revision, document.generation)
        for document in found.values()
        if not document.deleted
    }
    heads = [head for head in await made.heads() if not head.deleted]
    assert {(head.document_uid, head.revision, head.generation) for head in heads} == wanted
    held = await made.held()
    assert {(one.document_uid, one.revision, one.generation) for one in held} == wanted
    assert sorted(one.digest for one in held) == sorted(head.digest for head in heads)


async def told(
    operations: list[tuple[str, str, int]], early: list[list[tuple[int, int]]], data: Any
) -> None:
    with folder_in_memory() as folder:
        async with pipeline(folder) as made:
            workers = [made.restarted() for _ in range(WORKERS)]
            events: list[Delivery] = []
            for operation, picks in zip(operations, early, strict=True):
                await apply(made, operation)
                events += await made.events()
                chosen = [(events[pick % len(events)], who) for pick, who in picks if events]
                await deliver(workers, chosen)
            last = data.draw(st.permutations(events * 2))
            for delivery in last:
                await deliver(workers, [(delivery, 0)])
            await assert_highest(made)


# EV-7
@settings(max_examples=15, database=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_any_shuffle_and_repetition_of_events_ends_with_the_highest_revision(data: Any) -> None:
    operations = data.draw(OPERATIONS)
    early = [data.draw(DELIVERIES) for _ in operations]
    asyncio.run(told(operations, early, data))
