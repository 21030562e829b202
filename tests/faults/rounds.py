"""Rounds of kill -9 on one data folder: each ends a mesh under load, and the next one finds it so.

A round is made by its seed: what is asked for, through which door, after how many answers the
mesh is killed, whether a parser is killed before, and whether the next start is killed as well.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.e2e.meshes import ROOT, EmbeddedMesh, environment, run_command, running
from tests.faults.doors import COLLECTION, AwayError, Doors, doors_of
from tests.faults.reader import Reader, found_of
from tests.faults.script import ANCHOR, Expected, Operation, Script
from tests.faults.stores import Remains, is_swept, remains_of

CHUNK_TOKENS = 40
WRITERS = (("anchor", "barn", "eagle", "fish"), ("hawk", "pygmy", "snow", "tawny"))
"""The documents of each writer, which waits for every answer before it asks for the next."""
MOST_ANSWERS = 24
MOST_DELAY_SECONDS = 0.4
RECOVERY_SECONDS = 3.0
SETTLE_SECONDS = 120.0
_LOOK_SECONDS = 0.1
_NUMBERS = 10_000
"""More than the writers use up in a round."""


@dataclass(slots=True)
class Tally:
    """What happened in all rounds."""

    kills: int = 0
    kills_of_starts: int = 0
    kills_of_parsers: int = 0
    acknowledged: int = 0
    unsure_happened: int = 0
    unsure_not: int = 0
    slowest_start: float = 0.0


@dataclass(slots=True)
class Chain:
    """Rounds on one data folder, and what every document should be after them."""

    data_dir: Path
    tally: Tally = field(default_factory=Tally)
    reader: Reader = field(default_factory=Reader)
    expected: dict[str, Expected] = field(
        default_factory=lambda: {name: Expected(name) for names in WRITERS for name in names}
    )
    happened: list[Operation] = field(default_factory=list)
    """Operations that took place, in an order that keeps that of each document."""
    unsure: dict[str, Operation] = field(default_factory=dict)
    """Operations that were under way at the kill, by document."""
    _number: int = _NUMBERS

    async def begin(self) -> None:
        """The collection with the document that readers must always find."""
        async with started(self.data_dir) as mesh, doors_of(mesh) as doors:
            await make_collection(doors)
            script = Script("the first", 0, 1)
            await self._ask(doors, script, ANCHOR)
            await self._settle(doors)
            assert mesh.stop() == 0, mesh.log

    async def round(self, seed: int) -> None:
        """Start, check what the last kill left, load, kill."""
        chance = Random(seed)
        begun = time.monotonic()
        async with started(self.data_dir) as mesh, doors_of(mesh) as doors:
            self.tally.slowest_start = max(self.tally.slowest_start, time.monotonic() - begun)
            await self._resolve(doors)
            async with asyncio.TaskGroup() as group:
                reading = group.create_task(self.reader.run(doors))
                for number, names in enumerate(WRITERS):
                    script = Script(f"{seed} {number}", self._number + number, len(WRITERS))
                    group.create_task(self._write(doors, script, names))
                await self._kill(mesh, chance)
                await reading
        self._number = 2 * self._number + 1_000  # whatever the writers have reached
        if chance.random() < 0.25:
            await asyncio.to_thread(
                kill_a_start, self.data_dir, chance.uniform(0, RECOVERY_SECONDS)
            )
            self.tally.kills_of_starts += 1

    async def finish(self) -> Remains:
        """What is there once everything has settled and been swept."""
        async with started(self.data_dir) as mesh, doors_of(mesh) as doors:
            await self._resolve(doors)
            await self._settle(doors)
            for expected in self.expected.values():
                assert await doors.is_as(expected), expected
            assert mesh.stop() == 0, mesh.log
        return remains_of(self.data_dir)

    async def _write(self, doors: Doors, script: Script, names: tuple[str, ...]) -> None:
        """Change documents one after the other until the mesh is gone."""
        with suppress(AwayError):
            while True:
                await self._ask(doors, script, script.random.choice(names))

    async def _ask(self, doors: Doors, script: Script, name: str) -> None:
        operation = script.next(self.expected[name])
        self.unsure[name] = operation
        revision = await doors.apply(operation, script.random)
        del self.unsure[name]
        self._count(operation)
        self.tally.acknowledged += 1
        assert revision == self.expected[name].revision, (operation, revision)
        if operation.kind == "delete":
            assert not await found_of(doors, name, "hybrid"), "a deleted document was found"

    def _count(self, operation: Operation) -> None:
        self.expected[operation.name] = operation.applied(self.expected[operation.name])
        self.happened.append(operation)

    async def _kill(self, mesh: EmbeddedMesh, chance: Random) -> None:
        wanted = self.tally.acknowledged + chance.randrange(1, MOST_ANSWERS)
        parser_at = self.tally.acknowledged + chance.randrange(1, 2 * MOST_ANSWERS)
        while self.tally.acknowledged < wanted:
            if self.tally.acknowledged == parser_at:
                parser_at = -1
                self.tally.kills_of_parsers += kill_a_parser(mesh.pids[0], chance)
            await asyncio.sleep(0.005)
        await asyncio.sleep(chance.uniform(0, MOST_DELAY_SECONDS))
        children = children_of(mesh.pids[0])
        os.kill(mesh.pids[0], signal.SIGKILL)
        self.tally.kills += 1
        late = time.monotonic() + 10
        while any(is_alive(child) for child in children):
            assert time.monotonic() < late, "parsers outlive their mesh"
            await asyncio.sleep(0.02)

    async def _resolve(self, doors: Doors) -> None:
        """See what became of the operations under way, and that all others were kept."""
        for operation in self.unsure.values():
            before = self.expected[operation.name]
            after = operation.applied(before)
            if after != before and await doors.is_as(after):
                self._count(operation)
                self.tally.unsure_happened += 1
            else:
                self.tally.unsure_not += 1
        self.unsure.clear()
        for expected in self.expected.values():
            assert await doors.is_as(expected), f"not as it was acknowledged: {expected}"

    async def _settle(self, doors: Doors) -> None:
        """Return once everything asked for is indexed and what is not wanted is swept."""
        wanted = {one.name: "INDEXED" for one in self.expected.values() if one.edition is not None}
        late = time.monotonic() + SETTLE_SECONDS
        while True:
            reply = await doors.call("GET", "/documents")
            states = {one["document_id"]: one["state"] for one in reply.json()["documents"]}
            if states == wanted and await asyncio.to_thread(is_swept, self.data_dir):
                return
            assert time.monotonic() < late, (states, wanted)
            await asyncio.sleep(_LOOK_SECONDS)


async def replayed(operations: list[Operation], data_dir: Path) -> Remains:
    """What a mesh that nothing happens to makes of the same operations."""
    clean = Chain(data_dir)
    door = Random(0)
    async with started(data_dir) as mesh, doors_of(mesh) as doors:
        await make_collection(doors)
        for operation in operations:
            await doors.apply(operation, door)
            clean._count(operation)
        await clean._settle(doors)
        assert mesh.stop() == 0, mesh.log
    return remains_of(data_dir)


async def make_collection(doors: Doors) -> None:
    """Of small chunks, so that documents have some and cost little."""
    body = {"name": COLLECTION, "chunking": {"max_tokens": CHUNK_TOKENS}}
    reply = await doors.rest.post("/collections", json=body)
    assert reply.status_code == 201, reply.text


@asynccontextmanager
async def started(data_dir: Path) -> AsyncIterator[EmbeddedMesh]:
    """A mesh, killed at the end of the block unless it has ended."""
    with ExitStack() as stack:
        mesh = await asyncio.to_thread(stack.enter_context, running(data_dir))
        yield mesh


def kill_a_start(data_dir: Path, after_seconds: float) -> None:
    """Start a mesh and kill it after so long, ready or not."""
    with subprocess.Popen(
        run_command(data_dir),
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        with suppress(subprocess.TimeoutExpired):
            process.wait(after_seconds)
        assert process.returncode is None, "the mesh did not start on what the kill left"
        process.kill()


def kill_a_parser(pid: int, chance: Random) -> int:
    """Kill one of the mesh's parser processes; how many."""
    children = children_of(pid)
    if not children:
        return 0
    with suppress(ProcessLookupError):
        os.kill(chance.choice(children), signal.SIGKILL)
    return 1


def children_of(pid: int) -> list[int]:
    """The processes that a process has started, whichever of its threads did."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(FileNotFoundError):
            found += map(int, (task / "children").read_text().split())
    return found


def is_alive(pid: int) -> bool:
    """Whether it still runs; one that has ended and waits for its parent does not."""
    with suppress(FileNotFoundError, ProcessLookupError):
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        return state not in "ZX"
    return False
