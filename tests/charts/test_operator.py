"""The chart of the operator: rights that are exactly what it calls, one process, a clean end."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

import pytest

from ragmesh.chassis.settings import load
from ragmesh.testing.clocks import ManualClock
from ragmesh_operator.adapters.api_server import APPLY, ApiServer
from ragmesh_operator.adapters.kube import KubeResources
from ragmesh_operator.adapters.workloads import KubeWorkloads
from ragmesh_operator.autoscaling import CurrentScale, Workload
from ragmesh_operator.main import arguments
from ragmesh_operator.ports import Occurrence
from ragmesh_operator.schemas import KINDS, definition
from ragmesh_operator.settings import Settings
from ragmesh_operator.statuses import CollectionStatus
from ragmesh_operator.values import Key
from tests.charts.rendering import (
    OPERATOR_CHART,
    Example,
    Manifest,
    Refused,
    laid_over,
    main_container,
    of_kind,
    pod_of,
    rendered,
    rendered_text,
)

pytestmark = pytest.mark.charts

CLUSTER, NAMESPACED = (
    Example(name, OPERATOR_CHART) for name in ("operator", "operator-namespaced")
)
INDEXERS = Workload("deployments", "ragmesh-indexer", "mesh")
COLLECTION = Key("ragcollections", "docs", "handbook")
TENANT = Key("ragtenants", "docs", "acme")
ANNOTATED = {"metadata": {"annotations": {"a": "b"}}}
SCALED_BY_US = {"metadata": {"labels": {"app.kubernetes.io/managed-by": "ragmesh-operator"}}}
Right = tuple[str, str, str]
"""A verb, a group and a resource, which may be a part of one."""


def manifests_of(example: Example, **values: Any) -> list[Manifest]:
    return rendered(laid_over(example.values, values), chart=OPERATOR_CHART)


class Recorder:
    """Stands in for an API server: answers, and remembers what rights each call takes."""

    def __init__(self, answer: Mapping[str, Any]) -> None:
        self.answer = answer
        self.used: set[Right] = set()

    async def call(
        self, method: str, path: str, *, kind: str = "", **_: object
    ) -> Mapping[str, Any]:
        self.used |= set(rights_of(method, path, kind))
        return self.answer


def rights_of(method: str, path: str, kind: str) -> Iterator[Right]:
    """What a call takes, as the API server judges it."""
    parts = path.removeprefix("/").split("/")
    group, rest = ("", parts[2:]) if parts[0] == "api" else (parts[1], parts[3:])
    if rest[:1] == ["namespaces"]:
        rest = rest[2:]
    if not rest:
        return  # discovery, which everybody may ask for
    resource, named, part = rest[0], len(rest) > 1, "/".join(rest[2:])
    what = f"{resource}/{part}" if part else resource
    verbs = {"GET": "get" if named else "list", "POST": "create", "DELETE": "delete"}
    yield verbs.get(method, "patch"), group, what
    if kind == APPLY and not part:
        yield "create", group, what


async def called() -> set[Right]:
    """The rights that the program needs: its adapters' own, and those of kopf's watches."""
    kube = Recorder(ANNOTATED | {"items": [], "metadata": ANNOTATED["metadata"], "data": {}})
    resources = KubeResources(cast("ApiServer", kube), ("docs",), ManualClock())
    for key in (COLLECTION, TENANT):
        await resources.read(key)
        await resources.list(key.plural)
        await resources.write_status(key, "1", CollectionStatus())
    await resources.write_finalizers(COLLECTION, "1", ())
    await resources.take_annotations(COLLECTION, "a", "b", ())
    await resources.config_text("docs", "golden", "golden.jsonl")
    await resources.tell(COLLECTION, "uid", Occurrence("Reason", "sentence"))
    scale = {
        "items": [],
        "spec": {},
        "metadata": SCALED_BY_US["metadata"] | {"resourceVersion": "", "uid": "", "generation": 1},
    }
    apps = Recorder(scale)
    workloads = KubeWorkloads(cast("ApiServer", apps), ManualClock())
    await workloads.has_keda()
    await workloads.foreign_scalers(INDEXERS)
    await workloads.read_scale(INDEXERS)
    await workloads.write_scale(INDEXERS, CurrentScale(1, "", "1"), 2)
    await workloads.apply_scaled_object(INDEXERS, {})
    await workloads.delete_scaled_object(INDEXERS)
    await workloads.tell(INDEXERS, "uid", Occurrence("Reason", "sentence"))
    watched = {(verb, "ragmesh.dev", one.plural) for one in KINDS for verb in ("list", "watch")}
    return kube.used | apps.used | watched


def granted(manifests: Iterable[Manifest]) -> set[Right]:
    """What all roles together allow."""
    return {
        (verb, group, resource)
        for role in of_kind(manifests, "Role", "ClusterRole")
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


async def test_roles_allow_what_the_program_calls_and_nothing_else() -> None:  # OP-9
    assert granted(manifests_of(NAMESPACED)) == await called()
    scaled = manifests_of(
        CLUSTER, mesh=NAMESPACED.values["mesh"], workers={"workload": "deployments/x"}
    )
    assert granted(scaled) == await called()


def test_every_call_of_the_program_is_looked_at() -> None:
    """A new method of an adapter must be called above."""
    looked_at = inspect.getsource(called)
    for adapter, name in ((KubeResources, "resources"), (KubeWorkloads, "workloads")):
        for method in vars(adapter):
            if inspect.iscoroutinefunction(vars(adapter)[method]) and not method.startswith("_"):
                assert f"{name}.{method}(" in looked_at


def test_an_operator_of_some_namespaces_has_no_right_beyond_them() -> None:  # OP-9
    manifests = manifests_of(NAMESPACED)
    assert of_kind(manifests, "ClusterRole", "ClusterRoleBinding") == []
    places = {one["metadata"]["namespace"] for one in of_kind(manifests, "Role")}
    assert places == {"team-a", "team-b", "mesh", "rag"}
    for example in (CLUSTER, NAMESPACED):
        text = str(of_kind(manifests_of(example), "Role", "ClusterRole"))
        assert "*" not in text
        assert "secrets" not in text


def test_scales_are_changed_of_the_named_workloads_only() -> None:
    rules = [rule for role in of_kind(manifests_of(NAMESPACED), "Role") for rule in role["rules"]]
    scales = [rule for rule in rules if "deployments/scale" in rule["resources"]]
    names = [rule["resourceNames"] for rule in scales]
    assert names == [["ragmesh-indexer"], ["ragmesh-ragmesh-operator"]]
    of_argo = manifests_of(NAMESPACED, workers={"workload": "rollouts/indexer"})
    assert ("patch", "argoproj.io", "rollouts/scale") in granted(of_argo)


def test_every_role_is_bound_to_the_pod_and_to_nobody_else() -> None:
    for example in (CLUSTER, NAMESPACED):
        manifests = manifests_of(example)
        (deployment,) = of_kind(manifests, "Deployment")
        account = pod_of(deployment)["spec"]["serviceAccountName"]
        bound = {
            (one["kind"].removesuffix("Binding"), one["roleRef"]["name"])
            for one in of_kind(manifests, "RoleBinding", "ClusterRoleBinding")
        }
        roles = of_kind(manifests, "Role", "ClusterRole")
        assert bound == {(one["kind"], one["metadata"]["name"]) for one in roles}
        for one in of_kind(manifests, "RoleBinding", "ClusterRoleBinding"):
            subject = {"kind": "ServiceAccount", "name": account, "namespace": "rag"}
            assert one["subjects"] == [subject]


def test_there_are_never_two_at_a_time() -> None:
    (deployment,) = of_kind(manifests_of(CLUSTER), "Deployment")
    assert deployment["spec"]["replicas"] == 1
    assert deployment["spec"]["strategy"] == {"type": "Recreate"}


@pytest.mark.parametrize("example", [CLUSTER, NAMESPACED], ids=str)
def test_variables_of_the_pod_are_settings_of_the_program(example: Example) -> None:
    (deployment,) = of_kind(manifests_of(example), "Deployment")
    variables = main_container(pod_of(deployment))["env"]
    settings = load(
        Settings,
        config_file=None,
        environ={one["name"]: one["value"] for one in variables},
        overrides={},
    )
    values = example.values
    assert settings.mesh.indexing == values["mesh"]["indexing"]
    assert list(settings.namespaces) == values.get("namespaces", [])
    assert settings.workers.workload == values.get("workers", {}).get("workload")
    assert (settings.tls.files is not None) == values.get("tls", {}).get("enabled", False)
    port = main_container(pod_of(deployment))["ports"][0]["containerPort"]
    assert settings.probe == f"http://0.0.0.0:{port}/healthz"


def test_a_cluster_that_is_named_is_told_to_the_program() -> None:
    (deployment,) = of_kind(manifests_of(CLUSTER, clusterName="blue"), "Deployment")
    variables = main_container(pod_of(deployment))["env"]
    environ = {one["name"]: one["value"] for one in variables}
    settings = load(Settings, config_file=None, environ=environ, overrides={})
    assert settings.cluster == "blue"


def test_the_definitions_are_those_of_the_program_and_outlive_the_release() -> None:
    manifests = of_kind(manifests_of(CLUSTER), "CustomResourceDefinition")
    assert {one["metadata"]["name"]: one["spec"] for one in manifests} == {
        made["metadata"]["name"]: made["spec"] for made in map(definition, KINDS)
    }
    for one in manifests:
        assert one["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    assert of_kind(manifests_of(NAMESPACED), "CustomResourceDefinition") == []
    for one in of_kind(manifests_of(CLUSTER, crds={"keep": False}), "CustomResourceDefinition"):
        assert "annotations" not in one["metadata"]


def test_before_it_goes_it_lets_go_of_its_resources() -> None:
    manifests = manifests_of(CLUSTER)
    (job,) = of_kind(manifests, "Job")
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-delete"
    (deployment,) = of_kind(manifests, "Deployment")
    asked = arguments().parse_args(main_container(pod_of(job))["args"])
    assert asked.command == "leave"
    assert (asked.deployment.namespace, asked.deployment.name) == (
        "rag",
        deployment["metadata"]["name"],
    )
    assert asked.seconds <= 30
    labels = pod_of(job)["metadata"]["labels"]
    selector = deployment["spec"]["selector"]["matchLabels"]
    assert not selector.items() <= labels.items()
    assert of_kind(manifests_of(CLUSTER, hooks={"leave": {"enabled": False}}), "Job") == []


def test_pods_reach_names_the_api_server_and_the_mesh() -> None:
    policies = of_kind(manifests_of(NAMESPACED), "NetworkPolicy")
    reached = {
        one["metadata"]["labels"]["app.kubernetes.io/component"]: [
            [port["port"] for port in rule["ports"]] for rule in one["spec"]["egress"]
        ]
        for one in policies
    }
    assert reached == {"operator": [[53, 53], [6443], [50065, 9090]], "leave": [[53, 53], [6443]]}
    assert all(one["spec"]["policyTypes"] == ["Ingress", "Egress"] for one in policies)
    assert all("ingress" not in one["spec"] for one in policies)
    assert all("to" in rule for one in policies for rule in one["spec"]["egress"])
    off = manifests_of(NAMESPACED, networkPolicy={"enabled": False})
    assert of_kind(off, "NetworkPolicy") == []


REFUSALS: dict[str, tuple[dict[str, Any], str]] = {
    "no mesh": ({"mesh": {"indexing": ""}}, "mesh.indexing must be HOST:PORT"),
    "a mesh without a port": ({"mesh": {"indexing": "ragmesh"}}, "mesh.indexing must be HOST:PORT"),
    "no keys": ({"identity": {"existingSecret": ""}}, "identity.existingSecret is missing"),
    "no certificate": ({"tls": {"existingSecret": ""}}, "tls.existingSecret is missing"),
    "another kind of workload": (
        {"workers": {"workload": "statefulsets/x"}},
        "workers.workload must be deployments/NAME or rollouts/NAME",
    ),
    "scaling by nothing": (
        {"mesh": {"backlogUrl": ""}},
        "nothing is scaled without mesh.backlogUrl",
    ),
    "no time to start": (
        {"hooks": {"leave": {"activeDeadlineSeconds": 20}}},
        "must be more than hooks.leave.seconds",
    ),
    "a misspelt value": ({"mesh": {"index": "x"}}, "additional properties 'index' not allowed"),
    "too long a pause": ({"pace": {"settledSeconds": 61}}, "/pace/settledSeconds"),
    "a name that is none": ({"fullnameOverride": "The_Operator"}, "objects would be called"),
    "a label of selectors on pods": (
        {"podLabels": {"app.kubernetes.io/component": "x"}},
        "podLabels sets app.kubernetes.io/component",
    ),
    "a level that is none": ({"log": {"level": "loud"}}, "/log/level"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_values_that_cannot_work_are_refused_in_a_sentence(case: str) -> None:  # HM-1
    values, said = REFUSALS[case]
    with pytest.raises(Refused) as caught:
        rendered_text(laid_over(NAMESPACED.values, values), chart=OPERATOR_CHART)
    assert said in caught.value.why
