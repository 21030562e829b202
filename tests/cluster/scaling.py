"""A mesh whose indexers are scaled, and bursts of documents that it is scaled for."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from tests.cluster.conftest import SMALL, own_namespace
from tests.cluster.operated import Operated, letting_in, operator_of, operator_values
from tests.cluster.releases import Door, Namespace, Release, Values
from tests.cluster.talkers import ASKED, DIMENSION, slow_encoder
from tools.processes import await_condition

PARTITIONS = 4
RATE, LAG_SECONDS = 2, 5
"""Documents a second of one indexer, and in how many seconds what waits should be done."""
IN_FLIGHT = 8
BURST = 20 * RATE * LAG_SECONDS
"""Twenty times what one indexer does in time."""
STABLE_SECONDS = 15
AUTOSCALING: dict[str, Any] = {
    "provider": "native",
    "workers": {"min": 1, "max": 10, "targetLagSeconds": LAG_SECONDS},
    "scaleDown": {"stabilizationSeconds": STABLE_SECONDS, "step": 2},
}
TENANT, OWLS, GUIDE = "field-guide", "owls", "guide"
MODEL, SLOW = "all-MiniLM-L6-v2", "slow"
SETTLED = ("condition=Ready", "jsonpath={.status.ingestion.backlog}=0")


@contextmanager
def scaled_mesh(distributed: Release, usual: Values, host: str) -> Iterator[Operated]:
    """The distributed mesh, whose indexers the operator scales; they are slow, by their encoder.

    Others that share the mesh find it with its usual values again.
    """
    with slow_encoder(host) as url, own_namespace(distributed.namespace.kubectl) as here:
        distributed.upgrade({**usual, **scaled_values(url, here)})
        try:
            with operator_of(distributed, here, TENANT, scaling_values(distributed)) as made:
                made.apply(tenant(), made.collection(OWLS, encoder=SLOW, deletionPolicy="Delete"))
                made.wait(OWLS, *SETTLED)
                yield made
                made.kubectl("delete", "ragc", "--all", "--timeout=60s")
        finally:
            distributed.upgrade(usual)


def scaled_values(url: str, operator: Namespace) -> dict[str, object]:
    """What this mesh has besides the usual."""
    endpoint = {
        "url": url,
        "model": SLOW,
        "dimension": DIMENSION,
        "max_tokens": 256,
        "calls": 64,
        "query_prefix": ASKED,
    }
    encoders = [
        {"name": MODEL, "kind": "exact"},
        {"name": SLOW, "kind": "openai", "endpoint": endpoint},
    ]
    return {
        "operator": letting_in(operator),
        "embedding": {**SMALL, "settings": {"embedding": {"encoders": encoders}}},
        "indexer": {
            **SMALL,
            "autoscaling": {"external": True, "maxReplicas": PARTITIONS},
            "settings": {"indexing": {"documents_in_flight": IN_FLIGHT}},
        },
    }


def scaling_values(mesh: Release) -> dict[str, object]:
    """The operator, which is told of the mesh's indexers."""
    indexing = f"{mesh.fullname}-indexing.{mesh.namespace.name}"
    usual = operator_values(indexing)
    told = {"indexing": f"{indexing}:50065", "backlogUrl": f"http://{indexing}:9090/backlog"}
    return {
        **usual,
        "mesh": told,
        "workers": {
            "workload": f"deployments/{indexers_of(mesh)}",
            "namespace": mesh.namespace.name,
            "partitions": PARTITIONS,
            "documentsPerSecond": RATE,
        },
    }


def indexers_of(mesh: Release) -> str:
    """What the Deployment of the indexers is called."""
    return f"{mesh.fullname}-indexer"


def tenant() -> dict[str, Any]:
    """Who asks for as much as they like."""
    metadata = {"name": TENANT}
    return {
        "apiVersion": "ragmesh.dev/v1alpha1",
        "kind": "RAGTenant",
        "metadata": metadata,
        "spec": {},
    }


@dataclass(frozen=True)
class Burst:
    """Many new documents, and changes of some while the others wait."""

    door: Door
    collection: str
    documents: int

    @property
    def updated(self) -> range:
        """Those that have a second edition."""
        return range(0, self.documents, 3)

    @property
    def deleted(self) -> range:
        """Those that go again."""
        return range(0, self.documents, 5)

    @property
    def left(self) -> dict[str, str]:
        """What must be found in the end: the last edition of every document that is not deleted."""
        return {
            name_of(number): text_of(number, edition=2 if number in self.updated else 1)
            for number in range(self.documents)
            if number not in self.deleted
        }

    def send(self) -> None:
        """Make all changes; return when the mesh has taken the last of them."""
        place = f"{self.door.url}/collections/{self.collection}/documents"
        with (
            httpx.Client(headers=self.door.headers, timeout=30) as client,
            ThreadPoolExecutor(8) as pool,
        ):

            def upload(number: int, edition: int) -> None:
                body = {"document_id": name_of(number), "text": text_of(number, edition=edition)}
                client.post(place, json=body).raise_for_status()

            def delete(number: int) -> None:
                client.delete(f"{place}/{name_of(number)}").raise_for_status()

            # Each round begins when the mesh has taken the one before.
            list(pool.map(lambda number: upload(number, 1), range(self.documents)))
            list(pool.map(lambda number: upload(number, 2), self.updated))
            list(pool.map(delete, self.deleted))

    def waiting(self) -> int:
        """Documents whose last change cannot be seen yet."""
        told = self.door.call("GET", f"/collections/{self.collection}")
        count: int = told["pending_documents"]
        return count

    def found(self, mode: str) -> list[tuple[str, str]]:
        """All that a search finds: each chunk with its document."""
        body = {"query": "How many voles does an owl eat?", "mode": mode, "limit": 200}
        hits = self.door.call("POST", f"/collections/{self.collection}/search", body)["hits"]
        return sorted((hit["document_id"], hit["text"]) for hit in hits)


