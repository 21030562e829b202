"""One scaler owns the indexers, and what is not known changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from ragmesh.core.errors import ConflictError, UnavailableError
from ragmesh.testing.clocks import ManualClock
from ragmesh_operator.autoscaling import Autoscaler, CurrentScale, Workload, combined
from ragmesh_operator.ports import Occurrence
from ragmesh_operator.scaling import Reading
from ragmesh_operator.values import CollectionResource, collection_resource

WORKLOAD = Workload("deployments", "ragmesh-indexer", "mesh", 6, 2.0)


@dataclass
class FakeWorkloads:
    """A workload in memory."""

    replicas: int = 1
    keda: bool = False
    others: tuple[str, ...] = ()
    is_contended: bool = False
    is_deaf: bool = False
    """Whether no event can be made."""
    applied: list[Mapping[str, Any]] = field(default_factory=list)
    deleted: int = 0
    has_object: bool = False
    """Whether a ScaledObject of the operator's own is there."""
    changes: int = 1
    """Of the ScaledObject, so far."""
    body: Mapping[str, Any] | None = None
    told: list[Occurrence] = field(default_factory=list)

    async def has_keda(self) -> bool:
        return self.keda

    async def foreign_scalers(self, workload: Workload) -> tuple[str, ...]:
        return self.others

    async def read_scale(self, workload: Workload) -> CurrentScale:
        return CurrentScale(self.replicas, "app=indexer", "1", "uid-0")

    async def write_scale(self, workload: Workload, scale: CurrentScale, replicas: int) -> None:
        if self.is_contended:
            raise ConflictError("changed")
        self.replicas = replicas

    async def apply_scaled_object(self, workload: Workload, body: Mapping[str, Any]) -> str:
        self.applied.append(body)
        self.has_object = True
        self.changes += self.body != body
        self.body = body
        return f"uid-1.{self.changes}"

    async def delete_scaled_object(self, workload: Workload) -> None:
        self.deleted += 1
        self.has_object = False

    async def tell(self, workload: Workload, uid: str, what: Occurrence) -> None:
        assert (workload, uid) == (WORKLOAD, "uid-0")
        if self.is_deaf:
            raise UnavailableError("away")
        self.told.append(what)


@dataclass
class FakeBacklog:
    """Says what waits, or nothing."""

    waiting: int | None = 0

    async def read(self, at: float) -> Reading:
        if self.waiting is None:
            raise UnavailableError("away")
        return Reading(at, self.waiting, 0)


def wanting(provider: str, name: str = "a", **workers: int) -> CollectionResource:
    body = {
        "metadata": {
            "name": name,
            "namespace": "docs",
            "uid": name,
            "generation": 1,
            "resourceVersion": "1",
        },
        "spec": {"autoscaling": {"provider": provider, "workers": workers}},
    }
    return collection_resource(body, "here")


def scaler(workloads: FakeWorkloads, backlog: FakeBacklog) -> Autoscaler:
    return Autoscaler(WORKLOAD, workloads, backlog, "http://indexing/backlog", ManualClock())


def condition(made: Autoscaler) -> tuple[str, str]:
    verdict = made.shown(wanting("auto")).verdict
    return verdict.status, verdict.reason


async def test_what_waits_scales_up_to_the_partitions_and_no_further() -> None:
    workloads = FakeWorkloads()
    made = scaler(workloads, FakeBacklog(100_000))
    await made.look([wanting("native", max=20)])
    assert workloads.replicas == 6
    assert condition(made) == ("True", "Backlog")


# AS-1
async def test_another_scaler_is_left_alone_and_told() -> None:
    workloads = FakeWorkloads(others=("HorizontalPodAutoscaler mine",))
    made = scaler(workloads, FakeBacklog(100_000))
    await made.look([wanting("auto", max=4)])
    assert (workloads.replicas, workloads.applied) == (1, [])
    assert condition(made) == ("False", "ConflictingScaler")


# AS-1
@pytest.mark.parametrize("provider", ["auto", "keda", "native"])
async def test_where_another_scaler_comes_ours_goes(provider: str) -> None:
    workloads = FakeWorkloads(keda=True)
    made = scaler(workloads, FakeBacklog(100_000))
    await made.look([wanting("keda", max=4)])
    assert workloads.has_object
    workloads.others = ("HorizontalPodAutoscaler mine",)
    await made.look([wanting(provider, max=4)])
    after = (workloads.has_object, workloads.replicas, len(workloads.applied))
    assert after == (False, 1, 1)
    assert condition(made) == ("False", "ConflictingScaler")
    workloads.others = ()
    await made.look([wanting("keda", max=4)])
    assert workloads.has_object


async def test_keda_that_the_cluster_does_not_have_is_told() -> None:
    workloads = FakeWorkloads(keda=False)
    made = scaler(workloads, FakeBacklog(100_000))
    await made.look([wanting("keda", max=4)])
    assert (workloads.replicas, workloads.applied) == (1, [])
    assert condition(made) == ("False", "KedaMissing")
    assert "install KEDA" in made.shown(wanting("keda")).verdict.message
    workloads.keda = True
    await made.look([wanting("keda", max=4)])
    assert condition(made) == ("True", "ScaledObject")


