"""The program `ragmesh`."""

from __future__ import annotations

import io
import os
import sys

from ragmesh.app.cli.failing import exit_code
from ragmesh.app.cli.root import ragmesh
from ragmesh.app.cli.surroundings import Surroundings


def main() -> int:
    """Run the command that the arguments name; the exit code is its result."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A quote with a character that the terminal's encoding lacks is no reason to fail.
            stream.reconfigure(errors="replace")
    # gRPC's core writes lines of its own to stderr, which is for records and one-line errors; what
    # it has to say about certificates is found out and told by `chassis.tls.diagnosis`.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # noqa: TID251
    # ONNX Runtime would tell its maker what runs here, unless it finds this when it is imported.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # noqa: TID251
    # The environment is read here once and handed down to settings and clients.
    found = Surroundings(dict(os.environ))  # noqa: TID251
    return exit_code(lambda: ragmesh.main(prog_name="ragmesh", standalone_mode=False, obj=found))
