"""The program `ragmesh` as a process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """\
import sys
from ragmesh.app.main import main
sys.argv = ["ragmesh", "version"]
main()
import ragmesh.embedding.adapters.onnx
"""


def test_a_process_that_encodes_leaves_no_mark_of_the_runtimes_own_telemetry(
    tmp_path: Path,
) -> None:
    named = ("ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME")
    environ = {name: value for name, value in os.environ.items() if name not in named}

    subprocess.run(
        [sys.executable, "-c", PROGRAM],
        check=True,
        env=environ | {"HOME": str(tmp_path)},
        stdout=subprocess.DEVNULL,
    )

    # Where it is on, the runtime names this machine in a file below ~/.cache when it is imported.
    assert not list(tmp_path.rglob("deviceid"))