async def test_a_backlog_that_nobody_tells_changes_nothing() -> None:
    workloads = FakeWorkloads(replicas=3)
    made = scaler(workloads, FakeBacklog(None))
    await made.look([wanting("native", max=4)])
    assert workloads.replicas == 3
    assert condition(made) == ("Unknown", "BacklogUnknown")
    assert made.shown(wanting("native")).verdict.message == "the number of indexers stays: away"


async def test_auto_is_keda_where_the_cluster_has_it() -> None:
    workloads = FakeWorkloads(keda=True)
    made = scaler(workloads, FakeBacklog(100_000))
    await made.look([wanting("auto", max=20, targetLagSeconds=30)])
    (body,) = workloads.applied
    assert workloads.replicas == 1
    assert body["spec"]["maxReplicaCount"] == 6
    assert body["spec"]["triggers"][0]["metadata"] == {
        "url": "http://indexing/backlog",
        "valueLocation": "total",
        "targetValue": "60",
    }
    assert condition(made) == ("True", "ScaledObject")


# OP-4
@pytest.mark.parametrize(("found", "waiting"), [(0, 0), (9, 0), (1, 100_000)])
async def test_a_scale_that_somebody_else_made_is_put_right_and_told(
    found: int, waiting: int
) -> None:
    workloads, backlog = FakeWorkloads(), FakeBacklog(waiting)
    made = scaler(workloads, backlog)
    await made.look([wanting("native", max=4)])
    wanted = workloads.replicas
    assert workloads.told == []
    workloads.replicas = found
    await made.look([wanting("native", max=4)])
    assert workloads.replicas == (4 if found == 9 else wanted)
    assert [one.reason for one in workloads.told] == ["DriftCorrected"]
    await made.look([wanting("native", max=4)])
    assert len(workloads.told) == 1


async def test_what_an_operator_itself_changes_is_no_drift() -> None:
    workloads, backlog = FakeWorkloads(), FakeBacklog(0)
    made = scaler(workloads, backlog)
    await made.look([wanting("native", max=4)])
    backlog.waiting = 100_000
    await made.look([wanting("native", max=4)])
    await made.look([wanting("native", max=2)])
    assert workloads.replicas == 2
    await made.look([wanting("keda", max=4)])
    workloads.keda = True
    await made.look([wanting("keda", max=4)])
    await made.look([wanting("keda", max=3)])
    await made.look([wanting("none")])
    await made.look([wanting("keda", max=3)])
    assert workloads.told == []


# OP-4
async def test_an_object_of_keda_that_somebody_changed_is_put_right_and_told() -> None:
    workloads = FakeWorkloads(keda=True)
    made = scaler(workloads, FakeBacklog(0))
    await made.look([wanting("keda", max=4)])
    await made.look([wanting("keda", max=4)])
    assert workloads.told == []
    workloads.body = {"spec": {"maxReplicaCount": 100}}
    await made.look([wanting("keda", max=4)])
    assert workloads.body == workloads.applied[0]
    assert [one.reason for one in workloads.told] == ["DriftCorrected"]


@pytest.mark.parametrize(("provider", "then"), [("native", 2), ("keda", 4)])
async def test_what_was_put_right_is_no_drift_later_though_it_could_not_be_told(
    provider: str, then: int
) -> None:
    workloads = FakeWorkloads(keda=provider == "keda")
    made = scaler(workloads, FakeBacklog(0))
    await made.look([wanting(provider, max=4)])
    workloads.replicas, workloads.body = 9, {"spec": {"maxReplicaCount": 100}}
    workloads.is_deaf = True
    await made.look([wanting(provider, max=4)])
    workloads.is_deaf = False
    await made.look([wanting(provider, max=then)])
    assert workloads.told == []


async def test_who_asks_for_nothing_takes_the_object_of_keda_away() -> None:
    workloads = FakeWorkloads(replicas=2)
    made = scaler(workloads, FakeBacklog(100_000))
    await made.look([wanting("none")])
    assert (workloads.replicas, workloads.deleted) == (2, 1)


async def test_a_scale_that_somebody_changed_is_looked_at_again() -> None:
    workloads = FakeWorkloads(is_contended=True)
    made = scaler(workloads, FakeBacklog(100_000))
    await made.look([wanting("native", max=4)])
    assert workloads.replicas == 1


@pytest.mark.parametrize(
    ("wishes", "provider", "most"),
    [
        ([wanting("native", max=3), wanting("native", "b", max=9)], "native", 9),
        ([wanting("native", max=3), wanting("keda", "b", max=2)], "keda", 3),
        ([wanting("none", max=50), wanting("auto", "b", max=2)], "auto", 2),
    ],
)
def test_the_largest_wish_counts(
    wishes: list[CollectionResource], provider: str, most: int
) -> None:
    found = combined(wishes)
    assert found is not None
    assert (found.provider, found.workers.max) == (provider, most)
