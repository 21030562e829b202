"""What the API server takes of a resource, and what it refuses, rule by rule."""

from __future__ import annotations

import pytest

from tests.servers.operator.api_server import KubeServer
from tests.servers.operator.resources import collection
from tests.unit.operators.examples import CHANGES, examples, refused, taken
from tests.unit.operators.judging import misjudged, refusals

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]
DRY = ("--dry-run=server", "--validate=false", "-f", "-")
"""Judged by the server alone: kubectl would refuse some of it before."""


def listed(*resources: object) -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "List", "items": list(resources)}


def test_what_breaks_no_rule_is_taken(kube: KubeServer) -> None:  # OP-8
    found = listed(*(one.resource for one in taken(examples())))
    said = kube.kubectl("create", *DRY, given=found)
    assert said.returncode == 0, said.stderr


def test_what_breaks_a_rule_is_refused_in_words_of_its_own(kube: KubeServer) -> None:  # OP-8
    asked = refused(examples())
    said = kube.kubectl("create", *DRY, given=listed(*(one.resource for one in asked)))
    assert misjudged(said.stderr, asked) == []
    assert said.stdout == ""


def test_a_field_that_is_not_there_is_refused(kube: KubeServer) -> None:
    said = kube.kubectl(
        "create", "--dry-run=server", "-f", "-", given=collection("odd", nonsense=1)
    )
    assert 'unknown field "spec.nonsense"' in said.stderr


def test_what_cannot_be_changed_is_refused_and_all_else_is_taken(kube: KubeServer) -> None:
    assert kube.apply(*(one.there for one in CHANGES)).returncode == 0
    said = kube.kubectl("apply", *DRY, given=listed(*(one.taken for one in CHANGES)))
    assert said.returncode == 0, said.stderr
    said = kube.kubectl("apply", *DRY, given=listed(*(one.refused for one in CHANGES)))
    told = refusals(said.stderr)
    assert len(told) == len(CHANGES)
    for one in CHANGES:
        assert one.rule.what in told[one.rule.kind, one.refused["metadata"]["name"]]
