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
    # The environment is read here once and handed down to settings and clients.
    found = Surroundings(dict(os.environ))  # noqa: TID251
    return exit_code(lambda: ragmesh.main(prog_name="ragmesh", standalone_mode=False, obj=found))
