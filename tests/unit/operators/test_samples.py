"""What is shown in k8s/samples is what the resources take."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from ragmesh.evaluation.golden import read_golden
from ragmesh_operator.resources import API_VERSION, CollectionSpec, TenantSpec

SAMPLES = Path(__file__).resolve().parents[3] / "k8s" / "samples"
SPECS = {"RAGCollection": CollectionSpec, "RAGTenant": TenantSpec}


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("*.yaml")), ids=lambda path: path.name)
def test_a_sample_is_taken(path: Path) -> None:
    found = yaml.safe_load(path.read_text(encoding="utf-8"))
    if found["kind"] == "ConfigMap":
        assert read_golden(found["data"]["golden.jsonl"].encode()).questions
        return
    assert found["apiVersion"] == API_VERSION
    SPECS[found["kind"]].model_validate(found["spec"])


def test_another_encoder_is_all_that_a_blue_green_change_needs() -> None:
    before, after = (
        yaml.safe_load((SAMPLES / f"{name}.yaml").read_text(encoding="utf-8"))
        for name in ("collection", "blue-green")
    )
    assert before["metadata"] == after["metadata"]
    assert before["spec"]["tenant"] == after["spec"]["tenant"]
    assert before["spec"]["encoder"] != after["spec"]["encoder"]
