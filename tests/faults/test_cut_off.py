"""A gateway that is cut off from indexing answers by the last route that it heard of, for a while.

Callers have keys, which are believed for as long. The lease is short here, so that its end can be
seen; eight minutes of ten pass by a clock that is moved, in `tests/unit/gateway/test_routes.py`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.e2e.meshes import SeparateMesh, environment, ragmesh
from tests.faults.wires import Wire, wire_to
from tools.free_ports import LOOPBACK
from tools.mesh_processes import MeshProcesses
from tools.split import Ports

pytestmark = [pytest.mark.faults, pytest.mark.timeout(240)]

COLLECTION = "cut-off"
LEASE_SECONDS = 12.0
ANSWERED_SECONDS = 8.0
"""Within the lease: what a slow machine may need for the last answer is left."""
FINE_SECONDS = 3.0
"""In which who follows finds a wire that is healed, and hears a beat."""


@dataclass(frozen=True)
class Wired:
    """One process a target; the gateway alone reaches indexing over a wire."""

    ports: Ports
    indexing: str

    @property
    def names(self) -> Sequence[str]:
        return self.ports.names

    def target(self, name: str) -> str:
        return self.ports.target(name)

    def command(self, name: str, data_dir: Path) -> list[str]:
        words = self.ports.command(name, data_dir)
        if name != "gateway":
            return words
        leases = (
            f"RAGMESH_GATEWAY__ROUTE_LEASE_SECONDS={LEASE_SECONDS}",
            f"RAGMESH_GATEWAY__KEY_LEASE_SECONDS={LEASE_SECONDS}",
        )
        return ["env", f"RAGMESH_PEERS__INDEXING={self.indexing}", *leases, *words]

    def variables(self) -> dict[str, str]:
        return self.ports.variables()


@contextmanager
def processes(folder: Path, arrangement: Wired) -> Iterator[SeparateMesh]:
    logs, keys = folder / "logs", folder / "keys"
    logs.mkdir()
    assert ragmesh("keys", "create", "--offline", "--into", keys).code == 0
    split = MeshProcesses(
        folder / "data",
        lambda target: (logs / f"{target}.log").open("a"),
        arrangement,
        environment(RAGMESH_IDENTITY__ADMIN_KEY_FILE=str(keys / "admin.key.sha256")),
    )
    try:
        split.start()
        made = SeparateMesh(split, logs)
        with made.rest:
            admin = {"Authorization": f"Bearer {(keys / 'admin.key').read_text().strip()}"}
            key = {"tenant": "default", "subject": "ada", "roles": ["admin"]}
            reply = made.rest.post("/keys", json=key, headers=admin).raise_for_status()
            made.rest.headers["Authorization"] = f"Bearer {reply.json()['secret']}"
            yield made
    finally:
        split.close()


@pytest.fixture(scope="module")
def wire_and_mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Wire, SeparateMesh]]:
    ports = Ports.free()
    folder = tmp_path_factory.mktemp("cut-off")
    with (
        wire_to(LOOPBACK, ports.internal_grpc["indexing"]) as wire,
        processes(folder, Wired(ports, wire.address)) as mesh,
    ):
        mesh.rest.post("/collections", json={"name": COLLECTION}).raise_for_status()
        text = {"text": "The gate closes at nine.", "document_id": "gate"}
        documents = f"/collections/{COLLECTION}/documents"
        mesh.rest.post(documents, json=text, params={"wait": 30}).raise_for_status()
        yield wire, mesh


def ask(rest: httpx.Client) -> httpx.Response:
    """A question that no cache knows."""
    question = f"When does gate {time.time_ns()} close?"
    return rest.post(f"/collections/{COLLECTION}/ask", json={"question": question})


def until(rest: httpx.Client, status: int, degraded: list[str] | None, seconds: float) -> None:
    """Ask until an answer is like that."""
    late = time.monotonic() + seconds
    while time.monotonic() < late:
        reply = ask(rest)
        if reply.status_code == status and degraded in (None, reply.json().get("degraded")):
            return
    raise AssertionError(f"not {status} in time: {reply.status_code} {reply.text}")


def until_followed(wire: Wire, rest: httpx.Client) -> None:
    """Return when the gateway has heard of routes a moment ago: another stream takes a while."""
    late = time.monotonic() + 60.0
    while time.monotonic() < late:
        until(rest, 200, [], 60.0)
        fine = time.monotonic() + FINE_SECONDS
        while time.monotonic() < fine:  # else it would be silent most of the time
            ask(rest)
        wire.silence()
        try:
            reply = ask(rest)
        finally:
            wire.heal()
        if reply.status_code == 200:
            return
    raise AssertionError(reply.text)


@pytest.mark.parametrize("how", ["die", "silence"])
def test_a_gateway_that_is_cut_off_answers_for_its_lease_and_refuses_after_it(
    wire_and_mesh: tuple[Wire, SeparateMesh], how: str
) -> None:
    wire, mesh = wire_and_mesh
    until_followed(wire, mesh.rest)
    version = ask(mesh.rest).json()["index_version"]
    getattr(wire, how)()
    try:
        cut_off, answered = time.monotonic(), []
        while time.monotonic() < cut_off + ANSWERED_SECONDS:
            answered.append(ask(mesh.rest))
        assert {reply.status_code for reply in answered} == {200}, answered[-1].text
        assert {reply.json()["index_version"] for reply in answered} == {version}
        assert answered[-1].json()["degraded"] == ["STALE_ROUTES"]
        assert answered[-1].json()["citations"], "it answers from the documents"
        until(mesh.rest, 503, None, 3 * LEASE_SECONDS)
        refused = ask(mesh.rest)
        assert refused.status_code == 503
        assert refused.json()["reason"] in {"KEYS_STALE", "ROUTES_STALE"}, (
            "whichever was heard first"
        )
    finally:
        wire.heal()
    until(mesh.rest, 200, [], 60.0)
