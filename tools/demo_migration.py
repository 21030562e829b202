"""Change the encoder of a live collection in a terminal, with people asking and writing meanwhile.

Starts a fresh mesh with two encoders, the exact one and the one in int8, on the handbook in
examples/, keeps its golden questions, asks for the other encoder, and shows what happens until the
migration is over; then it rolls nothing back and stops the mesh. The last line is JSON:
{"phases", "flips", "failed", "verdict"}. Exits 1 when a question failed or the index did not flip.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from ragmesh.clients.gateway import GatewayClient, gateway_client
from ragmesh.core.answers import AskQuery, CacheMode
from ragmesh.core.documents import NewCollection, Upload
from ragmesh.core.errors import RagmeshError
from ragmesh.core.migrations import (
    CanaryStep,
    IndexChange,
    Migration,
    MigrationPhase,
    MigrationPolicy,
)
from ragmesh.core.pages import PageRequest
from ragmesh.core.questions import Question
from ragmesh.core.search import SearchQuery
from ragmesh.evaluation.golden import read_golden
from tools.quickstart import running_mesh

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"
COLLECTION = "handbook"
OLD, NEW = "exact", "fast"
ENCODERS = [{"name": OLD, "kind": "exact"}, {"name": NEW, "kind": "fast"}]
SETTINGS = {
    "RAGMESH_EMBEDDING__ENCODERS": json.dumps(ENCODERS),
    "RAGMESH_INDEXING__MIGRATION_DOCUMENTS_PER_SECOND": "5",
}
POLICY = MigrationPolicy(canary=(CanaryStep(20, 3.0), CanaryStep(60, 3.0)), soak_seconds=5.0)
SEARCHES_A_SECOND, ANSWERS_A_SECOND = 4.0, 1.0
LONGEST_SECONDS = 240.0


@dataclass
class Audience:
    """People who ask all the time, and somebody who writes."""

    client: GatewayClient
    questions: tuple[str, ...]
    answered: Counter[str] = field(default_factory=Counter)
    """Questions by the index version that answered them."""
    failed: list[str] = field(default_factory=list)
    written: int = 0

    async def search(self) -> None:
        """Search without an end."""
        await self._ask(1.0 / SEARCHES_A_SECOND, self._search)

    async def ask(self) -> None:
        """Ask without an end."""
        await self._ask(1.0 / ANSWERS_A_SECOND, self._answer)

    async def write(self) -> None:
        """Add a note every two seconds."""
        while True:
            self.written += 1
            text = f"Note {self.written}: the lamp on quay {self.written} was mended."
            await self.client.create_document(
                COLLECTION, Upload(text.encode(), f"note-{self.written}.txt")
            )
            await asyncio.sleep(2.0)

    async def _ask(self, pause: float, one: object) -> None:
        number = 0
        while True:
            question = self.questions[number % len(self.questions)]
            number += 1
            try:
                self.answered[await one(question)] += 1  # type: ignore[operator]  # a method of this
            except RagmeshError as error:
                self.failed.append(f"{error.reason}: {error}")
            await asyncio.sleep(pause)

    async def _search(self, question: str) -> str:
        query = SearchQuery(COLLECTION, Question.parse(question), limit=5)
        return (await self.client.search(query)).index_version

    async def _answer(self, question: str) -> str:
        query = AskQuery(COLLECTION, Question.parse(question), cache=CacheMode.BYPASS)
        return (await self.client.ask(query)).index_version


async def fill(client: GatewayClient) -> tuple[str, ...]:
    """The handbook in its collection, and the questions that it is judged by."""
    await client.create_collection(NewCollection(COLLECTION, encoder=OLD))
    for path in sorted((EXAMPLES / "handbook").iterdir()):
        upload = Upload(path.read_bytes(), path.name, filename=path.name)
        accepted = await client.create_document(COLLECTION, upload)
        async for _job in client.watch_job(accepted.job_id):
            pass
    content = (EXAMPLES / "golden.jsonl").read_bytes()
    await client.set_golden_questions(COLLECTION, content.decode())
    return tuple(one.question.text for one in read_golden(content).questions)


def line_of(found: Migration) -> str:
    """What is worth a line when it changes."""
    shares = ", ".join(f"{one.index_version} {one.weight} %" for one in found.shares)
    filled = f"  filled {found.percent} %" if found.phase is MigrationPhase.BACKFILLING else ""
    held = f"  held by {found.held.by}: {found.held.reason}" if found.held else ""
    return f"{found.phase.value:<18} {shares}{filled}{held}  {found.reason}".rstrip()


async def watch(client: GatewayClient, audience: Audience) -> tuple[list[str], Migration]:
    """Show every change until the migration is over; the phases that were seen, and its end."""
    began, shown = time.monotonic(), ""
    phases: list[str] = []
    while True:
        found = await client.get_migration(COLLECTION)
        if not phases or phases[-1] != found.phase.value:
            phases.append(found.phase.value)
        if line_of(found) != shown:
            shown = line_of(found)
            asked = sum(audience.answered.values())
            print(f"{time.monotonic() - began:6.1f} s  {shown}  ({asked} answered)", flush=True)
        is_over = found.phase.rests and len(phases) > 1
        if is_over or found.held or time.monotonic() - began > LONGEST_SECONDS:
            return phases, found
        await asyncio.sleep(0.1)


def show_end(found: Migration, audience: Audience) -> None:
    """Metrics of both versions, and who was answered from which."""
    for one in found.verdicts:
        between = f"[{one.difference_low:+.4f}, {one.difference_high:+.4f}]"
        print(
            f"  {one.metric:<8} {one.serving:.4f} → {one.candidate:.4f} {between} "
            f"over {one.questions} questions: {one.verdict.value}"
        )
    for version, count in sorted(audience.answered.items()):
        print(f"  {count} questions were answered from {version}")
    print(f"  {audience.written} notes were written meanwhile")
    for failure in audience.failed[:5]:
        print(f"  failed: {failure}")


async def demonstrate(server: str) -> int:
    """The whole of it; 0 when nobody noticed."""
    async with gateway_client(server) as client:
        print("filling the collection with", OLD, flush=True)
        audience = Audience(client, await fill(client))
        change = IndexChange(encoder=NEW, policy=POLICY)
        estimate = await client.estimate_index(COLLECTION, change)
        print(f"asking for {NEW}: {estimate.documents} documents, {estimate.chunks} chunks")
        loops = [
            asyncio.create_task(loop)
            for loop in (audience.search(), audience.ask(), audience.write())
        ]
        try:
            await client.want_index(COLLECTION, change)
            phases, found = await watch(client, audience)
        finally:
            for loop in loops:
                loop.cancel()
            await asyncio.gather(*loops, return_exceptions=True)
        show_end(found, audience)
        page = await client.list_evaluations(COLLECTION, PageRequest())
        print(f"  {len(page.items)} evaluation is kept with the collection")
    end = {
        "phases": phases,
        "flips": found.flips,
        "failed": len(audience.failed),
        "verdict": None if found.verdict is None else found.verdict.value,
    }
    print(json.dumps(end))
    return 0 if (found.flips, len(audience.failed)) == (1, 0) else 1


def main() -> int:
    """Run it in a folder that is removed at the end."""
    with (
        tempfile.TemporaryDirectory(prefix="ragmesh-") as folder,
        running_mesh(folder, SETTINGS) as server,
    ):
        return asyncio.run(demonstrate(server))


if __name__ == "__main__":
    sys.exit(main())
