"""What stands in k8s/samples, for tests of several kinds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from ragmesh_operator.resources import CollectionSpec

ROOT = Path(__file__).resolve().parent.parent
SAMPLES = ROOT / "k8s" / "samples"
HANDBOOK = tuple(sorted((ROOT / "examples" / "handbook").iterdir()))
"""The documents that the samples are about."""


def sample(name: str) -> dict[str, Any]:
    """A sample by the name of its file."""
    found: dict[str, Any] = yaml.safe_load((SAMPLES / f"{name}.yaml").read_text(encoding="utf-8"))
    return found


def sample_collection(name: str) -> CollectionSpec:
    """What a collection of the samples should be."""
    return CollectionSpec.model_validate(sample(name)["spec"])


def sample_questions() -> str:
    """The golden questions that the collections of the samples name, as JSON lines."""
    golden = sample("golden")
    named = sample_collection("collection").evaluation.golden_queries
    assert named is not None
    assert named.config_map_ref.name == golden["metadata"]["name"]
    content: str = golden["data"][named.config_map_ref.key]
    return content
