"""Argo rolls a service out, and Helm says what became of it.

One service is enough, without servers: nobody calls it, so its new pods cannot be judged.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.conftest import SMALL
from tests.cluster.releases import SERVICES, HelmError, Namespace, Release
from tools.cluster.kubectl import Kubectl
from tools.servers.table import PASSWORD

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(400)]

ROLLED = "generation"
VALUES: Mapping[str, Any] = {
    "mode": "distributed",
    "identity": {"existingSecret": "identity"},
    "catalog": {"url": "postgresql+asyncpg://ragmesh@away:5432/ragmesh", "existingSecret": "away"},
    "events": {"url": "kafka://away:9092"},
    "blobs": {"url": "s3://away", "existingSecret": "away"},
    "index": {"url": "weaviate://away"},
    "cache": {"url": "redis://away:6379/0"},
    "hooks": {"migrate": {"enabled": False}, "topics": {"enabled": False}},
    "workload": {**SMALL, "replicas": 0},
    ROLLED: {"replicas": 2},
    "rollout": {
        "provider": "argo",
        "services": {name: "none" for name in SERVICES if name != ROLLED},
        "progressDeadlineSeconds": 60,
        "settleSeconds": 1,
        "canary": {"weights": [34]},
        "analysis": {
            "windowSeconds": 10,
            "intervalSeconds": 2,
            "count": 3,
            "inconclusiveLimit": 1,
        },
    },
}


@pytest.fixture
def release(namespace: Namespace, kubectl: Kubectl, image: str, identity: Path) -> Release:
    for what in ("crd/rollouts.argoproj.io", "service/prometheus-operated"):
        if not kubectl.holds("get", what, "--namespace=monitoring"):
            pytest.skip(f"needs Argo Rollouts and Prometheus in the cluster: there is no {what}")
    namespace.make_secret("identity", files=identity)
    words = ("password", "access-key-id", "secret-access-key")
    namespace.make_secret("away", **dict.fromkeys(words, PASSWORD))
    return Release(namespace, "mesh", image, identity)


# PD-3, PD-4, PD-6
def test_helm_ends_well_only_when_new_pods_were_found_good_and_going_back_asks_nobody(
    release: Release,
) -> None:
    name = f"{release.fullname}-{ROLLED}"
    assert f"{name} takes all calls" in release.install(VALUES)

    with pytest.raises(HelmError, match=f"{name} holds: its analysis could not tell"):
        release.upgrade({**VALUES, ROLLED: {"replicas": 2, "podLabels": {"version": "unasked"}}})
    assert _versions(release) == {None, "unasked"}

    said = release.helm("rollback", release.name, "--timeout=120s")
    assert f"{name} takes all calls" in said
    assert _versions(release) == {None}


# PD-3, PD-6
def test_a_version_that_does_not_start_is_given_up_and_helm_says_so(release: Release) -> None:
    values = {**VALUES, "rollout": {**VALUES["rollout"], "progressDeadlineSeconds": 25}}
    release.install(values)
    bad = {"replicas": 2, "image": {"tag": "missing"}, "podLabels": {"version": "bad"}}

    with pytest.raises(HelmError, match=f"{release.fullname}-{ROLLED} RolloutAborted"):
        release.upgrade({**values, ROLLED: bad})

    assert len(_ready(release)) == 2
    assert {one["metadata"]["labels"].get("version") for one in _ready(release)} == {None}


def _versions(release: Release) -> set[str | None]:
    pods = release.namespace.pods(ROLLED)
    return {one["metadata"]["labels"].get("version") for one in pods}


def _ready(release: Release) -> list[dict[str, Any]]:
    return [one for one in release.namespace.pods(ROLLED) if _is_ready(one)]


def _is_ready(pod: dict[str, Any]) -> bool:
    conditions = pod["status"].get("conditions", ())
    return any((one["type"], one["status"]) == ("Ready", "True") for one in conditions)