def name_of(number: int) -> str:
    return f"owl-{number}"


def text_of(number: int, *, edition: int) -> str:
    return f"Edition {edition} says that owl number {number} eats {number + edition} voles a week."


@dataclass(frozen=True)
class Record:
    """How many indexers were wanted and ready, from change to change."""

    told: Callable[[], str]

    @property
    def steps(self) -> list[tuple[int, int]]:
        whole, _, _ = self.told().rpartition("\n")
        lines = [(*line.split(), "0")[:2] for line in whole.splitlines()]
        return [(int(wanted), int(ready)) for wanted, ready in lines]

    @property
    def wanted(self) -> list[int]:
        """The numbers that were wanted, none twice in a row."""
        return [number for number, _ in itertools.groupby(wanted for wanted, _ in self.steps)]

    @property
    def turns(self) -> int:
        """How often it went the other way."""
        ways = [b > a for a, b in itertools.pairwise(self.wanted)]
        return sum(a != b for a, b in itertools.pairwise(ways))


@contextmanager
def recorded(mesh: Release) -> Iterator[Record]:
    """The record of the indexers for the time of the block; it misses no change."""
    words = ("get", f"deployment/{indexers_of(mesh)}", "-n", mesh.namespace.name, "--watch")
    path = r'--output=jsonpath={.spec.replicas}{" "}{.status.readyReplicas}{"\n"}'
    with mesh.namespace.kubectl.following(*words, path) as told:
        record = Record(told)
        assert await_condition(lambda: record.steps == [(1, 1)], 10)
        yield record


@dataclass(frozen=True)
class Course:
    """What became of a burst, and of the indexers meanwhile."""

    burst: Burst
    moments: tuple[str, ...]
    wanted: list[int]
    """How many indexers, one number after another."""
    turns: int

    def __str__(self) -> str:
        return "; ".join((*self.moments, f"wanted: {self.wanted}"))


def burst_through(operated: Operated, *, back_seconds: float = 90) -> Course:
    """Send a burst, and return when it is done and one indexer is wanted again."""
    burst = Burst(operated.door(), OWLS, BURST)
    moments: list[str] = []
    with recorded(operated.mesh) as record:
        begun = time.monotonic()

        def await_step(what: str, holds: Callable[[], bool], seconds: float) -> None:
            done = await_condition(holds, seconds)
            assert done, (what, burst.waiting(), record.steps)
            moments.append(f"{what} after {time.monotonic() - begun:.1f} s")

        burst.send()
        moments.append(
            f"all is taken after {time.monotonic() - begun:.1f} s, {burst.waiting()} documents wait"
        )
        bound = PARTITIONS
        await_step(f"{bound} are wanted", lambda: record.wanted[-1] == bound, 30)
        await_step("all are ready", lambda: record.steps[-1] == (bound, bound), 60)
        await_step("nothing waits", lambda: burst.waiting() == 0, 120)
        await_step("one is wanted again", lambda: record.wanted[-1] == 1, back_seconds)
        return Course(burst, tuple(moments), record.wanted, record.turns)


def assert_all_is_found(operated: Operated, burst: Burst) -> None:
    """Every document once, in its last edition, and no other; the resource counts the same."""
    wanted, count = sorted(burst.left.items()), len(burst.left)
    for mode in ("dense", "keyword"):
        found = burst.found(mode)
        assert found == wanted, (mode, sorted(set(found) ^ set(wanted)))
    told = burst.door.call("GET", f"/collections/{OWLS}")
    counted = {name: told[name] for name in ("documents", "indexed_documents", "chunks")}
    assert counted == {"documents": count, "indexed_documents": count, "chunks": count}
    assert (told["failed_documents"], told["dead_letters"]) == (0, 0)
    operated.wait(OWLS, f"jsonpath={{.status.documents.indexed}}={count}", *SETTLED, seconds=30)
    shown = operated.status(OWLS)
    assert shown["documents"] == {"accepted": count, "indexed": count, "failed": 0}
    assert shown["ingestion"]["deadLetters"] == 0
