"""`make soak-cluster`: renewals, a burst and rollouts on a cluster, onto docs/reference/cluster.md.

`make test-cluster` does a few of the same things. What is finished of a commit is kept beside, so
that the next call goes on behind it.
"""

from __future__ import annotations

import argparse
import math
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import httpx

from tests.cluster.conftest import (
    TEXTS,
    distributed_mesh,
    distributed_values,
    image_on_nodes,
    named_cluster,
    named_host,
    running_servers,
)
from tests.cluster.load import RATE, fill
from tests.cluster.releases import SERVICES, Door, HelmError, Release, Values, make_identity
from tests.folders import folder_in_memory
from tests.soak.cluster_freezing import freeze_operator
from tests.soak.cluster_load import COLLECTION, Outcome, under_load
from tests.soak.cluster_rollouts import Rolling
from tests.soak.cluster_scaling import scale_by_keda
from tests.soak.cluster_tasks import (
    ALL_RESTARTS,
    BAD,
    FROZEN,
    GOOD,
    KEDA,
    PARTS,
    RESTARTS,
    Result,
    Task,
    extent,
    tasks,
)
from tests.soak.keeping import add_lines, kept_of, read_lines
from tests.soak.pages import write_page
from tools.cluster.kubectl import KubectlError

ABOUT = f"""\
A Kubernetes of one node, the distributed mesh of the chart in it with two pods of each service, and
Kafka, Weaviate, PostgreSQL, Redis and S3 beside it. Meanwhile {RATE} calls a second are made at its
doors, of 21 one question, one upload and searches else, every other one on a new connection.
A call has failed if it was not answered within 15 seconds, was refused, or found nothing. After
each step every document that was uploaded must be there once, and be found."""
PROMISES = {
    RESTARTS: "0 failed calls",
    FROZEN: "0 writes",
    KEDA: "all partitions, ≤ 2 turns, nothing lost, doubled or stale",
    GOOD: "0 failed calls",
    BAD: "given up, 0 failed calls",
}
_FAULTS = (
    *(AssertionError, HelmError, KubectlError, httpx.HTTPError),
    *(subprocess.SubprocessError, TimeoutError),
)


@dataclass
class Soaked:
    """The mesh that everything is done to."""

    release: Release
    door: Door
    rolling: Rolling
    usual: Values
    is_whole: bool = True
    """False after something that came to no end."""

    def perform(self, task: Task) -> Result:
        """Do it; what came of it."""
        begun = time.monotonic()
        try:
            outcome = self._perform(task)
        except _FAULTS as error:
            self.is_whole, outcome = False, Outcome("it came to no end", repr(error))
        seconds = time.monotonic() - begun
        promised = PROMISES[task.part]
        return Result(
            *(task.name, task.part, outcome.measured, promised),
            seconds=round(seconds, 1),
            broken=outcome.broken,
        )

    def _perform(self, task: Task) -> Outcome:
        if task.part == RESTARTS:
            return under_load(self.door, self.release.restart_all)
        if task.part == FROZEN:
            return freeze_operator(self.release, named_host())
        if task.part == KEDA:
            return scale_by_keda(self.release, self.usual, named_host())
        return self.rolling.perform(task)


@contextmanager
def soaked() -> Iterator[Soaked]:
    """A mesh for the time of the block."""
    kubectl, image = named_cluster(), image_on_nodes()
    with folder_in_memory() as folder, running_servers(named_host()) as backing:
        make_identity(folder)
        values = distributed_values(backing)
        with distributed_mesh(kubectl, image, folder, values) as release:
            door = Door.of(release)
            fill(door, COLLECTION, TEXTS)
            rolling = Rolling(release, door, values)
            yield Soaked(release, door, rolling, values)


def write(results: Sequence[Result]) -> None:
    """Replace the page."""
    parts = [part for part in PARTS if any(one.part == part for one in results)]
    restarts = sum(one.part == RESTARTS for one in results)
    write_page(
        "cluster.md",
        "On a cluster, for long",
        f'make soak-cluster PARTS="{" ".join(parts)}"'
        + (f" RESTARTS={restarts}" if restarts else ""),
        ABOUT,
        extent=extent(results),
        rows=[one.row() for one in results],
    )


def main() -> int:
    """1 when a promise was broken."""
    chosen = _chosen()
    late = time.monotonic() + 60 * chosen.minutes
    path = kept_of("soak-cluster")
    results = [Result.read(line) for line in read_lines(path)]
    done = {one.name for one in results}
    wanted = tasks(chosen.parts, restarts=chosen.restarts, services=chosen.services)
    left = [task for task in wanted if task.name not in done]
    if left:
        with soaked() as mesh:
            for result in _performed(mesh, left, late):
                results.append(result)
                add_lines(path, [asdict(result)])
                write(results)
    broken = [f"{one.name}: {one.broken}" for one in results if one.broken]
    print(*broken, sep="\n")
    return int(bool(broken))


def _performed(mesh: Soaked, left: Sequence[Task], late: float) -> Iterator[Result]:
    """Results of tasks; none begins too late, nor on a mesh in an unknown state."""
    for task in left:
        if time.monotonic() > late or not mesh.is_whole:
            return
        result = mesh.perform(task)
        print(f"{result.name}: {result.measured}, {result.seconds} s {result.broken}", flush=True)
        yield result


def _chosen() -> Any:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--restarts", type=int, default=ALL_RESTARTS)
    parser.add_argument("--services", nargs="+", choices=SERVICES, default=SERVICES)
    parser.add_argument("--minutes", type=float, default=math.inf)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
