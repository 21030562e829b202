"""The sizes that are guessed for a mesh hold together, and the chart takes them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from tools.sizing import CPU_SECONDS, LARGEST_POD_CPUS, Load, cpus, servers, values

SMALL = Load(documents=10_000, questions_per_second=1, uploads_per_hour=100)
LARGE = Load(documents=5_000_000, questions_per_second=300, uploads_per_hour=200_000)
CHART = Path(__file__).parents[3] / "charts" / "ragmesh"


@pytest.mark.parametrize("load", [SMALL, LARGE])
def test_every_service_has_a_second_pod_and_no_pod_needs_more_than_it_may_have(load: Load) -> None:
    made = values(load)
    for name, needed in cpus(load).items():
        assert made[name]["replicas"] >= 2
        assert needed / made[name]["replicas"] <= LARGEST_POD_CPUS


@pytest.mark.parametrize("load", [SMALL, LARGE])
def test_no_indexer_is_without_a_partition(load: Load) -> None:
    made = values(load)
    assert made["events"]["partitions"] >= made["indexer"]["replicas"]


@pytest.mark.parametrize(
    "more",
    [{"questions_per_second": 900}, {"uploads_per_hour": 900_000}, {"tokens_per_document": 9_000}],
)
def test_more_to_bear_never_needs_less(more: dict[str, int]) -> None:
    before, after = values(LARGE), values(replace(LARGE, **more))
    for name in (*CPU_SECONDS, "indexer"):
        assert after[name]["replicas"] >= before[name]["replicas"]
    assert after != before


def test_what_the_servers_need_grows_with_what_is_kept() -> None:
    assert servers(SMALL)["Weaviate"] == "1 GB of memory, 2 GB of disk"
    assert (
        servers(replace(SMALL, documents=1_000_000))["Weaviate"]
        == "51 GB of memory, 160 GB of disk"
    )


def test_every_value_is_one_of_the_chart() -> None:
    known = yaml.safe_load((CHART / "values.yaml").read_text())
    for name, section in values(LARGE).items():
        assert name in known
        if name not in {"mode", "events"}:
            assert set(section) <= set(known["workload"])
