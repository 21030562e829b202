"""An index is changed while a mesh is asked and killed: nobody is failed, and it flips once."""

from __future__ import annotations

import asyncio
import json
import random
import re
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from ragmesh.clients.gateway import GatewayClient, gateway_client
from ragmesh.core.documents import NewCollection, Upload
from ragmesh.core.migrations import (
    CanaryStep,
    GateVerdict,
    IndexChange,
    Migration,
    MigrationCommand,
    MigrationPhase,
    MigrationPolicy,
)
from ragmesh.core.questions import Question
from ragmesh.core.search import SearchQuery
from tests.e2e.audience import attended
from tests.e2e.meshes import ROOT, running

pytestmark = pytest.mark.faults

COLLECTION = "handbook"
POLICY = MigrationPolicy(canary=(CanaryStep(50, 3.0),), soak_seconds=3.0)
GOLDEN = ROOT / "examples" / "golden.jsonl"
"""Some of them no document answers: a gate asks the others."""
ASKED = 36
HANDBOOK = tuple(sorted((ROOT / "examples" / "handbook").glob("*.md")))
ENCODERS = '[{"name": "exact", "kind": "exact"}, {"name": "fast", "kind": "fast"}]'
LONGEST_SECONDS = 200.0
KILLS = 5
ORDER = ["backfilling", "canary", "soaking", "idle"]
"""Phases that nobody can miss who looks ten times a second."""


async def fill(client: GatewayClient) -> None:
    await client.create_collection(NewCollection(COLLECTION, encoder="exact"))
    for path in HANDBOOK:
        upload = Upload(path.read_bytes(), path.name, filename=path.name)
        accepted = await client.create_document(COLLECTION, upload)
        async for _job in client.watch_job(accepted.job_id):
            pass


async def go_on(client: GatewayClient) -> Migration:
    """Where it stands; a gate that has no golden questions is answered."""
    found = await client.get_migration(COLLECTION)
    if found.held is not None:
        await client.command_migration(COLLECTION, MigrationCommand.APPROVE, reason="a test")
    return found


async def never_held(client: GatewayClient) -> Migration:
    """Where it stands; its gate has to judge by itself."""
    found = await client.get_migration(COLLECTION)
    assert found.held is None, found
    return found


async def ended(
    client: GatewayClient, look: Callable[[GatewayClient], Awaitable[Migration]] = go_on
) -> Migration:
    async with asyncio.timeout(LONGEST_SECONDS):
        while True:
            found = await look(client)
            if found.phase is MigrationPhase.IDLE and found.flips:
                return found
            await asyncio.sleep(0.2)


@pytest.mark.timeout(400)
async def test_questions_under_load_meet_one_index_each_and_none_fails(tmp_path: Path) -> None:
    with running(tmp_path / "data", RAGMESH_EMBEDDING__ENCODERS=ENCODERS) as mesh:
        async with gateway_client(mesh.grpc) as client:
            await fill(client)
            await client.set_golden_questions(COLLECTION, GOLDEN.read_text(encoding="utf-8"))
            async with attended(client, COLLECTION) as audience:
                change = IndexChange(encoder="fast", policy=POLICY)
                await client.want_index(COLLECTION, change)
                found = await ended(client, never_held)
    print(f"{audience.answers} in {audience.seconds:.1f} s")
    audience.assert_nobody_noticed()
    assert len(audience.answers) == 2
    assert found.flips == 1
    assert found.verdict is GateVerdict.PASS, found
    assert {one.questions for one in found.verdicts} == {ASKED}


@pytest.mark.timeout(400)
async def test_a_mesh_that_is_killed_all_the_time_flips_once(tmp_path: Path) -> None:
    draw = random.Random(7)
    kills = 0
    found: Migration | None = None
    for attempt in range(KILLS + 1):
        with running(tmp_path / "data", RAGMESH_EMBEDDING__ENCODERS=ENCODERS) as mesh:
            async with gateway_client(mesh.grpc) as client:
                if attempt == 0:
                    await fill(client)
                    change = IndexChange(encoder="fast", policy=POLICY)
                    await client.want_index(COLLECTION, change)
                else:
                    await go_on(client)
                if attempt == KILLS:
                    found = await ended(client)
                    result = await client.search(
                        SearchQuery(
                            COLLECTION, Question.parse("Who speaks to journalists?"), limit=1
                        )
                    )
                    break
                await asyncio.sleep(draw.uniform(0.1, 2.0))
            mesh.stop(signal.SIGKILL)
            kills += 1
    assert kills == KILLS
    assert found is not None
    assert (found.flips, found.encoder) == (1, "fast")
    assert result.index_version == found.serving
    assert result.hits


@pytest.mark.timeout(400)
def test_the_demonstration_shows_a_migration_and_ends_in_what_became_of_it() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tools.demo_migration"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=380,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    *shown, last = ran.stdout.splitlines()
    told = json.loads(last)
    assert list(told) == ["phases", "flips", "failed", "verdict"]
    assert (told["flips"], told["failed"], told["verdict"]) == (1, 0, "pass")
    assert [one for one in told["phases"] if one in ORDER] == ORDER
    text = "\n".join(shown)
    assert re.search(r"filled [1-9][0-9]? %", text)
    assert re.search(r"canary +v1-\w+ 80 %, v2-\w+ 20 %", text)
    assert re.search(r"recall +\d\.\d+ → \d\.\d+ \[.*\] over 36 questions: pass", text)
