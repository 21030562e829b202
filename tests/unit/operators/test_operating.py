"""What is told of a resource has it looked at, unless only its status was written."""

from __future__ import annotations

import asyncio

from ragmesh_operator.operating import Operating
from ragmesh_operator.tenants import TenantReconciler
from ragmesh_operator.values import Key, Look
from ragmesh_operator.working import Rounds
from tests.unit.operators.world import let_run, world


async def test_a_status_alone_has_nobody_look_again() -> None:
    made, looked = await world(), list[Key]()

    async def look(key: Key) -> Look:
        looked.append(key)
        return Look()

    rounds = Rounds(look, made.clock)
    tenants = TenantReconciler(made.mesh, made.cluster, made.clock)
    operating = Operating(made.operator, tenants, rounds)
    key = made.cluster.create("handbook", {})
    body = made.cluster.bodies[key]
    task = asyncio.create_task(rounds.run())
    try:
        operating.told(key, body, False)
        await let_run(task)
        assert looked == [key]
        operating.told(key, body | {"status": {"documents": {"accepted": 7}}}, False)
        await let_run(task)
        assert looked == [key]
        for metadata in ({"generation": 2}, {"annotations": {"ragmesh.dev/migration": "hold"}}):
            operating.told(key, body | {"metadata": body["metadata"] | metadata}, False)
            await let_run(task)
        assert looked == [key] * 3
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
