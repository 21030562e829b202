"""Every knob does what it says on every workload, all of them at once."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from tests.charts.rendering import (
    CHART,
    Manifest,
    component,
    example,
    laid_over,
    main_container,
    pod_of,
    rendered,
    workloads,
)

pytestmark = pytest.mark.charts

PARTS = {
    "embedded": ("embedded",),
    "distributed": (
        *("cache", "embedding", "gateway", "generation"),
        *("indexer", "indexing", "retrieval"),
    ),
}
_VOLUME = {"name": "more", "emptyDir": {"sizeLimit": "1Mi"}}
_CONTAINER = {"name": "beside", "image": "beside:1"}
_PEER = {"from": [{"ipBlock": {"cidr": "192.0.2.7/32"}}]}
_GOAL = {"to": [{"ipBlock": {"cidr": "192.0.2.8/32"}}]}
_PROBES = {"startup": {"periodSeconds": 7}, "liveness": {"timeoutSeconds": 9}}


@dataclass(frozen=True, slots=True)
class Workload:
    """What was rendered for one part of the mesh."""

    part: str
    objects: tuple[Manifest, ...]

    @property
    def itself(self) -> Manifest:
        return workloads(self.objects)[self.part]

    @property
    def pod(self) -> dict[str, Any]:
        found: dict[str, Any] = pod_of(self.itself)["spec"]
        return found

    @property
    def labels(self) -> dict[str, str]:
        found: dict[str, str] = pod_of(self.itself)["metadata"]["labels"]
        return found

    @property
    def annotations(self) -> dict[str, str]:
        found: dict[str, str] = pod_of(self.itself)["metadata"]["annotations"]
        return found

    @property
    def settings(self) -> dict[str, Any]:
        found: dict[str, Any] = yaml.safe_load(self.annotations["ragmesh.dev/settings"])
        return found

    @property
    def container(self) -> dict[str, Any]:
        return main_container(pod_of(self.itself))

    def one(self, kind: str) -> Manifest:
        """The object of a kind that bears the workload's name."""
        name = self.itself["metadata"]["name"]
        names = {name, f"{name}-internal"}
        (found,) = (
            each
            for each in self.objects
            if each["kind"] == kind and each["metadata"]["name"] in names
        )
        return found


Knob = tuple[Any, Callable[[Workload], Any]]
"""What is set, and what must be true of the workload then."""

