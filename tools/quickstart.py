"""The first five minutes: start a mesh, add the example handbook, ask, and see what it cost.

Everything happens through the command line that a user has, on a fresh data directory that is
removed at the end. Exits 1 when an answer misses what the handbook says.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RAGMESH = Path(sys.executable).with_name("ragmesh")
HANDBOOK = Path("examples/handbook")
COLLECTION = "handbook"


@dataclass
class Tour:
    """A mesh, the commands run against it, and how long each stage took."""

    server: str
    stages: list[tuple[str, float]] = field(default_factory=list)

    def run(self, *command: str) -> str:
        """Show a command and its output as it comes; its output once more as the result."""
        shown = " ".join(f'"{part}"' if " " in part else part for part in command)
        print(f"\n$ ragmesh {shown}", flush=True)
        output: list[str] = []
        with subprocess.Popen(
            [str(RAGMESH), *command, "--server", self.server],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        ) as client:
            assert client.stdout is not None  # noqa: S101 - what PIPE means
            while piece := client.stdout.read(1):
                output.append(piece)
                print(piece, end="", flush=True)
        if client.returncode:
            raise SystemExit(f"quickstart: that command failed with {client.returncode}")
        return "".join(output)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Remember how long the block took under this name."""
        began = time.perf_counter()
        yield
        self.stages.append((name, time.perf_counter() - began))


@contextmanager
def running_mesh(data_dir: str, settings: Mapping[str, str] | None = None) -> Iterator[str]:
    """Start the embedded mesh on free ports; its gRPC address until the block ends."""
    command = [str(RAGMESH), "run", "--target=all", "--data-dir", data_dir, "--json"]
    with (
        Path(data_dir, "mesh.log").open("w") as log,
        subprocess.Popen(
            [*command, "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"],
            cwd=ROOT,
            env={**os.environ, **(settings or {})},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as mesh,
    ):
        assert mesh.stdout is not None  # noqa: S101 - what PIPE means
        ready = mesh.stdout.readline()
        if not ready:
            raise SystemExit(f"the mesh does not start: {Path(log.name).read_text().strip()}")
        try:
            yield json.loads(ready)["grpc"]
        finally:
            mesh.terminate()
            mesh.wait(30)


def missing_from(output: str, expected: Sequence[str]) -> list[str]:
    """What the output does not say; white space does not count."""
    said = " ".join(output.split())
    return [words for words in expected if " ".join(words.split()) not in said]


def main() -> int:
    """Take the tour; 0 when every answer said what the handbook says."""
    questions = json.loads((ROOT / "examples/questions.json").read_text(encoding="utf-8"))
    began = time.perf_counter()
    missing: list[str] = []
    with tempfile.TemporaryDirectory(prefix="ragmesh-") as folder, running_mesh(folder) as server:
        tour = Tour(server, [("start the mesh", time.perf_counter() - began)])
        with tour.stage("add the handbook"):
            tour.run("collections", "create", COLLECTION)
            tour.run("documents", "add", str(HANDBOOK), "-c", COLLECTION)
        for asked in questions["answerable"]:
            with tour.stage(asked["question"]):
                answer = tour.run("ask", asked["question"], "-c", COLLECTION)
            missing += missing_from(answer, [asked["answer_contains"], asked["document"]])
        for asked in questions["unanswerable"]:
            with tour.stage(asked["question"]):
                answer = tour.run("ask", asked["question"], "-c", COLLECTION)
            missing += missing_from(answer, ["NO_CONTEXT"])
    print("\nWhat it took, in seconds, the start of each command included:")
    for name, seconds in [*tour.stages, ("all of it", time.perf_counter() - began)]:
        print(f"{seconds:7.2f}  {name}")
    for words in missing:
        print(f"quickstart: no answer said {words!r}", file=sys.stderr)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
