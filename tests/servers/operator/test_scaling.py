"""A real API server takes what the operator asks of scales and of KEDA, with its chart's rights."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import kopf
import pytest
import yaml

from ragmesh.chassis.clocks import SystemClock
from ragmesh.core.errors import ConflictError
from ragmesh_operator.adapters.api_server import api_server
from ragmesh_operator.adapters.workloads import KubeWorkloads
from ragmesh_operator.autoscaling import Workload, scaled_object
from ragmesh_operator.ports import DRIFT, Occurrence
from ragmesh_operator.resources import Autoscaling
from tests.charts.rendering import rendered
from tests.servers.operator.api_server import NARROW, KubeServer
from tests.servers.operator.conftest import NAMESPACED, allow, namespace
from tools.charts.kinds import fetch_definition

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]

PLACE, NAME = "mesh", "ragmesh-indexer"
INDEXERS = Workload("deployments", NAME, PLACE, partitions=12, documents_per_second=2)
URL = "http://ragmesh-indexing.rag:9090/backlog"
WISHES: dict[str, dict[str, Any]] = {
    "the usual": {},
    "down at once": {"scaleDown": {"stabilizationSeconds": 0, "step": 1}},
    "down a day later": {"scaleDown": {"stabilizationSeconds": 86_400, "step": 1_000}},
    "as many as may be": {"workers": {"min": 1_000, "max": 1_000, "targetLagSeconds": 5}},
    "a day behind": {"workers": {"min": 1, "max": 2, "targetLagSeconds": 86_400}},
}
"""The bounds of what a resource may say among them."""


@dataclass(frozen=True)
class Scaled:
    """An API server that has a workload and serves ScaledObjects, as the operator reaches it."""

    kube: KubeServer
    workloads: KubeWorkloads

    def object(self, kind: str, name: str = NAME) -> dict[str, Any]:
        return self.kube.get(kind, name, f"--namespace={PLACE}")

    def have(self, *bodies: dict[str, Any]) -> None:
        """As somebody who may do everything."""
        made = self.kube.apply(*bodies)
        assert made.returncode == 0, made.stderr


@pytest.fixture
async def scaled(kube: KubeServer) -> AsyncIterator[Scaled]:
    places = (*NAMESPACED.values["namespaces"], PLACE)
    keda = yaml.safe_load(fetch_definition("keda.sh_scaledobjects.yaml"))
    made = kube.apply(keda, *(namespace(name) for name in places))
    assert made.returncode == 0, made.stderr
    allow(kube, "narrow", rendered(NAMESPACED.values, chart=NAMESPACED.chart))
    crd = f"crd/{keda['metadata']['name']}"
    kube.kubectl("wait", "--for=condition=Established", crd, "--timeout=30s")

    def login() -> kopf.ConnectionInfo:
        return kopf.ConnectionInfo(server=kube.url, token=NARROW, insecure=True)

    async with api_server(login, SystemClock()) as api:
        found = Scaled(kube, KubeWorkloads(api, SystemClock()))
        found.have(deployment())
        yield found
    for what in ("deployment", "scaledobject", "hpa"):
        kube.kubectl("delete", what, "--all", f"--namespace={PLACE}", "--timeout=30s")


def deployment(*, replicas: int = 1) -> dict[str, Any]:
    """That of the indexers, of which nobody makes pods here."""
    labels = {"app": NAME}
    container = {"name": "indexer", "image": "ragmesh"}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": NAME, "namespace": PLACE},
        "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "template": pod},
    }


def autoscaler(name: str, **spec: Any) -> dict[str, Any]:
    """A HorizontalPodAutoscaler of the indexers, such as KEDA makes out of a ScaledObject."""
    metric = {
        "metric": {"name": "s0-metric-api-total"},
        "target": {"type": "AverageValue", "averageValue": "120"},
    }
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name, "namespace": PLACE},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": NAME},
            "maxReplicas": 3,
            "metrics": [{"type": "External", "external": metric}],
            **spec,
        },
    }


@pytest.mark.parametrize("plural", ["deployments", "rollouts"])
@pytest.mark.parametrize("wish", WISHES)
async def test_the_definition_of_keda_takes_every_wish_as_it_is(
    scaled: Scaled, wish: str, plural: str
) -> None:
    assert await scaled.workloads.has_keda()
    body = scaled_object(Autoscaling(**WISHES[wish]), replace(INDEXERS, plural=plural), URL)
    await scaled.workloads.apply_scaled_object(INDEXERS, body)
    # What the definition does not know would have been dropped without a word.
    assert scaled.object("scaledobject")["spec"] == body["spec"]


@pytest.mark.parametrize("wish", WISHES)
def test_an_autoscaler_of_kubernetes_takes_how_fast_keda_is_told_to_go(
    scaled: Scaled, wish: str
) -> None:
    spec = scaled_object(Autoscaling(**WISHES[wish]), INDEXERS, URL)["spec"]
    made = autoscaler(
        "keda-hpa",
        minReplicas=spec["minReplicaCount"],
        maxReplicas=spec["maxReplicaCount"],
        **spec["advanced"]["horizontalPodAutoscalerConfig"],
    )
    said = scaled.kube.kubectl("create", "--dry-run=server", "-f", "-", given=made)
    assert said.returncode == 0, said.stderr


# OP-4
async def test_a_change_by_somebody_else_is_seen_in_what_is_applied_and_told_beside_the_workload(
    scaled: Scaled,
) -> None:
    body = scaled_object(Autoscaling(), INDEXERS, URL)
    first = await scaled.workloads.apply_scaled_object(INDEXERS, body)
    assert await scaled.workloads.apply_scaled_object(INDEXERS, body) == first
    patch = ("--type=merge", "--patch", '{"spec": {"maxReplicaCount": 99}}')
    said = scaled.kube.kubectl("patch", "scaledobject", NAME, f"--namespace={PLACE}", *patch)
    assert said.returncode == 0, said.stderr
    assert await scaled.workloads.apply_scaled_object(INDEXERS, body) != first
    assert scaled.object("scaledobject")["spec"] == body["spec"]
    seen = await scaled.workloads.read_scale(INDEXERS)
    await scaled.workloads.tell(INDEXERS, seen.uid, Occurrence(DRIFT, "sentence"))
    shown = scaled.kube.kubectl("describe", "deployment", NAME, f"--namespace={PLACE}").stdout
    assert DRIFT in shown


async def test_an_object_of_ours_goes_when_it_is_not_wanted_and_one_of_others_stays(
    scaled: Scaled,
) -> None:
    body = scaled_object(Autoscaling(), INDEXERS, URL)
    await scaled.workloads.apply_scaled_object(INDEXERS, body)
    assert await scaled.workloads.foreign_scalers(INDEXERS) == ()
    await scaled.workloads.delete_scaled_object(INDEXERS)
    theirs = {**body, "metadata": {"name": NAME, "namespace": PLACE}}
    scaled.have(theirs)
    await scaled.workloads.delete_scaled_object(INDEXERS)
    assert scaled.object("scaledobject")["spec"] == body["spec"]
    assert await scaled.workloads.foreign_scalers(INDEXERS) == (f"ScaledObject {NAME}",)


# AS-1
async def test_an_autoscaler_of_others_is_seen(scaled: Scaled) -> None:
    assert await scaled.workloads.foreign_scalers(INDEXERS) == ()
    scaled.have(autoscaler("theirs"))
    found = await scaled.workloads.foreign_scalers(INDEXERS)
    assert found == ("HorizontalPodAutoscaler theirs",)


async def test_a_scale_is_written_unless_somebody_changed_it_meanwhile(scaled: Scaled) -> None:
    seen = await scaled.workloads.read_scale(INDEXERS)
    assert (seen.replicas, seen.selector) == (1, f"app={NAME}")
    await scaled.workloads.write_scale(INDEXERS, seen, 4)
    assert scaled.object("deployment")["spec"]["replicas"] == 4
    with pytest.raises(ConflictError):
        await scaled.workloads.write_scale(INDEXERS, seen, 2)
    assert scaled.object("deployment")["spec"]["replicas"] == 4
