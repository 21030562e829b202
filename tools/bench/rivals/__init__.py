"""What ragmesh is measured beside: each in an environment of its own, made once and kept."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ragmesh.chassis.settings.folders import cache_folder

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True, slots=True)
class Rival:
    """A rival's process, which answers a line of JSON with a line of JSON."""

    process: subprocess.Popen[str]
    versions: dict[str, str]
    start_seconds: float
    """From the start of its process to its first vector."""

    def ask(self, **request: Any) -> dict[str, Any]:
        """Its answer."""
        stdin, stdout = self.process.stdin, self.process.stdout
        if stdin is None or stdout is None:
            raise RuntimeError("the process was started without pipes")
        print(json.dumps(request), file=stdin, flush=True)
        line = stdout.readline()
        if not line:
            raise RuntimeError("the rival ended; what it said stands above")
        answer: dict[str, Any] = json.loads(line)
        return answer


def environment(name: str) -> Path:
    """The folder of an environment with what `<name>.txt` lists; made if it is not there."""
    listed = HERE / f"{name}.txt"
    digest = hashlib.sha256(listed.read_bytes() + sys.version.encode()).hexdigest()
    folder = cache_folder() / "bench" / name
    complete = folder / ".complete"
    if not complete.exists() or complete.read_text("ascii") != digest:
        print(f"making {folder}: some gigabytes, once", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        pip = [str(folder / "bin/python"), "-m", "pip", "install", "--quiet", "-r", str(listed)]
        subprocess.run(pip, check=True)
        complete.write_text(digest, "ascii")
    return folder


@contextmanager
def rival(
    name: str,
    program: str,
    *arguments: object,
    niceness: int = 0,
    beside: Sequence[str] = (),
) -> Iterator[Rival]:
    """The program of this folder in the rival's environment, ready, for the time of the block.

    What is installed for others `beside` it can be imported too: nobody wants torch twice.
    """
    python = environment(name) / "bin" / "python"
    others = [str(next(environment(other).glob("lib/python*/site-packages"))) for other in beside]
    command = ["nice", "-n", str(niceness), str(python), str(HERE / program)]
    command += map(str, arguments)
    begun = time.perf_counter()
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=HERE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(others)},
    ) as process:
        try:
            first = process.stdout.readline() if process.stdout else ""
            if not first:
                raise RuntimeError(f"{name} does not start; what it said stands above")
            yield Rival(process, json.loads(first), time.perf_counter() - begun)
        finally:
            process.kill()
