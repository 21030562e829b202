"""A whole mesh on real servers: what one gateway takes, the other cites, and it can be followed."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.e2e.meshes import environment
from tests.faults.reader import MODES
from tests.faults.wires import Wire, wire_to
from tests.servers.revisions import change_under_eyes
from tests.servers.told import Told, ToldSpan
from tools.dev.mesh import running_processes
from tools.dev.replicas import Replica, Replicas
from tools.processes import await_condition
from tools.servers.server import Server

pytestmark = [pytest.mark.servers, pytest.mark.timeout(240)]

COUNTS = {
    "cache": 1,
    "embedding": 1,
    "generation": 1,
    "retrieval": 2,
    "indexing": 1,
    "indexer": 1,
    "gateway": 2,
}
API = "ragmesh.api"
ASK = "POST /api/v1/collections/{collection}/ask"
UPLOAD = "POST /api/v1/collections/{collection}/documents"
CHANGED = "ragmesh.documents.changed.v1"
PARENT = "00f067aa0ba902b7"
UPDATES = 100
QUEUE_SPANS = 64
"""Of each process, so that a test can fill it."""


@dataclass(frozen=True)
class Mesh:
    """Two gateways of one mesh, and the collector that all of it tells."""

    replicas: Replicas
    collector: Server
    collection: str
    to_cache: Wire
    to_catalog: Wire

    def told(self) -> Told:
        """What the collector hears from now on."""
        return Told.from_now_on(self.collector.folder / "traces.jsonl")

    def call(self, gateway: int, path: str, body: dict[str, Any], **more: Any) -> httpx.Response:
        """Ask one of the gateways; it must not refuse."""
        at = self.replicas.of("gateway")[gateway].http
        reply = httpx.post(f"http://{at}/api/v1{path}", json=body, timeout=90, **more)
        assert reply.status_code < 300, reply.text
        return reply

    def upload(self, gateway: int, name: str, text: str) -> None:
        """Add a document, and wait until it can be found."""
        path = f"/collections/{self.collection}/documents"
        body = {"document_id": name, "text": text}
        reply = self.call(gateway, path, body, params={"wait": "60"})
        assert reply.status_code == 200, reply.text

    def try_upload(self, name: str, text: str) -> bool:
        """Whether a document was taken; refused, it may be sent again."""
        at = self.replicas.of("gateway")[0].http
        path = f"http://{at}/api/v1/collections/{self.collection}/documents"
        body = {"document_id": name, "text": text}
        reply = httpx.post(path, json=body, params={"wait": "60"}, timeout=90)
        assert reply.status_code in (200, 202, 503, 504), reply.text
        return reply.status_code == 200

    def get(self, path: str) -> dict[str, Any]:
        """What is read at the first gateway."""
        at = self.replicas.of("gateway")[0].http
        reply = httpx.get(f"http://{at}/api/v1{path}", timeout=60)
        assert reply.status_code == 200, reply.text
        read: dict[str, Any] = reply.json()
        return read

    def ask(self, gateway: int, question: str, trace: str = "") -> dict[str, Any]:
        """The answer; in a trace of ours, if one is named."""
        headers = {"traceparent": f"00-{trace}-{PARENT}-01"} if trace else {}
        body = {"question": question, "cache": "bypass"}
        path = f"/collections/{self.collection}/ask"
        answer: dict[str, Any] = self.call(gateway, path, body, headers=headers).json()
        return answer


@pytest.fixture(scope="module")
def to_cache(redis_server: Server) -> Iterator[Wire]:
    with wire_to(redis_server.host, redis_server.port) as wire:
        yield wire


@pytest.fixture(scope="module")
def to_catalog(postgres_server: Server) -> Iterator[Wire]:
    with wire_to(postgres_server.host, postgres_server.port) as wire:
        yield wire


@pytest.fixture(scope="module")
def mesh(
    kafka_server: Server,
    weaviate_server: Server,
    postgres_server: Server,
    s3_server: Server,
    redis_server: Server,
    collector_server: Server,
    to_cache: Wire,
    to_catalog: Wire,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Mesh]:
    mine = uuid4().hex[:8]
    settings = {
        **kafka_server.settings,
        **weaviate_server.settings,
        **s3_server.settings,
        **collector_server.settings,
        **_through(to_cache, redis_server),
        **_through(to_catalog, postgres_server),
        "RAGMESH_EVENTS__URL": f"{kafka_server.url}/{mine}",
        "RAGMESH_BLOBS__URL": f"{s3_server.url}/{mine}",
        "RAGMESH_TELEMETRY__QUEUE_SPANS": str(QUEUE_SPANS),
        "RAGMESH_INTERNAL__DRAIN_SECONDS": "0",
    }
    replicas = Replicas.on_free_ports(COUNTS, settings)
    folder: Path = tmp_path_factory.mktemp("mesh")
    with running_processes(folder, replicas, environment()) as processes:
        made = Mesh(replicas, collector_server, f"c-{mine}", to_cache, to_catalog)
        made.call(0, "/collections", {"name": made.collection})
        yield made
        ended = processes.stop()
        assert set(ended.values()) == {0}, ended


def test_what_one_gateway_takes_the_other_cites(mesh: Mesh) -> None:
    mesh.upload(0, "ferry", "The ferry to Grömsiel leaves at seven in the morning.")
    answer = mesh.ask(1, "When does the ferry to Grömsiel leave?")
    assert "at seven" in answer["answer"]
    assert [citation["document_id"] for citation in answer["citations"]] == ["ferry"]


def test_one_question_is_one_trace_through_every_process(mesh: Mesh) -> None:
    # OT-2
    told, trace = mesh.told(), uuid4().hex
    mesh.upload(0, "lamp", "The lamp of the lighthouse has 500 watts.")
    mesh.ask(1, "How strong is the lamp of the lighthouse?", trace)

    def is_whole(spans: list[ToldSpan]) -> bool:
        mine = [span for span in spans if span.trace_id == trace]
        processes = {span.process for span in mine}
        return processes >= set(COUNTS) - {"indexer"} and not _orphans(mine)

    mine = [span for span in told.until(is_whole) if span.trace_id == trace]
    assert [span.name for span in mine if span.parent_id == PARENT] == [ASK]
    assert {span.process for span in mine} == set(COUNTS) - {"indexer"}
    by_id = {span.span_id: span for span in mine}
    calls = {(by_id[s.parent_id].process, s.process) for s in mine if s.parent_id in by_id}
    assert {("gateway", "retrieval"), ("retrieval", "embedding"), ("gateway", "generation")} < calls


def test_an_upload_is_followed_through_kafka_to_whoever_handled_it(mesh: Mesh) -> None:
    # OT-3
    told = mesh.told()
    mesh.upload(1, "pilot", "A pilot boards every tanker before the bar.")
    spans = told.until(lambda spans: f"process {CHANGED}" in {span.name for span in spans})
    (sent,) = (span for span in spans if span.name == f"send {CHANGED}")
    (handled,) = (span for span in spans if span.name == f"process {CHANGED}")
    assert (sent.process, handled.process) == ("indexing", "indexer")
    assert handled.links == (sent.span_id,)
    assert handled.parent_id == ""

    def is_there(spans: list[ToldSpan]) -> bool:
        upload = {span.name for span in spans if span.trace_id == sent.trace_id}
        below = {span.process for span in spans if span.trace_id == handled.trace_id}
        return UPLOAD in upload and {"indexer", "embedding", "retrieval"} <= below

    told.until(is_there)


@pytest.mark.parametrize("fault", ["frozen", "gone"])
def test_without_its_collector_a_mesh_answers_and_counts_what_it_drops(
    mesh: Mesh, fault: str
) -> None:
    # OT-8
    mesh.upload(0, "buoy", "The red buoy lies east of the wreck.")
    before = [_dropped(gateway) for gateway in mesh.replicas.of("gateway")]
    if fault == "frozen":
        mesh.collector.freeze()
    else:
        mesh.collector.kill()
    try:
        for number in range(40):
            answer = mesh.ask(number % 2, "Where does the red buoy lie?")
            assert answer["citations"], answer
            for gateway in mesh.replicas.of("gateway"):
                assert _metric(gateway, "ragmesh_telemetry_queued") <= QUEUE_SPANS
    finally:
        if fault == "frozen":
            mesh.collector.thaw()
        else:
            mesh.collector.start()
    after = [_dropped(gateway) for gateway in mesh.replicas.of("gateway")]
    assert all(now > then for now, then in zip(after, before, strict=True)), (before, after)
    told, trace = mesh.told(), uuid4().hex
    mesh.ask(0, "Where does the red buoy lie?", trace)
    told.until(lambda spans: trace in {span.trace_id for span in spans})


def test_while_a_document_is_changed_every_answer_shows_one_revision_of_it(mesh: Mesh) -> None:
    looks = asyncio.run(change_under_eyes(mesh.replicas.of("gateway"), UPDATES))
    print(f"{dict(looks.answers)}, {len(looks.seen)} revisions seen")
    assert not looks.foul, looks.foul[:10]
    assert set(looks.answers) == {*MODES, "ask"}
    assert min(looks.answers.values()) >= UPDATES, looks.answers


@pytest.mark.parametrize("weather", ["slow", "silent", "dead"])
def test_a_question_does_not_wait_for_a_bad_wire_to_the_cache(mesh: Mesh, weather: str) -> None:
    # RL-5
    mesh.upload(0, "tide", "High water at the old pier is two hours after noon.")
    try:
        if weather == "slow":
            mesh.to_cache.slow(2.0)
        elif weather == "silent":
            mesh.to_cache.silence()
        else:
            mesh.to_cache.die()
        answers = [mesh.ask(number % 2, "When is high water at the pier?") for number in range(6)]
    finally:
        mesh.to_cache.heal()
    for answer in answers:
        assert [one["document_id"] for one in answer["citations"]] == ["tide"]


@pytest.mark.parametrize("weather", ["reset", "swallowed"])
def test_an_upload_that_lost_its_wire_to_the_catalog_is_done_once(mesh: Mesh, weather: str) -> None:
    # EV-1: what was acknowledged stays; what was not may be sent again.
    name, text = f"wreck-{weather}", f"The {weather} wreck lies eleven metres deep."
    if weather == "reset":
        mesh.to_catalog.reset()
    else:
        mesh.to_catalog.swallow_answers()
    healing = threading.Timer(3.0, mesh.to_catalog.heal)
    healing.start()
    try:
        assert await_condition(lambda: mesh.try_upload(name, text), 90)
    finally:
        healing.cancel()
        mesh.to_catalog.heal()
    path = f"/collections/{mesh.collection}/documents/{name}/revisions"
    assert [one["revision"] for one in mesh.get(path)["revisions"]] == [1]
    answer = mesh.ask(1, f"How deep lies the {weather} wreck?")
    assert name in [one["document_id"] for one in answer["citations"]]


def _through(wire: Wire, server: Server) -> dict[str, str]:
    """What makes a process use a server, behind a wire."""
    straight, bent = f":{server.port}/", f":{wire.here}/"
    return {name: word.replace(straight, bent) for name, word in server.settings.items()}


def _orphans(spans: list[ToldSpan]) -> list[ToldSpan]:
    known = {span.span_id for span in spans} | {PARENT}
    return [span for span in spans if span.parent_id not in known]


def _dropped(replica: Replica) -> float:
    return _metric(replica, "ragmesh_telemetry_dropped_total")


def _metric(replica: Replica, name: str) -> float:
    """The sum of a metric's series, as the process shows it."""
    page = httpx.get(f"http://{replica.probes}/metrics", timeout=30).text
    found = re.findall(rf"^{name}(?:\{{.*\}})? (\S+)$", page, re.MULTILINE)
    return sum(map(float, found))
