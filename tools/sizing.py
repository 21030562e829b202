"""How large a mesh must be, as values of the chart and sizes of the servers behind it.

    python tools/sizing.py --documents 1000000 --questions-per-second 20 --uploads-per-hour 5000

A first guess from a few costs that stand in the table below, with where they come from; a load test
of your own documents and questions is the second.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

BUSY = 0.6
"""Share of its CPU that a pod should use at the peak: the rest bears what another pod leaves."""
CHUNK_TOKENS = 200
"""Tokens of a chunk that ends with whole sentences in a window of 256."""
CPU_SECONDS: Mapping[str, float] = {
    # docs/reference/benchmarks.md: a question through five processes takes 36 ms one by one, of
    # which a vector takes 9 and the seams 13.
    "gateway": 0.010,
    "embedding": 0.012,
    "retrieval": 0.012,
    "generation": 0.006,
    "cache": 0.003,
    "indexing": 0.001,
}
"""Of one question, in each service."""
PASSAGE_CPU_SECONDS = 0.05
"""Of a chunk's vector: 39 a second on two cores beside questions (benchmarks, P1)."""
INDEXER_DOCUMENTS_PER_SECOND = 3.0
"""Of one indexer: 8 documents at once, each of which waits three seconds (connect-weaviate.md)."""
LARGEST_POD_CPUS = 2.0
PARTITIONS_A_INDEXER = 2
WEAVIATE_MEMORY_BYTES, WEAVIATE_DISK_BYTES = 5_000, 16_000
"""Of a chunk with 384 dimensions; the disk with as much again while segments are compacted."""
CATALOG_BYTES_A_DOCUMENT = 3_000
CATALOG_CONNECTIONS_A_POD = 11
EVENT_BYTES, EVENT_DAYS, REPLICATION = 250, 7, 3
REDIS_BYTES = 256_000_000
GIGABYTE = 1e9


@dataclass(frozen=True, slots=True)
class Load:
    """What a mesh has to bear."""

    documents: int
    questions_per_second: float
    uploads_per_hour: float
    tokens_per_document: int = 2_000
    kilobytes_per_document: int = 100

    @property
    def chunks_per_document(self) -> int:
        """How many chunks a document becomes."""
        return max(1, math.ceil(self.tokens_per_document / CHUNK_TOKENS))

    @property
    def chunks(self) -> int:
        """How many chunks are searched."""
        return self.documents * self.chunks_per_document

    @property
    def uploads_per_second(self) -> float:
        """At the peak, which is taken for three times the mean."""
        return 3 * self.uploads_per_hour / 3_600


def cpus(load: Load) -> dict[str, float]:
    """CPUs that each service needs at the peak."""
    needed = {name: load.questions_per_second * cost for name, cost in CPU_SECONDS.items()}
    passages = load.uploads_per_second * load.chunks_per_document
    needed["embedding"] += passages * PASSAGE_CPU_SECONDS
    return {name: cost / BUSY for name, cost in needed.items()}


def values(load: Load) -> dict[str, Any]:
    """Values of the chart: two pods of everything, and more where that is not enough."""
    made: dict[str, Any] = {"mode": "distributed"}
    for name, needed in cpus(load).items():
        pods = max(2, math.ceil(needed / LARGEST_POD_CPUS))
        share = math.ceil(1_000 * max(0.1, needed / pods) / 50) * 50
        made[name] = {"replicas": pods, "resources": {"requests": {"cpu": f"{share}m"}}}
    indexers = max(2, math.ceil(load.uploads_per_second / INDEXER_DOCUMENTS_PER_SECOND))
    made["indexer"] = {"replicas": indexers}
    made["events"] = {"partitions": max(12, PARTITIONS_A_INDEXER * indexers)}
    return made


def servers(load: Load) -> dict[str, str]:
    """What the servers behind it must have."""
    made = values(load)
    pods = made["indexing"]["replicas"] + made["indexer"]["replicas"] + 2
    memory = 0.1 * GIGABYTE + load.chunks * WEAVIATE_MEMORY_BYTES
    events = 24 * load.uploads_per_hour * EVENT_DAYS * EVENT_BYTES * REPLICATION
    disk = load.chunks * WEAVIATE_DISK_BYTES
    rows = load.documents * CATALOG_BYTES_A_DOCUMENT
    files = load.documents * load.kilobytes_per_document * 1_000
    connections = pods * CATALOG_CONNECTIONS_A_POD
    return {
        "Weaviate": f"{_gigabytes(memory)} of memory, {_gigabytes(disk)} of disk",
        "PostgreSQL": f"{_gigabytes(rows)} of disk, max_connections above {connections}",
        "object store": f"{_gigabytes(files)}, and its texts",
        "Kafka": f"{_gigabytes(events)} of disk, over all brokers",
        "Redis": f"{_gigabytes(REDIS_BYTES)} of memory",
    }


def _gigabytes(amount: float) -> str:
    return f"{max(1, math.ceil(amount / GIGABYTE))} GB"


def main() -> None:
    """Print both."""
    parser = argparse.ArgumentParser(description="How large a mesh must be.")
    parser.add_argument("--documents", type=int, required=True, help="kept at the same time")
    parser.add_argument("--questions-per-second", type=float, required=True, help="at the peak")
    parser.add_argument(
        "--uploads-per-hour", type=float, required=True, help="new and changed, on the average"
    )
    parser.add_argument(
        "--tokens-per-document", type=int, default=2_000, help="2,000 are four pages"
    )
    parser.add_argument("--kilobytes-per-document", type=int, default=100, help="of the file")
    load = Load(**vars(parser.parse_args()))
    print(yaml.safe_dump(values(load), sort_keys=False), end="")
    for name, size in servers(load).items():
        print(f"# {name}: {size}")


if __name__ == "__main__":
    main()
