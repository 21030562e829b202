"""The one mesh that all pages speak to, in a folder that looks like a fresh clone."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from tests.docs.console import replaced
from tests.docs.pages import ROOT

BIN = ROOT / ".venv" / "bin"
COMMAND = ("ragmesh", "run", "--target=all", "--data-dir", ".data")
HTTP, GRPC = "127.0.0.1:8080", "127.0.0.1:50051"
"""Where the pages say that a mesh listens."""
_READY = re.compile(r"http://(?P<http>[\d.:]+)/docs, gRPC (?P<grpc>[\d.:]+)\.")
_STOP_SECONDS = 30


class DocsMesh:
    """Starts, stops and finds the mesh; commands run in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ready_line = ""
        self.addresses: dict[str, str] = {}
        self._process: subprocess.Popen[str] | None = None
        for name in ("examples", ".venv"):
            (folder / name).symlink_to(ROOT / name)

    def start(self) -> None:
        """Return when it serves; what it said stands in `ready_line`, as on its usual ports."""
        log = self.folder / "mesh.log"
        with log.open("a") as stderr:
            self._process = subprocess.Popen(
                [*COMMAND, "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"],
                executable=str(Path(sys.executable).with_name("ragmesh")),
                cwd=self.folder,
                env=_kept_environ(),
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        match = _READY.search(line)
        assert match is not None, f"the mesh did not start: {line}\n{log.read_text()}"
        self.addresses = {HTTP: match["http"], GRPC: match["grpc"]}
        self.ready_line = replaced(line, {real: page for page, real in self.addresses.items()})

    def stop(self) -> int:
        """Stop it as Ctrl-C does; its exit code."""
        process, self._process = self._process, None
        assert process is not None
        process.terminate()
        try:
            return process.wait(_STOP_SECONDS)
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            if process.stdout is not None:
                process.stdout.close()

    def environ(self, tools: Path) -> dict[str, str]:
        """What a reader's shell has: the commands on the path, and where the mesh is."""
        path = os.pathsep.join((str(BIN), str(tools), os.environ["PATH"]))
        return {**_kept_environ(), "PATH": path, "RAGMESH_SERVER": self.addresses[GRPC]}


def _kept_environ() -> dict[str, str]:
    """The environment without settings of a mesh."""
    return {name: value for name, value in os.environ.items() if not name.startswith("RAGMESH_")}
