"""What a process of each target really loads, opens, listens on and dials."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

PROGRAM = """
import asyncio, json, os, sys
from pathlib import Path
from ragmesh.app.run import build
from ragmesh.app.settings import Settings
from ragmesh.app.wiring import Wiring
from ragmesh.chassis.clocks import SystemClock
from ragmesh.chassis.lifecycle import Lifecycle
from ragmesh.chassis.settings import load

target, folder = sys.argv[1:]
flags = {"target": target, "data_dir": folder, "internal.http": "127.0.0.1:0"}
if target in ("all", "gateway"):
    flags |= {"gateway.http": "127.0.0.1:0", "gateway.grpc": "127.0.0.1:0"}
else:
    flags |= {"internal.grpc": "127.0.0.1:0"}
settings = load(Settings, config_file=None, environ={}, overrides=flags)

def held():
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            path = descriptor.readlink()
        except FileNotFoundError:
            continue
        if path.is_relative_to(folder):
            yield path.relative_to(folder).parts[0]

async def main():
    async with Lifecycle() as life:
        wiring = Wiring(settings, life, SystemClock(), False)
        await build(wiring)
        print(json.dumps({
            "opens": sorted(set(held())),
            "listens": sorted(wiring.listening),
            "dials": sorted(wiring.channels),
            "loaded": sorted({name.partition(".")[0] for name in sys.modules}),
        }))

asyncio.run(main())
"""
HEAVY = {
    "alembic", "apsw", "fastapi", "numpy", "onnxruntime", "rich",
    "sqlalchemy", "tantivy", "tokenizers", "trafilatura",
}  # fmt: skip
"""What takes time or memory to import; the parsers of files run in processes of their own."""
STORES = {"catalog.db", "events.db"}


@dataclass(frozen=True)
class Expected:
    """What a process of one target is made of."""

    listens: set[str]
    dials: set[str]
    opens: set[str]
    loaded: set[str]


INTERNAL = {"internal_grpc", "internal_http"}
PUBLIC = {"grpc", "http", "internal_http"}
INDEX = {"apsw", "numpy", "tantivy"}
CATALOG = {"apsw", "sqlalchemy"}
ENCODERS = {"numpy", "onnxruntime", "tokenizers"}
TARGETS = {
    "cache": Expected(INTERNAL, set(), set(), set()),
    "embedding": Expected(INTERNAL, {"cache"}, set(), ENCODERS),
    "generation": Expected(INTERNAL, set(), set(), {"numpy"}),
    "retrieval": Expected(INTERNAL, {"embedding", "indexing"}, {"index"}, INDEX),
    "indexing": Expected(INTERNAL, {"cache", "embedding", "retrieval"}, STORES, CATALOG),
    "gateway": Expected(
        PUBLIC,
        {"cache", "embedding", "generation", "indexing", "retrieval"},
        {"spool"},
        {"apsw", "fastapi"},
    ),
    "all": Expected(
        PUBLIC, set(), STORES | {"index", "spool"}, CATALOG | ENCODERS | INDEX | {"fastapi"}
    ),
}


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_is_made_of_what_it_runs_and_of_nothing_else(target: str, tmp_path: Path) -> None:
    found = started(target, tmp_path / "data")
    expected = TARGETS[target]
    assert set(found["listens"]) == expected.listens
    assert set(found["dials"]) == expected.dials
    assert {re.sub(r"-wal|-shm|\.lock", "", path) for path in found["opens"]} == expected.opens
    assert HEAVY & set(found["loaded"]) == expected.loaded


def started(target: str, folder: Path) -> dict[str, Any]:
    """What a process of the target says of itself once it serves, its peers being away."""
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, target, str(folder)],
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert ran.returncode == 0, ran.stderr
    facts: dict[str, Any] = json.loads(ran.stdout)
    return facts
