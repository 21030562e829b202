"""Identity between services over real connections: who is let in, who is not, at what cost."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from ragmesh.chassis.callers import Guard, Metadata
from ragmesh.chassis.clocks import SystemClock
from ragmesh.chassis.grpc_channels import ChannelOptions, channel
from ragmesh.chassis.grpc_servers import serve
from ragmesh.chassis.identity.guard import MeshGuard
from ragmesh.chassis.identity.key_files import KeyFiles, read_private_key, read_public_keys
from ragmesh.chassis.identity.keys import SPEAKERS
from ragmesh.chassis.identity.methods import METHODS, may_call
from ragmesh.chassis.identity.opening import open_identity
from ragmesh.chassis.identity.refusals import AUDIT_LOGGER, Refusals
from ragmesh.chassis.identity.settings import IdentitySettings
from ragmesh.chassis.identity.tokens import TokenVerifier
from ragmesh.chassis.lifecycle import Lifecycle
from ragmesh.core.callers import Machine, Principal
from ragmesh.core.errors import RagmeshError
from ragmesh.testing.callers import MeshKeys
from tests.integration.chassis.identity.everything import Everything, calls
from tests.unit.chassis.identity.tampering import REFUSED, Tampering

ANNA = Principal("tenant-1", "anna")
LOOKUP = "/ragmesh.api.cache.v1.CacheService/LookupAnswer"


@asynccontextmanager
async def serving(
    folder: Path, guard: Guard, *, peer: str = ""
) -> AsyncIterator[tuple[Everything, Any]]:
    everything = Everything()
    names = list(METHODS)
    async with (
        serve(f"unix:{folder}/s", everything.register, service_names=names, guard=guard) as server,
        channel(server.address, options=ChannelOptions(peer=peer)) as made,
    ):
        yield everything, made


async def answer(call: Any, metadata: Metadata) -> str:
    """Who was let in, or the reason of the refusal."""
    try:
        served: bytes = await call(metadata)
    except RagmeshError as error:
        return error.reason
    return served.decode()


async def test_no_internal_method_serves_a_caller_who_is_not_proven(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tampering = Tampering(SystemClock())
    async with serving(tmp_path, tampering.keys.guard) as (everything, made):
        for kind, reason in REFUSED.items():
            metadata = tampering.metadata(kind)
            answers = {path: await answer(call, metadata) for path, call in calls(made)}
            assert answers == dict.fromkeys(answers, reason), kind
    assert everything.served == 0
    assert sum(tampering.keys.refusals.counts.values()) == len(REFUSED) * len(answers)
    audited = {r.__dict__["reason"] for r in caplog.records if r.name == AUDIT_LOGGER}
    assert audited == set(REFUSED.values())


async def test_a_refusal_behind_a_service_is_no_judgement_on_who_asked_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    behind, before = tmp_path / "behind", tmp_path / "before"
    behind.mkdir()
    before.mkdir()
    keys = MeshKeys()
    async with serving(behind, keys.guard, peer="cache") as (_, to_behind):
        unsigned = dict(calls(to_behind))[LOOKUP]
        async with serving(before, keys.guard) as (everything, to_before):
            everything.work = lambda: unsigned(())
            call = dict(calls(to_before))[LOOKUP]
            assert await answer(call, keys.signer("gateway").metadata(ANNA)) == "PEER_UNAVAILABLE"
    told = [record.__dict__ for record in caplog.records if record.name != AUDIT_LOGGER]
    assert [(one["peer"], one["reason"]) for one in told] == [("cache", "CALLER_MISSING")]


@pytest.mark.parametrize("caller", [ANNA, Machine("indexer")], ids=str)
async def test_who_is_proven_is_served_exactly_what_the_table_says(
    tmp_path: Path, caller: Principal | Machine
) -> None:
    keys = MeshKeys()
    metadata = keys.universal_signer("tester").metadata(caller)
    async with serving(tmp_path, keys.guard) as (_, made):
        answers = {path: await answer(call, metadata) for path, call in calls(made)}
    assert answers == {
        path: str(caller) if may_call(caller, path) else "METHOD_DENIED" for path in answers
    }


async def test_a_user_in_four_hundred_groups_gets_through(tmp_path: Path) -> None:
    keys = MeshKeys()
    many = Principal("tenant-1", "anna", frozenset(f"group-{n:030}" for n in range(400)))
    async with serving(tmp_path, keys.guard) as (_, made):
        call = dict(calls(made))[LOOKUP]
        assert await answer(call, keys.signer("gateway").metadata(many)) == str(many)


async def test_a_thousand_calls_of_one_user_cost_one_signature_and_one_check(
    tmp_path: Path,
) -> None:
    keys = MeshKeys()
    verifier = TokenVerifier(keys.ring, keys.clock)
    signer = keys.signer("gateway")
    tokens = set()
    async with serving(tmp_path, MeshGuard(verifier, Refusals(keys.clock))) as (everything, made):
        call = dict(calls(made))[LOOKUP]
        for _ in range(1_000):
            metadata = signer.metadata(ANNA)
            tokens.add(metadata)
            await call(metadata)
    assert everything.served == 1_000
    assert (len(tokens), verifier.checked) == (1, 1)


async def test_keys_are_changed_under_calls_and_none_fails(tmp_path: Path) -> None:
    settings = IdentitySettings(reread_seconds=0.05)
    files = KeyFiles(
        tmp_path / "identity" / "gateway.key", tmp_path / "identity" / "public-keys.json"
    )
    seen: list[str] = []
    changed, done = asyncio.Event(), asyncio.Event()

    async def ask(signer: Any, call: Any) -> int:
        asked = 0
        while not done.is_set():
            if signer.key_id not in seen:
                seen.append(signer.key_id)
                changed.set()
            assert await answer(call, signer.metadata(ANNA)) == str(ANNA)
            asked += 1
        return asked

    async def rotate() -> None:
        try:
            async with asyncio.timeout(30):
                for _ in range(4):
                    await changed.wait()  # the first key, or the next one, is in use
                    changed.clear()
                    if len(seen) < 4:
                        files.key_file.unlink()
                        await asyncio.to_thread(files.make, SPEAKERS["gateway"])
        finally:
            done.set()

    async with Lifecycle() as life:
        make: dict[str, Any] = {"data_dir": tmp_path, "clock": SystemClock(), "tasks": life.tasks}
        async with (
            open_identity(settings, "cache", **make) as cache,
            open_identity(settings, "gateway", **make) as gateway,
            serving(tmp_path, cache.guard) as (_, made),
            asyncio.TaskGroup() as group,
        ):
            call = dict(calls(made))[LOOKUP]
            asking = [group.create_task(ask(gateway.signer, call)) for _ in range(4)]
            group.create_task(rotate())
    assert len(seen) == 4
    assert all(task.result() > 10 for task in asking)
    assert cache.guard.refusals.counts == {}


_START = """
import asyncio, json, sys
from pathlib import Path
from ragmesh.chassis.clocks import SystemClock
from ragmesh.chassis.identity.opening import open_identity
from ragmesh.chassis.identity.settings import IdentitySettings
from ragmesh.chassis.lifecycle import Lifecycle

