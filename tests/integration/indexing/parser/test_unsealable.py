"""Where the kernel cannot seal, a mesh says so and what to do, and does as it is told."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ragmesh.core.errors import ParsersNotSealedError
from ragmesh.core.reading import Sandbox
from ragmesh.indexing.adapters.parser_pool import ParserPool, PoolLimits
from tests.integration.indexing.parser.identities import ROOT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux can seal")

LESSER_KERNEL = Path(__file__).with_name("lesser_kernel.py")
RAGMESH = Path(sys.executable).with_name("ragmesh")


def ragmesh_without(
    wall: str, *arguments: str | Path, **settings: str
) -> subprocess.CompletedProcess[str]:
    """What a command says on a kernel that lacks something."""
    lesser = [sys.executable, LESSER_KERNEL, wall, "--", RAGMESH, *arguments]
    own = os.environ | settings
    return subprocess.run(lesser, env=own, capture_output=True, text=True, timeout=100, check=False)


def test_a_mesh_that_must_seal_and_cannot_refuses_to_start(tmp_path: Path) -> None:
    free = ("--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0")
    said = ragmesh_without("landlock", "run", "--data-dir", tmp_path / "data", *free)
    assert said.returncode == 1
    error = said.stderr.splitlines()[-1]
    assert error.startswith("ragmesh: PARSERS_NOT_SEALED: ")
    assert "landlock (the container's seccomp profile forbids Landlock)" in error
    assert "indexing.sandbox to best-effort" in error


@pytest.mark.parametrize("wall", ["unprivileged", "landlock", "seccomp"])
def test_the_doctor_names_the_wall_that_cannot_be_raised(wall: str, tmp_path: Path) -> None:
    said = ragmesh_without(wall, "doctor", "--data-dir", tmp_path)
    (line,) = (line for line in said.stdout.splitlines() if "parsers: " in line)
    assert line.startswith("failed  parsers: PARSERS_NOT_SEALED: ")
    assert f"without {wall} (" in line


def test_the_doctor_notes_the_wall_that_need_not_be_raised(tmp_path: Path) -> None:
    setting = {"RAGMESH_INDEXING__SANDBOX": "best-effort"}
    said = ragmesh_without("landlock", "doctor", "--data-dir", tmp_path, **setting)
    (line,) = (line for line in said.stdout.splitlines() if "parsers: " in line)
    assert line.startswith("note    parsers: confined as well as can be: as ")
    assert "seccomp; without landlock (" in line


def test_a_mesh_that_does_its_best_reads_without_that_wall_and_says_so() -> None:
    program = (
        "import asyncio, logging\n"
        "from ragmesh.core.reading import ChunkPlan, Sandbox, SourceFile\n"
        "from ragmesh.indexing.adapters.parser_pool import ParserPool, PoolLimits\n"
        "from tests.unit.indexing.parser.samples import word_tokenizer\n"
        "logging.basicConfig(format='%(levelname)s %(message)s %(missing)s')\n"
        "async def main():\n"
        "    async with ParserPool(PoolLimits(size=1), sandbox=Sandbox.BEST_EFFORT) as pool:\n"
        "        confinement = await pool.confinement()\n"
        "        plan = ChunkPlan(word_tokenizer(), 64)\n"
        "        read = await pool.read(SourceFile(b'Words of a text.', 'a.txt'), plan)\n"
        "        print(confinement.mode, confinement.active[-1], read.extraction.text.strip())\n"
        "asyncio.run(main())\n"
    )
    lesser: list[str | Path] = [sys.executable, LESSER_KERNEL, "landlock", "--"]
    lesser += [sys.executable, "-c", program]
    said = subprocess.run(lesser, cwd=ROOT, capture_output=True, text=True, check=True)
    assert said.stdout == "best-effort seccomp Words of a text.\n"
    assert said.stderr.startswith("WARNING parsers are confined landlock (")


async def test_a_process_with_more_than_one_thread_is_not_sealed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "threaded.py"
    program.write_text(
        "import sys, threading, time\n"
        "from ragmesh.indexing.parser import serving\n"
        "threading.Thread(target=time.sleep, args=[60], daemon=True).start()\n"
        "serving.warm_up = lambda _family: None\n"
        "serving.main(sys.argv[1:], began=0.0)\n"
    )
    monkeypatch.setattr("ragmesh.indexing.adapters.parser_process._PROGRAM", (str(program),))
    with pytest.raises(ParsersNotSealedError, match="an import has started threads") as refused:
        async with ParserPool(PoolLimits(size=1), sandbox=Sandbox.REQUIRED):
            await asyncio.sleep(0)
    assert refused.value.metadata == {"missing": "landlock,seccomp"}
