"""A mesh in one process and an operator beside it, as programs."""

from __future__ import annotations

import json
import math
import os
import random
import selectors
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tools.processes import Command, Process

BIN = Path(sys.executable).parent
START_SECONDS = 90.0
FAST = {"RAGMESH_PACE__SETTLED_SECONDS": "3", "RAGMESH_PACE__MOVING_SECONDS": "0.3"}
_DIMENSION = 384


@dataclass(frozen=True)
class RunningMesh:
    """A mesh that serves."""

    process: Process
    data_dir: Path
    ready: dict[str, Any]

    def cli(self, *arguments: str | Path) -> str:
        """What a command prints; it must succeed."""
        ran = subprocess.run(
            [BIN / "ragmesh", *arguments],
            env={**os.environ, "RAGMESH_SERVER": self.ready["grpc"]},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout


@contextmanager
def running_mesh(folder: Path, encoders: str) -> Iterator[RunningMesh]:
    """A mesh of one process that the operator may call."""
    folder.mkdir(parents=True)
    config = folder / "ragmesh.yaml"
    config.write_text(
        f"embedding:\n  encoders:\n{encoders}"
        "indexing:\n  migration_documents_per_second: 50\n  route_lease_seconds: 600\n"
    )
    data_dir = folder / "data"
    words = [str(BIN / "ragmesh"), "run", "--target=all", f"--data-dir={data_dir}", "--json"]
    words += [f"--{name}=127.0.0.1:0" for name in ("http", "grpc", "internal-grpc")]
    words += ["--internal-http=127.0.0.1:0", f"--config={config}"]
    with (folder / "mesh.log").open("w") as log:
        process = Process.start(Command(words, dict(os.environ), subprocess.PIPE, log))
    try:
        out = process.popen.stdout
        assert out is not None
        with selectors.DefaultSelector() as selector:
            selector.register(out, selectors.EVENT_READ)
            line = out.readline() if selector.select(START_SECONDS) else ""
        assert line, (folder / "mesh.log").read_text()[-2000:]
        yield RunningMesh(process, data_dir, json.loads(line))
    finally:
        process.kill()
        if process.popen.stdout is not None:
            process.popen.stdout.close()


@dataclass
class RunningOperator:
    """An operator between an API server and a mesh, that can be killed and started again."""

    mesh: RunningMesh
    kubeconfig: Path
    log: Path
    namespaces: tuple[str, ...] = ()
    process: Process | None = None
    pace: Mapping[str, str] = field(default_factory=lambda: FAST)

    def environ(self) -> dict[str, str]:
        """Variables that it is started with."""
        return {
            **os.environ,
            "KUBECONFIG": str(self.kubeconfig),
            "RAGMESH_DATA_DIR": str(self.mesh.data_dir),
            "RAGMESH_NAMESPACES": json.dumps(self.namespaces),
            "RAGMESH_MESH__INDEXING": self.mesh.ready["internal_grpc"],
            "RAGMESH_PROBE": "http://127.0.0.1:0/healthz",
            **self.pace,
        }

    def start(self) -> None:
        """Start one; it goes on in the same log."""
        with self.log.open("a") as out:
            command = Command([str(BIN / "ragmesh-operator")], self.environ(), out, out)
            self.process = Process.start(command)

    def kill(self) -> None:
        """End it without a word."""
        if self.process is not None and self.process.runs:
            self.process.kill()
        self.process = None

    def leave(self) -> subprocess.CompletedProcess[str]:
        """Have it let go of what it holds."""
        return subprocess.run(
            [BIN / "ragmesh-operator", "leave"],
            env=self.environ(),
            capture_output=True,
            text=True,
            timeout=40,
            check=False,
        )


class _Scattering(BaseHTTPRequestHandler):
    """Answers texts with vectors that have nothing to do with what they mean."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        texts = asked["input"] if isinstance(asked["input"], list) else [asked["input"]]
        rows = [{"index": at, "embedding": _scattered(text)} for at, text in enumerate(texts)]
        usage = {"prompt_tokens": 1, "total_tokens": 1}
        reply = {"object": "list", "model": asked["model"], "data": rows, "usage": usage}
        content = json.dumps(reply).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Nothing."""


def _scattered(text: str) -> list[float]:
    chance = random.Random(text)
    found = [chance.gauss(0, 1) for _ in range(_DIMENSION)]
    length = math.sqrt(sum(one * one for one in found))
    return [one / length for one in found]


@contextmanager
def scattering_endpoint(host: str = "127.0.0.1") -> Iterator[str]:
    """The URL of an encoder that is no good."""
    server = ThreadingHTTPServer((host, 0), _Scattering)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://{host}:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()