async def main(target, folder):
    print("ready", flush=True)
    sys.stdin.readline()
    async with Lifecycle() as life:
        async with open_identity(
            IdentitySettings(reread_seconds=0.1), target,
            data_dir=folder, clock=SystemClock(), tasks=life.tasks,
        ) as identity:
            print(json.dumps(identity.signer.key_id), flush=True)
            life.stop("done")

asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
"""
TOGETHER = ("gateway", "embedding", "retrieval", "generation", "cache", "indexing", "gateway")


def test_processes_that_start_at_once_on_one_folder_all_get_their_keys(tmp_path: Path) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _START, target, str(tmp_path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for target in TOGETHER
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:  # all have come so far; now they begin
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    used = [json.loads(process.communicate(timeout=60)[0]) for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes)
    ring = read_public_keys(tmp_path / "identity" / "public-keys.json")
    assert len(ring.keys) == len(set(TOGETHER))
    for target, key_id in zip(TOGETHER, used, strict=True):
        assert read_private_key(tmp_path / "identity" / f"{target}.key").key_id == key_id
        assert ring.keys[key_id].speaker == SPEAKERS[target]
    left = {path.name for path in (tmp_path / "identity").iterdir()}
    assert left == {f"{target}.key" for target in TOGETHER} | {
        "public-keys.json",
        "public-keys.json.lock",
    }
