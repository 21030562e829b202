"""I2: whatever a folder holds, each file ends with text or a reason, and no question fails."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from ragmesh.clients.gateway import GatewayClient, gateway_client
from ragmesh.core.answers import AnswerStatus, AskQuery, CacheMode
from ragmesh.core.documents import JobState, NewCollection, Upload
from ragmesh.core.errors import RagmeshError
from ragmesh.core.questions import Question
from tools.bench.page import NOT_SAID, ROOT, Goal, Table
from tools.quickstart import running_mesh

AT_ONCE = 4
MOST_SECONDS = 20.0
COLLECTION = "messy"
_PAUSE_SECONDS = 0.2
_QUESTION = Question.parse("What does the harbour master of Elsewhere keep in the tower?")
_ANCHOR = b"The harbour master of Elsewhere keeps seven brass lanterns in the tower."

ABOUT = f"""\
Every file of a folder is uploaded, {AT_ONCE} at a time, while a question is asked five times a
second that one other document answers. Without FOLDER the files are whole, cut, empty and
renamed pieces of this project's examples. A file must end in text or in a stable reason, its
reading within {MOST_SECONDS:g} s."""


@dataclass(slots=True)
class Outcomes:
    """What became of files and questions."""

    files: int = 0
    found: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    answered: int = 0
    failed: list[str] = field(default_factory=list)


async def measure_messy(folder: Path | None) -> Table:
    """All files of the folder, through the door."""
    outcomes = Outcomes()
    with (
        tempfile.TemporaryDirectory(prefix="ragmesh-") as made,
        tempfile.TemporaryDirectory(prefix="ragmesh-") as data,
        running_mesh(data) as address,
    ):
        chosen = folder or _pieces(Path(made))
        async with gateway_client(address) as client, asyncio.TaskGroup() as group:
            await client.create_collection(NewCollection(COLLECTION))
            await _upload(client, "anchor", _ANCHOR, outcomes)
            outcomes.found.clear()
            asking = group.create_task(_ask(client, outcomes))
            waiting = iter([path for path in sorted(chosen.rglob("*")) if path.is_file()])

            async def some() -> None:
                for path in waiting:
                    outcomes.files += 1
                    content = await asyncio.to_thread(path.read_bytes)
                    await _upload(client, path.name, content, outcomes)

            await asyncio.gather(*(some() for _ in range(AT_ONCE)))
            asking.cancel()
    return _table(outcomes)


async def _upload(client: GatewayClient, name: str, content: bytes, outcomes: Outcomes) -> None:
    """Send a file and wait for its job; what became of it is counted."""
    try:
        accepted = await client.create_document(COLLECTION, Upload(content, filename=name))
    except RagmeshError as error:
        outcomes.found[f"refused {error.reason}"] += 1
        return
    async for last in client.watch_job(accepted.job_id):
        job = last
    reason = job.error.reason if job.error is not None else ""
    outcomes.found["text" if job.state is JobState.SUCCEEDED else f"failed {reason}"] += 1
    if job.started_at is not None and job.ended_at is not None:
        reading = dict(job.timings_ms).get("parse", 0.0) / 1e3
        if job.state is not JobState.SUCCEEDED:
            reading = (job.ended_at - job.started_at).total_seconds()
        outcomes.slowest = max(outcomes.slowest, reading)


async def _ask(client: GatewayClient, outcomes: Outcomes) -> None:
    query = AskQuery(COLLECTION, _QUESTION, cache=CacheMode.BYPASS)
    while True:
        begun = time.monotonic()
        try:
            answer = await client.ask(query)
            if answer.status is AnswerStatus.ANSWERED:
                outcomes.answered += 1
            else:
                outcomes.failed.append(answer.status.value)
        except RagmeshError as error:
            outcomes.failed.append(error.reason)
        await asyncio.sleep(max(0.0, _PAUSE_SECONDS - (time.monotonic() - begun)))


def _table(outcomes: Outcomes) -> Table:
    unexplained = sum(
        count
        for name, count in outcomes.found.items()
        if name in ("failed ", "failed INTERNAL", "refused INTERNAL")
    )
    kinds = [
        Goal(name, f"{count}", NOT_SAID, None, NOT_SAID)
        for name, count in outcomes.found.most_common()
    ]
    slowest = f"{outcomes.slowest:.1f} s"
    failed = len(outcomes.failed)
    goals = (
        Goal("files", f"{outcomes.files:,}", NOT_SAID, None, NOT_SAID),
        *kinds,
        Goal("without a reason", str(unexplained), "0", not unexplained, NOT_SAID),
        Goal("slowest reading", slowest, "≤ 20 s", outcomes.slowest <= MOST_SECONDS, NOT_SAID),
        Goal(
            "questions that failed",
            f"{failed} of {failed + outcomes.answered}",
            "0",
            not failed,
            NOT_SAID,
        ),
    )
    return Table("I2: messy files", ABOUT, goals, beside="beside")


def _pieces(folder: Path) -> Path:
    """The examples as they are, cut off, under wrong names, in other encodings, and empty."""
    for path in sorted((ROOT / "examples/handbook").iterdir()):
        content = path.read_bytes()
        text = content.decode(errors="replace")
        (folder / path.name).write_bytes(content)
        (folder / f"{path.stem}-cut.pdf").write_bytes(b"%PDF-1.7\n" + content[: len(content) // 2])
        (folder / f"{path.stem}-renamed.docx").write_bytes(content)
        (folder / f"{path.stem}-wide.txt").write_bytes(text.encode("utf-16"))
        (folder / f"{path.stem}-zip.pdf").write_bytes(b"PK\x03\x04" + content)
        (folder / f"{path.stem}-noise.txt").write_bytes(bytes(range(256)) * 40)
    (folder / "empty.txt").touch()
    return folder
