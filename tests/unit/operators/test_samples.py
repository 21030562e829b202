"""What is shown in k8s/samples is what the resources take, and enough to judge an index by."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel

from ragmesh.evaluation.golden import read_golden
from ragmesh_operator.resources import API_VERSION, CollectionSpec, TenantSpec
from tests.samples import HANDBOOK, SAMPLES, sample, sample_collection, sample_questions

SPECS: dict[str, type[BaseModel]] = {"RAGCollection": CollectionSpec, "RAGTenant": TenantSpec}
COLLECTIONS = ("collection", "blue-green")


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_sample_is_taken(path: Path) -> None:
    found = sample(path.stem)
    if found["kind"] == "ConfigMap":
        assert read_golden(found["data"]["golden.jsonl"].encode()).questions
        return
    assert found["apiVersion"] == API_VERSION
    SPECS[found["kind"]].model_validate(found["spec"])


@pytest.mark.parametrize("name", COLLECTIONS)
def test_a_sample_collection_has_more_questions_than_its_gate_asks_for(name: str) -> None:
    spec = sample_collection(name)
    assert (
        spec.evaluation.golden_queries == sample_collection("collection").evaluation.golden_queries
    )
    golden = read_golden(sample_questions().encode())
    asked = [one for one in golden.questions if one.judges_searches]
    assert len(asked) > spec.evaluation.min_queries


def test_sample_questions_name_the_documents_of_the_example_and_ask_about_each() -> None:
    golden = read_golden(sample_questions().encode())
    named = {document for one in golden.questions for document in one.relevant}
    assert named == {path.name for path in HANDBOOK}


def test_another_encoder_is_all_that_a_blue_green_change_needs() -> None:
    before, after = (sample(name) for name in COLLECTIONS)
    assert before["metadata"] == after["metadata"]
    assert before["spec"]["tenant"] == after["spec"]["tenant"]
    assert before["spec"]["encoder"] != after["spec"]["encoder"]
