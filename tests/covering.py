"""Finds which lines of services/ run: `pytest -p tests.covering`, then `coverage combine`.

A tracer is asked at every call of every library, and more than doubles what the tests cost. Here
each line of ours carries a probe in its bytecode. What was hit is written as coverage.py's data, so
that coverage.py judges and reports. Processes that tests start carry no probes; what they run is
covered by the tests of its parts.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from coverage import CoverageData
from slipcover import FileMatcher, ImportManager, Slipcover

ROOT = Path(__file__).resolve().parent.parent
WRITTEN = ROOT / "services" / "ragmesh"
GENERATED = WRITTEN / "api"

# Probes stay: to take out those that were hit, it walks and patches what other threads are running,
# which has made calls fail, and processes crash.
_probes = Slipcover(d_miss_threshold=2**31 - 1)
_ours = FileMatcher(sources=[WRITTEN], omit=[f"{GENERATED}/*"])
# At once, not in a hook: what conftests import before it would carry no probes.
ImportManager(_probes, _ours).__enter__()


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    """Write what this process has hit; files that nobody imported count, too."""
    found = _probes.get_coverage()["files"]
    hit = {ROOT / name: lines["executed_lines"] for name, lines in found.items()}
    files = (path for path in WRITTEN.rglob("*.py") if not path.is_relative_to(GENERATED))
    data = CoverageData(str(ROOT / ".coverage"), suffix=str(os.getpid()))
    data.add_lines({str(path): hit.get(path, ()) for path in files})
    data.write()
