"""An operator that is stopped in the middle of its life, and wakes beside its successor."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cluster.operated import Operated
from tools.processes import await_condition

LOOK_SECONDS = 6.0
"""More than a look of the operator that is awake."""
WATCHED_SECONDS = 8.0
"""More than a look of both."""
APPLIED_SECONDS = 45
DEPLOYMENT = "deployment/operator-ragmesh-operator"


@dataclass(frozen=True)
class Wake:
    """What became of a resource when the former operator woke."""

    frozen_seconds: float
    settled: dict[str, Any]
    """The resource before it woke."""
    changed: list[dict[str, Any]]
    """Every version of it since."""


def wake_beside_its_successor(
    operated: Operated, process: int, name: str, *, frozen_seconds: float = 0.0, **spec: Any
) -> Wake:
    """Stop an operator, have a second one carry a change out, and let the first go on."""
    with _stopped(process):
        begun = time.monotonic()
        generation = operated.patch(name, **spec)
        _scale(operated, 2)
        applied = f"jsonpath={{.status.appliedGeneration}}={generation}"
        operated.wait(name, applied, seconds=APPLIED_SECONDS)
        time.sleep(max(LOOK_SECONDS, begun + frozen_seconds - time.monotonic()))
        with operated.watching(name) as versions:
            os.kill(process, signal.SIGCONT)
            frozen = time.monotonic() - begun
            time.sleep(WATCHED_SECONDS)
            settled, *changed = versions()
    _scale(operated, 1)
    here = operated.operator.namespace
    assert await_condition(lambda: len(here.pods("operator")) == 1, 60)
    return Wake(frozen, settled, changed)


@contextmanager
def _stopped(process: int) -> Iterator[None]:
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)


def _scale(operated: Operated, replicas: int) -> None:
    here = operated.operator.namespace
    here.kubectl.run("scale", DEPLOYMENT, f"--replicas={replicas}", "-n", here.name)


def process_of(pod: dict[str, Any]) -> int | None:
    """The process of a pod with one container; None = it does not run on this machine."""
    uid = pod["metadata"]["uid"]
    found = (
        int(folder.name)
        for folder in Path("/proc").iterdir()
        if folder.name.isdigit() and _is_of(folder, uid) and b"ragmesh-operator" in _words(folder)
    )
    return next(found, None)


def _is_of(folder: Path, uid: str) -> bool:
    try:
        told = (folder / "cgroup").read_text()
    except OSError:
        return False
    return uid in told or uid.replace("-", "_") in told


def _words(folder: Path) -> bytes:
    try:
        return (folder / "cmdline").read_bytes()
    except OSError:
        return b""