KNOBS: dict[str, Knob] = {
    "replicas": (4, lambda one: "replicas" not in one.itself["spec"]),  # it is scaled, see below
    "image": (
        {"registry": "r.example", "repository": "own", "digest": f"sha256:{'0' * 64}"},
        lambda one: one.container["image"] == f"r.example/own@sha256:{'0' * 64}",
    ),
    "imagePullSecrets": ([{"name": "p"}], lambda one: {"name": "p"} in one.pod["imagePullSecrets"]),
    "settings": ({"log": {"level": "debug"}}, lambda one: one.settings["log"]["level"] == "debug"),
    "existingSecret": (
        "own-keys",
        lambda one: any(
            volume.get("secret", {}).get("secretName") == "own-keys"
            for volume in one.pod["volumes"]
        ),
    ),
    "resources": (
        {"limits": {"memory": "777Mi"}},
        lambda one: one.container["resources"]["limits"]["memory"] == "777Mi",
    ),
    "podSecurityContext": (
        {"runAsUser": 12345},
        lambda one: one.pod["securityContext"]["runAsUser"] == 12345,
    ),
    "containerSecurityContext": (
        {"runAsUser": 12346},
        lambda one: one.container["securityContext"]["runAsUser"] == 12346,
    ),
    "serviceAccount": (
        {"name": "own", "annotations": {"a": "b"}},
        lambda one: one.pod["serviceAccountName"] == "own",
    ),
    "labels": ({"own": "l"}, lambda one: one.itself["metadata"]["labels"]["own"] == "l"),
    "annotations": (
        {"own": "a"},
        lambda one: one.itself["metadata"]["annotations"]["own"] == "a",
    ),
    "podLabels": ({"own": "pl"}, lambda one: one.labels["own"] == "pl"),
    "podAnnotations": ({"own": "pa"}, lambda one: one.annotations["own"] == "pa"),
    "nodeSelector": ({"disk": "fast"}, lambda one: one.pod["nodeSelector"] == {"disk": "fast"}),
    "tolerations": (
        [{"key": "k", "operator": "Exists"}],
        lambda one: one.pod["tolerations"] == [{"key": "k", "operator": "Exists"}],
    ),
    "affinity": ({"nodeAffinity": {}}, lambda one: one.pod["affinity"] == {"nodeAffinity": {}}),
    "topologySpreadConstraints": (
        [{"maxSkew": 3, "topologyKey": "rack", "whenUnsatisfiable": "DoNotSchedule"}],
        lambda one: one.pod["topologySpreadConstraints"][0]["topologyKey"] == "rack",
    ),
    "priorityClassName": ("high", lambda one: one.pod["priorityClassName"] == "high"),
    "runtimeClassName": ("gvisor", lambda one: one.pod["runtimeClassName"] == "gvisor"),
    "dnsConfig": (
        {"options": [{"name": "ndots", "value": "1"}]},
        lambda one: one.pod["dnsConfig"]["options"][0]["name"] == "ndots",
    ),
    "hostAliases": (
        [{"ip": "192.0.2.1", "hostnames": ["h"]}],
        lambda one: one.pod["hostAliases"][0]["ip"] == "192.0.2.1",
    ),
    "extraEnv": (
        [{"name": "OWN", "value": "1"}],
        lambda one: {"name": "OWN", "value": "1"} in one.container["env"],
    ),
    "extraEnvFrom": (
        [{"configMapRef": {"name": "own"}}],
        lambda one: {"configMapRef": {"name": "own"}} in one.container["envFrom"],
    ),
    "extraVolumes": ([_VOLUME], lambda one: _VOLUME in one.pod["volumes"]),
    "extraVolumeMounts": (
        [{"name": "more", "mountPath": "/more"}],
        lambda one: {"name": "more", "mountPath": "/more"} in one.container["volumeMounts"],
    ),
    "extraContainers": ([_CONTAINER], lambda one: _CONTAINER in one.pod["containers"]),
    "extraInitContainers": ([_CONTAINER], lambda one: _CONTAINER in one.pod["initContainers"]),
    "dataVolume": (
        {"emptyDir": {"sizeLimit": "3Gi"}},
        lambda one: (
            one.part == "embedded"  # whose data is on a claim
            or {"name": "data", "emptyDir": {"sizeLimit": "3Gi"}} in one.pod["volumes"]
        ),
    ),
    "podDisruptionBudget": (
        {"maxUnavailable": 2},
        lambda one: one.one("PodDisruptionBudget")["spec"]["maxUnavailable"] == 2,
    ),
    "autoscaling": (
        {"enabled": True, "minReplicas": 3, "maxReplicas": 5},
        lambda one: one.one("HorizontalPodAutoscaler")["spec"]["maxReplicas"] == 5,
    ),
    "networkPolicy": (
        {"extraIngress": [_PEER], "extraEgress": [_GOAL]},
        lambda one: (
            _PEER in one.one("NetworkPolicy")["spec"]["ingress"]
            and _GOAL in one.one("NetworkPolicy")["spec"]["egress"]
        ),
    ),
    "serviceMonitor": (
        {"enabled": True, "interval": "7s"},
        lambda one: one.one("ServiceMonitor")["spec"]["endpoints"][0]["interval"] == "7s",
    ),
    "service": (
        {"labels": {"own": "s"}},
        lambda one: one.one("Service")["metadata"]["labels"]["own"] == "s",
    ),
    "probes": (
        _PROBES,
        lambda one: (
            one.container["startupProbe"]["periodSeconds"] == 7
            and one.container["livenessProbe"]["timeoutSeconds"] == 9
        ),
    ),
    "preStopSeconds": (
        4,
        lambda one: one.container["lifecycle"]["preStop"]["sleep"]["seconds"] == 4,
    ),
    "terminationGracePeriodSeconds": (
        543,
        lambda one: one.pod["terminationGracePeriodSeconds"] == 543,
    ),
    "minReadySeconds": (
        21,
        lambda one: one.part == "embedded" or one.itself["spec"]["minReadySeconds"] == 21,
    ),
    "maxSurge": (
        2,
        lambda one: (
            one.part == "embedded"
            or one.itself["spec"]["strategy"]["rollingUpdate"]["maxSurge"] == 2
        ),
    ),
    "revisionHistoryLimit": (4, lambda one: one.itself["spec"]["revisionHistoryLimit"] == 4),
}
_ONE_PROCESS = frozenset({"autoscaling", "replicas"})
"""What mode embedded has one of, and refuses to have more of."""
PAIRS = [
    (knob, mode, part)
    for mode, parts in PARTS.items()
    for part in parts
    for knob in KNOBS
    if not (mode == "embedded" and knob in _ONE_PROCESS)
]


@functools.cache
def workload(mode: str, part: str) -> Workload:
    """The part where every knob is set on every workload."""
    knobs = {
        knob: value
        for knob, (value, _) in KNOBS.items()
        if not (mode == "embedded" and knob in _ONE_PROCESS)
    }
    manifests = rendered(laid_over(example(mode), dict.fromkeys(PARTS[mode], knobs)))
    own = tuple(one for one in manifests if component(one) == part)
    return Workload(part, own)


@pytest.mark.parametrize(("knob", "mode", "part"), PAIRS)
def test_a_knob_turns_something_on_its_workload(knob: str, mode: str, part: str) -> None:  # HM-3
    assert KNOBS[knob][1](workload(mode, part))


def test_no_knob_is_left_out_of_the_matrix() -> None:  # HM-3
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    assert values["workload"].keys() - {"replicas"} == KNOBS.keys() - {"replicas"}
