"""What every example of values becomes: valid for Kubernetes, hardened, the same each time."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.charts.checks import assert_restricted, assert_taken
from tests.charts.rendering import (
    CHART,
    OPERATOR_CHART,
    Example,
    Manifest,
    component,
    main_container,
    of_kind,
    pod_of,
    pods,
    rendered_text,
    workloads,
    write_manifests,
)
from tools.charts.kinds import supported_versions
from tools.programs.table import HELM, KUBE_SCORE

pytestmark = pytest.mark.charts
GOLDEN = Path(__file__).parent / "golden"
# What is meant, by the names that kube-score has for it.
_MEANT = (
    # Probes of one process ask three different questions of the same listener.
    "pod-probes-identical",
    # Headless Services and their policies are checked edge by edge, in test_network.py.
    "networkpolicy-targets-pod",
    "pod-networkpolicy",
    "service-targets-pod",
    # Images are named by the user, by digest where it is hardened.
    "container-image-tag",
    "container-image-pull-policy",
    # Scratch space is bounded by the sizeLimit of its volumes.
    "container-ephemeral-storage-request-and-limit",
    # The wish to be apart is a topology spread.
    "deployment-has-host-podantiaffinity",
    "statefulset-has-host-podantiaffinity",
    # It knows no Rollouts; who is scaled is looked at in test_rollouts.py.
    "horizontalpodautoscaler-has-target",
    # One process with files: there is no second one to keep.
    "deployment-replicas",
    # UIDs above 10000 are what it asks for, and 10001 is one.
    "container-security-context-user-group-id",
    "statefulset-has-poddisruptionbudget",
    "deployment-has-poddisruptionbudget",
)


@pytest.mark.parametrize("version", supported_versions())
def test_kubernetes_of_every_supported_version_takes_it(
    any_manifests: list[Manifest], version: str, folder: Path
) -> None:
    assert_taken(any_manifests, version, folder)


def test_it_is_what_was_last_looked_at(example_of_any: Example) -> None:
    golden = GOLDEN / f"{example_of_any.name}.yaml"
    kept = golden.read_text(encoding="utf-8") if golden.exists() else ""
    now = rendered_text(example_of_any.values, chart=example_of_any.chart)
    assert now == kept, "look at it, then `python -m tests.charts.golden`"


def test_rendering_again_changes_no_byte(example_of_any: Example) -> None:
    one = example_of_any
    command: list[str | Path] = [HELM.fetch(), "template", "ragmesh", one.chart]
    command += ["--namespace", "rag", "--values", one.path]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ran.stdout == rendered_text(one.values, chart=one.chart)


@pytest.mark.parametrize(
    "options",
    [
        ("--is-upgrade",),
        ("--kube-version", supported_versions()[0]),
        ("--kube-version", supported_versions()[-1]),
        ("--api-versions", "argoproj.io/v1alpha1/Rollout,keda.sh/v1alpha1/ScaledObject"),
    ],
    ids=lambda options: " ".join(options),
)
def test_neither_an_upgrade_nor_what_a_cluster_has_changes_a_byte(  # HM-7, HM-9
    example_of_any: Example, options: tuple[str, ...]
) -> None:
    one = example_of_any
    again = rendered_text(one.values, *options, chart=one.chart)
    assert again == rendered_text(one.values, chart=one.chart)


# HM-7: a cluster drops such a list, and counts a change whenever it is told of it again.
def test_no_policy_has_a_list_without_rules(any_manifests: list[Manifest]) -> None:
    policies = of_kind(any_manifests, "NetworkPolicy")
    assert all(one["spec"]["policyTypes"] == ["Ingress", "Egress"] for one in policies)
    assert all(one["spec"].get(way) != [] for one in policies for way in ("ingress", "egress"))


def test_helm_finds_nothing_to_say(example_of_any: Example) -> None:
    ran = subprocess.run(
        [HELM.fetch(), "lint", "--strict", example_of_any.chart, "--values", example_of_any.path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_kube_score_finds_nothing_critical(any_manifests: list[Manifest], folder: Path) -> None:
    path = write_manifests(any_manifests, folder / "scored.yaml")
    ignored = [option for test in _MEANT for option in ("--ignore-test", test)]
    ran = subprocess.run(
        [KUBE_SCORE.fetch(), "score", "--output-format", "ci", *ignored, path],
        capture_output=True,
        text=True,
        check=False,
    )
    critical = [line for line in ran.stdout.splitlines() if line.startswith("[CRITICAL]")]
    assert critical == [], ran.stderr


def test_no_pod_may_do_what_restricted_forbids(any_manifests: list[Manifest]) -> None:
    assert_restricted(any_manifests)


def test_no_container_writes_to_its_image_or_takes_what_others_need(
    any_manifests: list[Manifest],
) -> None:
    for pod in pods(any_manifests):
        for container in pod["spec"]["containers"]:
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            assert {"requests", "limits"} <= container["resources"].keys()


def test_no_pod_is_given_a_token_but_who_asks_for_rollouts(
    manifests: list[Manifest],
) -> None:
    for pod in pods(manifests):
        asks = component(pod) == "await-rollouts"
        assert pod["spec"]["automountServiceAccountToken"] is asks


def test_every_workload_is_probed_three_times(manifests: list[Manifest]) -> None:
    for workload in workloads(manifests).values():
        container = main_container(pod_of(workload))
        assert {"startupProbe", "readinessProbe", "livenessProbe"} <= container.keys()


def test_replicas_are_left_to_whoever_scales(manifests: list[Manifest]) -> None:
    scaled = {
        one["spec"]["scaleTargetRef"]["name"]: one["spec"]["scaleTargetRef"]["kind"]
        for one in of_kind(manifests, "HorizontalPodAutoscaler")
    }
    for workload in workloads(manifests).values():
        name = workload["metadata"]["name"]
        assert ("replicas" in workload["spec"]) == (name not in scaled)
        assert scaled.get(name, workload["kind"]) == workload["kind"]


def test_a_budget_lets_one_pod_go_at_a_time(manifests: list[Manifest]) -> None:
    budgets = {component(one): one["spec"] for one in of_kind(manifests, "PodDisruptionBudget")}
    assert budgets.keys() == workloads(manifests).keys()
    assert all(budget["maxUnavailable"] == 1 for budget in budgets.values())


def test_every_object_says_to_which_release_it_belongs(any_manifests: list[Manifest]) -> None:
    for manifest in any_manifests:
        labels = manifest["metadata"]["labels"]
        assert labels["app.kubernetes.io/instance"] == "ragmesh", manifest["metadata"]["name"]
        assert labels["app.kubernetes.io/part-of"] == "ragmesh"


def test_the_versions_that_are_checked_are_those_that_the_chart_supports() -> None:
    oldest = supported_versions()[0].rpartition(".")[0]
    for chart in (CHART, OPERATOR_CHART):
        told = (chart / "Chart.yaml").read_text(encoding="utf-8")
        assert f'kubeVersion: ">={oldest}.0-0"' in told
