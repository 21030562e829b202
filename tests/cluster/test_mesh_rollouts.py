"""Argo rolls services of a mesh out, and Helm says what became of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest

from tests.cluster.releases import SERVICES, HelmError, Release
from tools.cluster.kubectl import Kubectl
from tools.processes import await_condition

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(400)]

CANARY, BLUE_GREEN = "retrieval", "gateway"
REPLICAS = 2
READY_SECONDS, SETTLE_SECONDS, WINDOW_SECONDS, PRE_STOP_SECONDS = 2, 10, 10, 3
ROLLOUT = {
    "provider": "argo",
    "services": {
        **{name: "none" for name in SERVICES},
        CANARY: "canary",
        BLUE_GREEN: "blueGreen",
    },
    "progressDeadlineSeconds": 60,
    "settleSeconds": SETTLE_SECONDS,
    "canary": {"weights": [34]},
    "blueGreen": {"scaleDownDelaySeconds": 120},
    "analysis": {
        "windowSeconds": WINDOW_SECONDS,
        "intervalSeconds": 2,
        "count": 3,
        "inconclusiveLimit": 1,
    },
}
CALLED: Mapping[str, Any] = {
    "replicas": REPLICAS,
    "minReadySeconds": READY_SECONDS,
    "preStopSeconds": PRE_STOP_SECONDS,
    # Callers turn to new pods within settleSeconds.
    "settings": {"internal": {"connection_age_seconds": 8}},
}
"""What the service has that is rolled out as a canary."""


@dataclass(frozen=True)
class Rolled:
    """The distributed mesh, two services of which Argo rolls out."""

    release: Release
    values: dict[str, Any]

    def name_of(self, service: str) -> str:
        """What a service's Rollout is called."""
        return f"{self.release.fullname}-{service}"

    def upgrade(self, service: str, version: str, **changes: Any) -> str:
        """`helm upgrade` to a version of one service; what it says."""
        own = {**self.values[service], "podLabels": {"version": version}, **changes}
        return self.release.upgrade({**self.values, service: own})

    def go_back(self, service: str) -> None:
        """`helm rollback`, which says that the former version of a service takes all calls.

        After an upgrade that failed it comes first: the next one would compare with the release
        before, and leave in the Rollout what it finds in neither.
        """
        said = self.release.helm("rollback", self.release.name, "--timeout=120s")
        assert f"{self.name_of(service)} takes all calls" in said

    def versions(self, service: str) -> dict[str, str | None]:
        """The version of each pod that is ready."""
        return {
            one["metadata"]["name"]: one["metadata"]["labels"].get("version")
            for one in self.release.namespace.pods(service)
            if _is_ready(one)
        }


@pytest.fixture(scope="module")
def rolled(distributed: Release, talking: dict[str, object], kubectl: Kubectl) -> Rolled:
    for what in ("crd/rollouts.argoproj.io", "service/prometheus-operated"):
        if not kubectl.holds("get", what, "--namespace=monitoring"):
            pytest.skip(f"needs Argo Rollouts and Prometheus in the cluster: there is no {what}")
    blue = {"replicas": REPLICAS, "minReadySeconds": READY_SECONDS}
    made = Rolled(distributed, {**talking, "rollout": ROLLOUT, CANARY: CALLED, BLUE_GREEN: blue})
    said = distributed.upgrade(made.values)
    assert all(f"{made.name_of(one)} takes all calls" in said for one in (CANARY, BLUE_GREEN))
    return made


# PD-3, PD-4, PD-6
def test_a_version_that_nobody_calls_holds_and_going_back_asks_nobody(rolled: Rolled) -> None:
    name = rolled.name_of(CANARY)
    with pytest.raises(HelmError, match=f"{name} holds: its analysis could not tell"):
        rolled.upgrade(CANARY, "unasked")
    assert set(rolled.versions(CANARY).values()) == {None, "unasked"}

    rolled.go_back(CANARY)
    assert set(rolled.versions(CANARY).values()) == {None}


# PD-3, PD-6
def test_a_version_that_does_not_start_is_given_up_and_helm_says_so(rolled: Rolled) -> None:
    hasty = replace(
        rolled, values={**rolled.values, "rollout": {**ROLLOUT, "progressDeadlineSeconds": 25}}
    )
    with pytest.raises(HelmError, match=f"{rolled.name_of(CANARY)} RolloutAborted"):
        hasty.upgrade(CANARY, "missing", image={"tag": "missing"})
    assert list(rolled.versions(CANARY).values()) == [None] * REPLICAS
    rolled.go_back(CANARY)


def test_uninstalling_leaves_nothing(distributed: Release) -> None:
    namespace = distributed.namespace
    distributed.uninstall()
    secrets = {f"secret/{name}" for name in ("identity", "catalog", "blobs")}
    assert await_condition(lambda: namespace.objects() <= secrets, 60), namespace.objects()


def _is_ready(pod: dict[str, Any]) -> bool:
    conditions = pod["status"].get("conditions", ())
    return any((one["type"], one["status"]) == ("Ready", "True") for one in conditions)
