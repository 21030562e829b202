"""Whoever uninstalls the operator is left with resources that can be deleted."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from ragmesh.core.errors import ConflictError, NotFoundError, UnavailableError
from ragmesh_operator.autoscaling import CurrentScale, Workload
from ragmesh_operator.leaving import Leaving
from ragmesh_operator.resources import FINALIZER
from tests.unit.operators.cluster import FakeCluster

OWN = Workload("deployments", "ragmesh-operator", "rag")


@dataclass
class FakeScales:
    """Stands in for `Scales`."""

    replicas: int = 1
    refusals: list[Exception] = field(default_factory=list)

    async def read_scale(self, workload: Workload) -> CurrentScale:
        assert workload == OWN
        if self.refusals:
            raise self.refusals.pop()
        return CurrentScale(self.replicas, "", "7")

    async def write_scale(self, workload: Workload, scale: CurrentScale, replicas: int) -> None:
        assert (workload, scale.resource_version) == (OWN, "7")
        self.replicas = replicas


def held(cluster: FakeCluster, name: str, *others: str) -> list[str]:
    key = cluster.create(name, {})
    finalizers = [*others, FINALIZER]
    cluster.bodies[key]["metadata"]["finalizers"] = finalizers
    return finalizers


async def left(cluster: FakeCluster, scales: FakeScales, seconds: float = 25.0) -> None:
    """Let it leave, and time pass."""
    leaving = asyncio.create_task(Leaving(cluster, scales, cluster.clock).leave(OWN, seconds))
    await cluster.clock.advance(seconds + 5)
    await asyncio.wait_for(leaving, 5)


def finalizers(cluster: FakeCluster) -> list[list[str]]:
    return [body["metadata"].get("finalizers", []) for body in cluster.bodies.values()]


async def test_the_operator_is_stopped_and_only_its_finalizers_go() -> None:
    cluster, scales = FakeCluster(), FakeScales()
    held(cluster, "one")
    held(cluster, "two", "somebody.else/waits")
    cluster.create("three", {})
    await left(cluster, scales)
    assert scales.replicas == 0
    assert finalizers(cluster) == [[], ["somebody.else/waits"], []]


async def test_what_an_ending_operator_puts_back_is_taken_again() -> None:
    cluster, scales = FakeCluster(), FakeScales()
    held(cluster, "one")
    leaving = asyncio.create_task(Leaving(cluster, scales, cluster.clock).leave(OWN, 25.0))
    await cluster.clock.advance(2.0)
    (key,) = cluster.bodies
    cluster.bodies[key]["metadata"]["finalizers"] = [FINALIZER]
    await cluster.clock.advance(20.0)
    await asyncio.wait_for(leaving, 5)
    assert finalizers(cluster) == [[]]


async def test_a_refusal_that_passes_is_tried_again_until_it_is_late() -> None:
    cluster = FakeCluster()
    held(cluster, "one")
    await left(cluster, FakeScales(refusals=[UnavailableError("away"), ConflictError("changed")]))
    assert finalizers(cluster) == [[]]
    with pytest.raises(UnavailableError, match="not done after 10 seconds: away"):
        await left(cluster, FakeScales(refusals=[UnavailableError("away")] * 99), 10.0)


async def test_an_operator_that_is_gone_already_holds_nobody_up() -> None:
    cluster = FakeCluster()
    held(cluster, "one")
    await left(cluster, FakeScales(refusals=[NotFoundError("gone")] * 99))
    assert finalizers(cluster) == [[]]
