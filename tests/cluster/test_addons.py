"""The cluster of `make cluster-up` is what it is said to be."""

from __future__ import annotations

import json
import os

import httpx
import pytest

from tests.cluster.releases import Namespace
from tools.cluster.kubectl import Kubectl, KubectlError
from tools.cluster.layout import ADDRESS, NODE, UP_VARIABLE
from tools.processes import await_condition

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

UP_SECONDS = 60

POD = """
apiVersion: v1
kind: Pod
metadata: {name: looker, labels: {app.kubernetes.io/component: looker}}
spec:
  restartPolicy: Never
  securityContext: {runAsNonRoot: true, runAsUser: 10001, seccompProfile: {type: RuntimeDefault}}
  containers:
    - name: looker
      image: IMAGE
      imagePullPolicy: IfNotPresent
      command: [python3, -c, PROGRAM]
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: {drop: [ALL]}
"""
LOOK = """
import socket
def reached(host, port):
    try:
        socket.create_connection((host, port), 3).close()
    except OSError as error:
        return type(error).__name__
    return True
def found(name):
    try:
        return socket.gethostbyname(name)
    except OSError as error:
        return type(error).__name__
print(found("kubernetes.default.svc.cluster.local"))
print(reached("kubernetes.default", 443))
print(reached("prometheus-operated.monitoring", 9090))
print(found("example.org"))
print(reached("192.0.2.1", 80))
"""


@pytest.mark.usefixtures("ours")
def test_pods_find_each_other_and_reach_nobody_outside(namespace: Namespace, image: str) -> None:
    manifest = POD.replace("IMAGE", image).replace("PROGRAM", json.dumps(LOOK))
    namespace.kubectl.apply(manifest, "-n", namespace.name)
    namespace.kubectl.run(
        *("wait", "pod/looker", "-n", namespace.name, "--timeout=60s"),
        "--for=jsonpath={.status.phase}=Succeeded",
    )
    api, to_api, to_prometheus, name_outside, outside = namespace.kubectl.run(
        "logs", "looker", "-n", namespace.name
    ).split()
    assert api == "10.96.0.1"
    assert (to_api, to_prometheus) == ("True", "True")
    assert name_outside == "gaierror"
    assert outside in ("ConnectionRefusedError", "OSError")


def test_a_pod_with_more_rights_than_restricted_is_refused(
    namespace: Namespace, image: str
) -> None:
    manifest = POD.replace("IMAGE", image).replace("PROGRAM", '"0"')
    with pytest.raises(KubectlError, match="violates PodSecurity"):
        namespace.kubectl.apply(
            manifest.replace("drop: [ALL]", "add: [NET_ADMIN]"), "-n", namespace.name
        )


# The "up in ≤ 60 s when tools are built"
def test_a_cluster_is_up_within_a_minute_once_its_programs_are_there() -> None:
    if "CLUSTER_FOLDER" not in os.environ:
        pytest.skip("of the cluster of `make cluster-up` only")
    took = os.environ[UP_VARIABLE]
    if not took:
        pytest.skip("NOT SHOWN: the cluster ran before these tests")
    assert float(took) <= UP_SECONDS


def test_prometheus_finds_pods_and_metrics_are_served(ours: Kubectl) -> None:
    served = ours.run("top", "node")
    assert NODE in served
    url = f"http://{ADDRESS}:9090/api/v1/targets?state=active"

    def scraped() -> bool:
        told = httpx.get(url, timeout=5).json()["data"]["activeTargets"]
        return any(one["labels"].get("namespace") == "argo-rollouts" for one in told)

    assert await_condition(scraped, 60)


def test_the_rollouts_controller_serves_its_resources(ours: Kubectl) -> None:
    told = ours.run("api-resources", "--api-group=argoproj.io", "--output=name").split()
    assert {"rollouts.argoproj.io", "analysistemplates.argoproj.io"} <= set(told)
