"""What one question costs more when it goes through five processes instead of one."""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ragmesh.clients.gateway import GatewayClient, gateway_client
from ragmesh.core.answers import AskQuery, CacheMode
from ragmesh.core.questions import Question
from tools.bench.handbook import HANDBOOK, fill_handbook, new_questions
from tools.bench.loads import one_by_one
from tools.bench.page import NOT_SAID, Goal, Table
from tools.mesh_processes import MeshProcesses
from tools.quickstart import running_mesh
from tools.split import Ports

ROUNDS = 9
QUESTIONS = 30
MOST_ADDED = 0.006

ABOUT = f"""\
`Ask` over gRPC on the example handbook, the same mesh as one process and as one process a target
on the same machine, without a collector. {ROUNDS} rounds, both in turns: {QUESTIONS} questions
one by one that were not asked before, past the answer cache, so that each is embedded, searched
and answered. Medians of the rounds."""


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two meshes."""

    client: GatewayClient
    asked: Iterator[Question] = field(default_factory=new_questions)
    rounds: list[float] = field(default_factory=list)
    """Median seconds of a question, one a round."""

    async def ask(self) -> object:
        """Have the next question answered."""
        query = AskQuery(HANDBOOK, next(self.asked), cache=CacheMode.BYPASS)
        return await self.client.ask(query)


async def measure_question(_folder: Path | None) -> Table:
    """Both meshes in turns, so that whatever else the machine does happens to both."""
    with _meshes() as (embedded, split):
        async with _side(embedded) as whole, _side(split) as parts:
            for _ in range(ROUNDS):
                for side in (whole, parts):
                    taken = await one_by_one(side.ask, QUESTIONS)
                    side.rounds.append(taken.quantile(0.5))
    return _table(whole.rounds, parts.rounds)


@contextmanager
def _meshes() -> Iterator[tuple[str, str]]:
    with tempfile.TemporaryDirectory(prefix="ragmesh-") as folder:
        one = Path(folder, "one")
        one.mkdir()
        with running_mesh(str(one)) as embedded, _separate(Path(folder, "many")) as split:
            yield embedded, split


@contextmanager
def _separate(data_dir: Path) -> Iterator[str]:
    ports = Ports.free()
    mesh = MeshProcesses(data_dir, lambda _: subprocess.DEVNULL, ports, dict(os.environ))
    try:
        mesh.start()
        yield ports.public_grpc
        mesh.stop()
    finally:
        mesh.close()


@asynccontextmanager
async def _side(address: str) -> AsyncIterator[Side]:
    """A mesh that knows the handbook and is warm."""
    async with gateway_client(address) as client:
        await fill_handbook(client)
        side = Side(client)
        await one_by_one(side.ask, QUESTIONS)
        yield side


def _table(whole: list[float], parts: list[float]) -> Table:
    one, many = statistics.median(whole), statistics.median(parts)
    added = statistics.median(b - a for a, b in zip(whole, parts, strict=True))
    goals = (
        Goal("a question, p50", _ms(many), NOT_SAID, None, _ms(one)),
        Goal("added by the seams, p50", _ms(added), "≤ 6 ms", added <= MOST_ADDED, NOT_SAID),
    )
    return Table("A question through five processes", ABOUT, goals, beside="one process")


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.2f} ms"
