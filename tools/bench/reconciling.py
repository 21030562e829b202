"""From a resource to what the mesh does of it: an operator between a real API server and a mesh."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ragmesh_operator.schemas import KINDS, definition
from tests.servers.operator.api_server import KubeServer, kube_server
from tests.servers.operator.processes import RunningOperator, running_mesh
from tests.servers.operator.resources import collection
from tools.bench.page import NOT_SAID, Goal, Table

RESOURCES, KILLS = 20, 5
MOST_RESTART_SECONDS = 30.0
_LOOK_SECONDS = 0.02
_LONGEST_SECONDS = 60.0
_PLACE = "/apis/ragmesh.dev/v1alpha1/namespaces/default/ragcollections"

ABOUT = f"""\
kube-apiserver and etcd, a mesh in one process and the operator, all on this machine and with the
operator's own pace. {RESOURCES} collections are made and then changed, one after the other: the
time from kubectl's answer until the status says of that generation that it is applied and Ready.
Then the operator is killed and started anew {KILLS} times while a collection was changed: from
its start until that is applied. The API server is asked every {_LOOK_SECONDS * 1e3:g} ms."""


async def measure_reconciling(_folder: Path | None) -> Table:
    """In a thread: kubectl and the servers are waited for."""
    return await asyncio.to_thread(_measure)


def _measure() -> Table:
    with (
        tempfile.TemporaryDirectory(prefix="ragmesh-") as name,
        kube_server(Path(name) / "kube") as kube,
        running_mesh(Path(name) / "mesh", "    - {name: exact, kind: exact}\n") as mesh,
    ):
        kube.apply(*(definition(kind) for kind in KINDS))
        names = [f"crd/{kind.plural}.ragmesh.dev" for kind in KINDS]
        kube.kubectl("wait", "--for=condition=Established", *names, "--timeout=30s")
        operator = RunningOperator(mesh, kube.kubeconfig(), Path(name) / "operator.log", pace={})
        operator.start()
        try:
            _made(kube, "warming")
            created = [_made(kube, f"c{number}") for number in range(RESOURCES)]
            changed = [_changed(kube, f"c{number}") for number in range(RESOURCES)]
            restarted = [_restarted(kube, operator, f"c{number}") for number in range(KILLS)]
        finally:
            operator.kill()
    return Table("From a resource to the mesh", ABOUT, _goals(created, changed, restarted), "-")


def _made(kube: KubeServer, name: str) -> float:
    return _applied(kube, name, lambda: kube.apply(collection(name)))


def _changed(kube: KubeServer, name: str) -> float:
    wanted = collection(name, defaultAccess="restricted")
    return _applied(kube, name, lambda: kube.apply(wanted))


def _restarted(kube: KubeServer, operator: RunningOperator, name: str) -> float:
    operator.kill()
    kube.apply(collection(name, defaultAccess="open"))
    return _applied(kube, name, operator.start)


def _applied(kube: KubeServer, name: str, begin: Callable[[], object]) -> float:
    """Seconds from what is begun until the status says that the resource is carried out."""
    begin()
    begun = time.perf_counter()
    while not _is_ready(kube.read(f"{_PLACE}/{name}")):
        if time.perf_counter() - begun > _LONGEST_SECONDS:
            raise SystemExit(f"{name} does not become Ready, the run is void")
        time.sleep(_LOOK_SECONDS)
    return time.perf_counter() - begun


def _is_ready(body: dict[str, Any]) -> bool:
    generation, status = body["metadata"]["generation"], body.get("status", {})
    told = (status.get("observedGeneration"), status.get("appliedGeneration"))
    ready = [one["status"] for one in status.get("conditions", ()) if one["type"] == "Ready"]
    return told == (generation, generation) and ready == ["True"]


def _goals(created: list[float], changed: list[float], restarted: list[float]) -> tuple[Goal, ...]:
    slowest = max(restarted)
    return (
        _told("made, until Ready", created),
        _told("changed, until applied", changed),
        Goal(
            "after a kill, slowest",
            f"{slowest:.2f} s",
            f"≤ {MOST_RESTART_SECONDS:g} s",
            slowest <= MOST_RESTART_SECONDS,
            NOT_SAID,
        ),
    )


def _told(name: str, seconds: list[float]) -> Goal:
    middle, slowest = statistics.median(seconds), max(seconds)
    return Goal(
        f"{name}, p50 and slowest", f"{middle:.2f} s, {slowest:.2f} s", NOT_SAID, None, NOT_SAID
    )
