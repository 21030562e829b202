"""A process that does some work on a folder and kills itself behind a call that it is told.

What is killed is everything of one process between the doors and the disk, on real files; only
model and parsers are fakes, so that the moment is the same every time.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ragmesh.core.documents import Accepted, DocumentChange, Upload, accepted_of
from tests.integration.indexing.running import Running, running
from tests.unit.indexing.pipeline import Fused
from tests.unit.indexing.world import ADMIN

DOCUMENT = "a"
TEXTS = tuple(
    "\n\n".join(f"Paragraph {n} of edition {edition}. It ends." for n in range(3 + edition))
    for edition in range(2)
)


@dataclass
class LastCall:
    """Lets calls happen and ends the process behind one of them, before its answer arrives."""

    name: str = ""

    async def call(self, name: str, made: Callable[[], Awaitable[Any]]) -> Any:
        """Let a call happen; there is nothing behind the last one."""
        result = await made()
        if name == self.name:
            os.kill(os.getpid(), signal.SIGKILL)
        return result


async def upload(made: Running, edition: int) -> Accepted:
    """Send an edition of the document."""
    sent = Upload(TEXTS[edition].encode(), DOCUMENT)
    (outcome,) = await made.indexing.service.create_documents(ADMIN, "docs", [sent])
    return accepted_of(outcome)


async def work(made: Running, kind: str) -> Accepted:
    """The change during which a process ends; the first edition is indexed already."""
    service = made.indexing.service
    match kind:
        case "update":
            return await upload(made, 1)
        case "retitle":
            change = DocumentChange(title="Another title")
            return await service.update_document(ADMIN, "docs", DOCUMENT, change)
        case "delete":
            return await service.delete_document(ADMIN, "docs", DOCUMENT)
    raise ValueError(kind)


async def _relayed(made: Running) -> None:
    while await made.indexing.ledger.take_outbox(limit=1, window=1):  # noqa: ASYNC110 - no event
        await asyncio.sleep(0.01)


async def _die(folder: Path, kind: str, call: str) -> None:
    fuse = LastCall()
    async with running(folder, through=lambda port: Fused(port, fuse)) as made:  # type: ignore[arg-type]
        await _relayed(made)  # what the first edition left
        fuse.name = call
        accepted = await work(made, kind)
        await made.ended(accepted)
        await asyncio.Event().wait()  # the clean-up comes behind the end of the job


if __name__ == "__main__":
    asyncio.run(_die(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))
