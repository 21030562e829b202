"""A drill: a mesh loses its catalog, its files and its index, and answers again from a backup."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from ragmesh.indexing.backups.manifest import MANIFEST
from tests.faults.real.mesh import RealMesh, running_real_mesh
from tests.folders import folder_in_memory
from tools.processes import await_condition

pytestmark = [pytest.mark.servers, pytest.mark.timeout(400)]

COLLECTION = "/collections/drill"
TEXTS = {
    "owls": "Owls eat four voles a night.",
    "storks": "Storks eat frogs and grasshoppers.",
    "swifts": "Swifts sleep while they fly.",
}
LATER = {"wrens": "Wrens build nests that nobody uses."}
LOST = ("postgres", "s3", "weaviate", "redis")
"""Kafka stays, with events of what is there no more."""
SECONDS = 120.0


@pytest.fixture
def mesh() -> Iterator[RealMesh]:
    with folder_in_memory() as folder, running_real_mesh(folder) as made:
        yield made


async def test_what_was_acknowledged_before_a_backup_is_found_again_after_everything_else_was_lost(
    mesh: RealMesh, tmp_path: Path
) -> None:
    key = _new_key(mesh)
    with _door(mesh, key) as door:
        assert await_condition(lambda: door.get("/collections").status_code == 200)
        door.post("/collections", json={"name": "drill"}).raise_for_status()
        _upload(door, TEXTS)
        assert _found(door) == set(TEXTS)
    await mesh.command("backup", "create", str(tmp_path), "--verify")
    backup = _backup_in(tmp_path)
    with _door(mesh, key) as door:
        _upload(door, LATER)  # acknowledged after the backup, and in Kafka alone once all is lost

    for name in mesh.replicas.names:
        await mesh.end(name, signal.SIGTERM)
    for name in LOST:
        _lose(mesh, name)
    await mesh.command("backup", "restore", str(backup))
    await mesh.begin(*mesh.replicas.names)

    with _door(mesh, key) as door:
        assert await_condition(lambda: _found(door) == set(TEXTS), SECONDS), _told(door)
        _upload(door, LATER)
        # Each retrieval hears of it within a second.
        assert await_condition(lambda: _found(door) == set(TEXTS | LATER)), _told(door)


def _backup_in(place: Path) -> Path:
    (manifest,) = place.rglob(MANIFEST)
    return manifest.parent


def _lose(mesh: RealMesh, name: str) -> None:
    """Have a server as if it were new."""
    server = mesh.servers[name]
    server.kill()
    for path in server.folder.iterdir():
        if path != server.log:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    server.start()


def _new_key(mesh: RealMesh) -> str:
    """One that may do everything in a tenant of its own."""
    key = {"tenant": "drill", "subject": "somebody", "roles": ["admin"]}
    with _door(mesh, mesh.admin_key) as door:
        door.post("/tenants", json={"name": "drill"}).raise_for_status()
        secret: str = door.post("/keys", json=key).raise_for_status().json()["secret"]
    return secret


def _door(mesh: RealMesh, key: str) -> httpx.Client:
    return httpx.Client(
        base_url=f"http://{mesh.gateways[0].http}/api/v1",
        headers={"authorization": f"Bearer {key}"},
        timeout=90,
    )


def _upload(door: httpx.Client, texts: dict[str, str]) -> None:
    for name, text in texts.items():
        body = {"document_id": name, "text": text}
        reply = door.post(f"{COLLECTION}/documents?wait=60", json=body)
        assert reply.status_code == 200, reply.text


def _found(door: httpx.Client) -> set[str]:
    """Documents that a search sees."""
    reply = door.post(f"{COLLECTION}/search", json={"query": "birds", "limit": 50})
    return {hit["document_id"] for hit in reply.json().get("hits", ())}


def _told(door: httpx.Client) -> str:
    """What a mesh says of documents that are not found."""
    search = door.post(f"{COLLECTION}/search", json={"query": "birds", "limit": 50})
    return f"{door.get(f'{COLLECTION}/documents').text}\n{search.text}"
