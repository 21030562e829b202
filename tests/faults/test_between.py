"""What holds between processes: certificates that change under load, and peers that are stopped."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from tests.e2e.meshes import SeparateMesh, environment, ragmesh
from tools.mesh_processes import MeshProcesses
from tools.split import Ports

pytestmark = [pytest.mark.faults, pytest.mark.timeout(240)]

COLLECTION = "between"
GIVEN_UP_SECONDS = 8.0
"""Three probes of a second each, one that was under way, and a busy machine."""
AT_ONCE_SECONDS = 2.0


@pytest.fixture(scope="module")
def certs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls") / "certs"
    assert ragmesh("certs", "dev", "--into", folder).code == 0
    return folder


@pytest.fixture(scope="module")
def mesh(certs: Path) -> Iterator[SeparateMesh]:
    """Six processes that prove their names to each other, with one document."""
    logs = certs.with_name("logs")
    logs.mkdir()
    processes = MeshProcesses(
        certs.with_name("data"),
        lambda target: (logs / f"{target}.log").open("a"),
        Ports.free(),
        environment(),
        certs,
    )
    try:
        processes.start()
        made = SeparateMesh(processes, logs)
        with made.rest:
            made.rest.post("/collections", json={"name": COLLECTION}).raise_for_status()
            text = {"text": "The gate closes at nine.", "document_id": "gate"}
            documents = f"/collections/{COLLECTION}/documents"
            made.rest.post(documents, json=text, params={"wait": 30}).raise_for_status()
            until_well(made)
            yield made
    finally:
        processes.close()


def ask(rest: httpx.Client, number: float) -> httpx.Response:
    return rest.post(
        f"/collections/{COLLECTION}/ask", json={"question": f"When does gate {number} close?"}
    )


def until_well(mesh: SeparateMesh) -> None:
    late = time.monotonic() + 60
    while time.monotonic() < late:
        reply = ask(mesh.rest, time.monotonic())
        if reply.status_code == 200 and not reply.json()["degraded"]:
            return
    raise AssertionError(reply.text)


@dataclass
class Load:
    """Questions one after the other, and those that failed."""

    base: str
    asked: int = 0
    failed: list[str] = field(default_factory=list)
    enough: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        with httpx.Client(base_url=self.base, timeout=60) as rest:
            while not self.enough.is_set():
                reply = ask(rest, self.asked)
                self.asked += 1
                if reply.status_code != 200:
                    self.failed.append(reply.text)


def test_certificates_are_changed_under_load_and_no_question_fails(
    mesh: SeparateMesh, certs: Path
) -> None:  # SEC-5
    load = Load(f"{mesh.http}/api/v1")
    asking = threading.Thread(target=load.run)
    asking.start()
    try:
        for _ in range(2):
            assert ragmesh("certs", "dev", "--renew", "--into", certs).code == 0
            before = load.asked
            late = time.monotonic() + 30
            while mesh.log.count("another certificate is in force") % 6 or load.asked < before + 20:
                assert time.monotonic() < late
    finally:
        load.enough.set()
        asking.join()
    assert load.failed == []
    assert mesh.log.count("another certificate is in force") == 12


@pytest.mark.parametrize(
    ("target", "reasons"),
    [("retrieval", {"PEER_UNAVAILABLE"}), ("cache", set()), ("embedding", set())],
)
def test_a_stopped_process_costs_the_first_questions_seconds_and_the_next_nothing(
    mesh: SeparateMesh, target: str, reasons: set[str]
) -> None:  # RL-5
    process = mesh.split.processes[target]
    process.send_signal(signal.SIGSTOP)
    try:
        took, said = [], set()
        for number in range(8):
            began = time.monotonic()
            reply = ask(mesh.rest, number + time.time())
            took.append(time.monotonic() - began)
            if reply.status_code != 200:
                said.add(reply.json()["reason"])
    finally:
        process.send_signal(signal.SIGCONT)
    assert max(took) < GIVEN_UP_SECONDS
    assert max(took[-3:]) < AT_ONCE_SECONDS
    assert said == reasons
    until_well(mesh)
