"""What the API server takes of a resource, and what it refuses, rule by rule."""

from __future__ import annotations

from typing import Any

import pytest

from ragmesh_operator.schemas import KINDS, definition
from tests.servers.operator.api_server import KubeServer
from tests.servers.operator.resources import collection
from tools.generate_resources import rules_of

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]


def steps(*weights: int) -> dict[str, Any]:
    canary = {"steps": [{"weight": weight} for weight in weights]}
    return {"migration": {"canary": canary}}


def named(name: str) -> dict[str, Any]:
    return collection(name)


def tenant(name: str) -> dict[str, Any]:
    return {
        "apiVersion": "ragmesh.dev/v1alpha1",
        "kind": "RAGTenant",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {},
    }


GROW = "weights must grow from step to step"
LAST = "the last step must have weight 100"
OVERLAP = "overlapTokens must be smaller than maxTokens"
BOUNDS = "min must not be above max"
TWICE = "a metric must not be named twice"
NAME = "the name must begin with a letter"
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "weights that shrink": (collection("a", **steps(50, 20, 100)), GROW),
    "weights that stay": (collection("a", **steps(50, 50, 100)), GROW),
    "a canary that stops half-way": (collection("a", **steps(50)), LAST),
    "chunks of nothing but overlap": (
        collection("a", chunking={"maxTokens": 64, "overlapTokens": 64}),
        OVERLAP,
    ),
    "more at least than at most": (
        collection("a", autoscaling={"workers": {"min": 5, "max": 2}}),
        BOUNDS,
    ),
    "at least more than the usual most": (
        collection("a", autoscaling={"workers": {"min": 5}}),
        BOUNDS,
    ),
    "a name that begins with a digit": (named("0a"), NAME),
    "a name of two parts": (named("a.b"), NAME),
    "a tenant's name with a digit first": (tenant("0a"), NAME),
    "a metric with two bounds": (
        collection(
            "a",
            evaluation={"metrics": [{"name": "mrr", "floor": 0.5}, {"name": "mrr", "floor": 0.6}]},
        ),
        TWICE,
    ),
    "a floor that nothing reaches": (
        collection("a", evaluation={"metrics": [{"name": "recall", "floor": 1.5}]}),
        "spec.evaluation.metrics[0].floor",
    ),
    "a duration that is none": (collection("a", migration={"soak": "soon"}), "spec.migration.soak"),
    "a field that is not there": (collection("a", nonsense=1), 'unknown field "spec.nonsense"'),
}
TAKEN = {
    "nothing but a name": collection("a"),
    "weights that grow": collection("a", **steps(5, 50, 100)),
    "one step": collection("a", **steps(100)),
    "no canary": collection("a", **steps()),
    "an overlap": collection("a", chunking={"maxTokens": 64, "overlapTokens": 63}),
    "an overlap of what the encoder reads": collection("a", chunking={"overlapTokens": 63}),
    "a fixed number of indexers": collection("a", autoscaling={"workers": {"min": 3, "max": 3}}),
    "a name with digits": collection("a-0-b"),
    "a bound for every metric": collection(
        "a",
        evaluation={
            "metrics": [{"name": one, "maxRegression": 0.01} for one in ("recall", "ndcg", "mrr")]
        },
    ),
    "a duration of hours and minutes": collection("a", migration={"soak": "1h30m"}),
    "a tenant": tenant("acme-2"),
}
FIXED: dict[str, tuple[dict[str, Any], str]] = {
    "tenant": ({"tenant": "other"}, "tenant cannot be changed"),
    "sortable": ({"sortable": [{"field": "year", "kind": "number"}]}, "sortable cannot be changed"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_breaks_a_rule_is_refused_in_its_sentence(kube: KubeServer, case: str) -> None:
    resource, sentence = REFUSED[case]
    said = kube.kubectl("create", "--dry-run=server", "-f", "-", given=resource)
    assert said.returncode != 0
    assert sentence in said.stderr


@pytest.mark.parametrize("case", TAKEN)
def test_what_breaks_no_rule_is_taken(kube: KubeServer, case: str) -> None:
    said = kube.kubectl("create", "--dry-run=server", "-f", "-", given=TAKEN[case])
    assert said.returncode == 0, said.stderr


def test_what_cannot_be_changed_is_refused_and_all_else_is_taken(kube: KubeServer) -> None:
    assert kube.apply(collection("fixed", paused=True)).returncode == 0
    for spec, sentence in FIXED.values():
        said = kube.kubectl(
            "apply", "--dry-run=server", "-f", "-", given=collection("fixed", paused=True, **spec)
        )
        assert said.returncode != 0
        assert sentence in said.stderr
    changed = collection("fixed", paused=True, encoder="fast", deletionPolicy="Delete")
    assert kube.apply(changed).returncode == 0


def test_every_rule_has_an_example_that_breaks_it() -> None:
    broken = {sentence for _, sentence in (*REFUSED.values(), *FIXED.values())}
    for kind in KINDS:
        schema = definition(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        for _, message in rules_of(schema):
            assert any(message.startswith(sentence) for sentence in broken), message
