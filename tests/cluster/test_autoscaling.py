"""The operator of a distributed mesh: indexers follow what waits, and an encoder is changed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from ragmesh_operator.autoscaling import Workload, scaled_object
from ragmesh_operator.resources import Autoscaling
from tests.cluster.operated import AT_ONCE, Operated
from tests.cluster.releases import Release, Values
from tests.cluster.scaling import (
    AUTOSCALING,
    GUIDE,
    MODEL,
    OWLS,
    PARTITIONS,
    RATE,
    SLOW,
    Burst,
    assert_all_is_found,
    burst_through,
    indexers_of,
    scaled_mesh,
)
from tools.charts.kinds import fetch_definition
from tools.cluster.kubectl import Kubectl
from tools.processes import await_condition

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def operated(distributed: Release, talking: Values, host: str) -> Iterator[Operated]:
    with scaled_mesh(distributed, talking, host) as made:
        yield made


# AS-3, AS-4
def test_a_burst_scales_indexers_to_the_partitions_and_back_and_nothing_is_lost_or_stale(
    operated: Operated,
) -> None:
    operated.patch(OWLS, autoscaling=AUTOSCALING)
    operated.wait(OWLS, "condition=AutoscalingActive", "jsonpath={.status.replicas}=1")
    course = burst_through(operated)
    print(course)
    assert max(course.wanted) == PARTITIONS
    assert course.turns <= 2
    assert_all_is_found(operated, course.burst)


# OP-4
def test_a_scale_that_somebody_changed_is_put_right_within_a_minute_and_told(
    operated: Operated,
) -> None:
    operated.patch(OWLS, autoscaling=AUTOSCALING)
    operated.wait(OWLS, "condition=AutoscalingActive", "jsonpath={.status.replicas}=1")
    place, name = operated.mesh.namespace, indexers_of(operated.mesh)
    place.kubectl.run("scale", f"deployment/{name}", "--replicas=0", "-n", place.name)
    one = "--for=jsonpath={.spec.replicas}=1"
    place.kubectl.run("wait", f"deployment/{name}", "-n", place.name, one, "--timeout=60s")
    right = ["DriftCorrected"]
    assert await_condition(lambda: operated.told("Deployment", name, place) == right, 5)


def test_another_encoder_takes_over_and_finds_the_same_documents(operated: Operated) -> None:
    burst = Burst(operated.door(), GUIDE, 12)
    golden = {"goldenQueries": {"configMapRef": {"name": GUIDE}}}
    operated.apply(
        questions(burst),
        operated.collection(
            GUIDE, encoder=SLOW, deletionPolicy="Delete", evaluation=golden, migration=AT_ONCE
        ),
    )
    operated.wait(GUIDE, "condition=Ready")
    burst.send()
    assert await_condition(lambda: burst.waiting() == 0, 60)
    before = operated.status(GUIDE)["activeVersion"]
    generation = operated.patch(GUIDE, encoder=MODEL)
    settled = (f"jsonpath={{.status.observedGeneration}}={generation}", "condition=Ready")
    operated.wait(GUIDE, *settled, seconds=90)
    after = operated.status(GUIDE)
    assert after["activeVersion"] != before
    assert after["weights"] == [{"version": after["activeVersion"], "weight": 100}]
    for mode in ("dense", "keyword"):
        assert burst.found(mode) == sorted(burst.left.items()), mode


def questions(burst: Burst) -> dict[str, Any]:
    """A ConfigMap of what each document answers, asked in several ways."""
    ways = ("are eaten a week by", "are enough for", "go to")
    asked = [
        {"id": f"{name}-{at}", "question": f"How many voles {way} {name}?", "relevant": {name: 3}}
        for name in burst.left
        for at, way in enumerate(ways)
    ]
    text = "\n".join(map(json.dumps, asked))
    metadata = {"name": burst.collection}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata,
        "data": {"golden.jsonl": text},
    }


def test_keda_is_given_an_object_that_its_definition_takes_as_it_is(
    operated: Operated, kubectl: Kubectl
) -> None:
    place = operated.mesh.namespace.name
    name = indexers_of(operated.mesh)
    with keda_defined(kubectl):
        operated.patch(OWLS, autoscaling={**AUTOSCALING, "provider": "auto"})
        operated.wait(OWLS, "jsonpath={.status.autoscaling.provider}=keda")
        spec = kubectl.read("scaledobject", name, "-n", place)["spec"]
        operated.patch(OWLS, autoscaling=AUTOSCALING)
        operated.wait(OWLS, "jsonpath={.status.autoscaling.provider}=native")
        words = ("get", "scaledobject", name, "-n", place)
        assert await_condition(lambda: not kubectl.holds(*words), 30)
    assert spec == scaled_spec(operated.mesh)


def scaled_spec(mesh: Release) -> Mapping[str, Any]:
    """What KEDA is to be told, word for word: what a definition does not know is dropped."""
    workload = Workload("deployments", indexers_of(mesh), mesh.namespace.name, PARTITIONS, RATE)
    url = f"http://{mesh.fullname}-indexing.{mesh.namespace.name}:9090/backlog"
    spec: Mapping[str, Any] = scaled_object(Autoscaling(**AUTOSCALING), workload, url)["spec"]
    return spec


@contextmanager
def keda_defined(kubectl: Kubectl) -> Iterator[None]:
    """A cluster that serves ScaledObjects for the time of the block, whoever looks after them."""
    crd = "crd/scaledobjects.keda.sh"
    if kubectl.holds("get", crd):
        yield
        return
    kubectl.apply(fetch_definition("keda.sh_scaledobjects.yaml"))
    try:
        kubectl.run("wait", crd, "--for=condition=Established", "--timeout=30s")
        yield
    finally:
        kubectl.run("delete", crd, "--timeout=60s")
