"""A full disk refuses what does not fit and loses nothing; with room again, all goes on.

The disk is a small file system in memory, which only root may mount.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.meshes import EmbeddedMesh, running

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk"),
]

DISK_MEGABYTES = 48
PIECE = 100_000
SETTLE_SECONDS = 90.0
COLLECTION = "/collections/notes"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A folder with little room."""
    folder = tmp_path / "disk"
    folder.mkdir()
    size = f"size={DISK_MEGABYTES}m"
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "ragmesh-test", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture
def mesh(disk: Path) -> Iterator[EmbeddedMesh]:
    """A mesh on it with one document; it has to live through everything and to stop well."""
    with running(disk / "data") as started:
        made = started.rest.post("/collections", json={"name": "notes"})
        assert made.status_code == 201, made.text
        anchor = {"document_id": "anchor", "text": "Seven brass lanterns hang in the tower."}
        sent = started.rest.post(f"{COLLECTION}/documents", params={"wait": 60}, json=anchor)
        assert sent.json()["documents"][0]["state"] == "SUCCEEDED"
        yield started
        assert started.stop() == 0, started.log


def page_of(number: int, *, size: int) -> str:
    """A page with a sentence and much that is no text: large on the disk, little to embed."""
    sentence = f"Note {number} tells of owl {number} and of what it eats in winter."
    padding = "x" * size
    return f"<!doctype html><html><body><p>{sentence}</p><!-- {padding} --></body></html>"


def upload(mesh: EmbeddedMesh, number: int, *, size: int = PIECE) -> bool:
    """Whether it was accepted; else it was refused for want of room, and by that name."""
    body = {
        "document_id": f"n{number}",
        "text": page_of(number, size=size),
        "content_type": "text/html",
    }
    reply = mesh.rest.post(f"{COLLECTION}/documents", json=body)
    if reply.status_code == 202:
        return True
    assert reply.json()["reason"] == "STORAGE_FULL", reply.text
    assert reply.headers["retry-after"]
    return False


def fill(disk: Path, *, but: int) -> Path:
    """Take all room on the disk but so many bytes; removing the file gives it back."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):  # the mesh writes meanwhile
        while (free := shutil.disk_usage(disk).free) > but:
            file.write(bytes(min(1_000_000, free - but)))
    return ballast


def assert_answers(mesh: EmbeddedMesh) -> None:
    """A question is answered, full disk or not."""
    question = {"question": "What hangs in the tower?", "cache": "bypass"}
    reply = mesh.rest.post(f"{COLLECTION}/ask", json=question)
    assert reply.status_code == 200, reply.text
    assert "lanterns" in reply.json()["answer"]


def states(mesh: EmbeddedMesh) -> dict[str, str]:
    """Every document and its state."""
    found: dict[str, Any] = mesh.rest.get(f"{COLLECTION}/documents?page_size=1000").json()
    return {one["document_id"]: one["state"] for one in found["documents"]}


def assert_all_indexed(mesh: EmbeddedMesh, accepted: set[str]) -> None:
    """What was accepted is indexed in the end, and nothing else is there."""
    wanted = dict.fromkeys(accepted | {"anchor"}, "INDEXED")
    late = time.monotonic() + SETTLE_SECONDS
    while (found := states(mesh)) != wanted and time.monotonic() < late:
        time.sleep(0.2)
    assert found == wanted, mesh.log[-3_000:]


@pytest.mark.timeout(240)
def test_uploads_to_a_full_disk_are_refused_and_those_accepted_are_kept(
    disk: Path, mesh: EmbeddedMesh
) -> None:
    ballast = fill(disk, but=3_000_000)
    accepted, refused = set[str](), set[str]()
    for number in range(60):
        (accepted if upload(mesh, number) else refused).add(f"n{number}")
        if len(refused) >= 5:
            break
    assert len(refused) >= 5, "the disk never was full"
    assert_answers(mesh)
    ballast.unlink()
    assert_all_indexed(mesh, accepted)
    assert upload(mesh, 100, size=1_000)
    assert_all_indexed(mesh, accepted | {"n100"})


@pytest.mark.timeout(240)
def test_work_that_meets_a_full_disk_waits_for_room_and_is_done(
    disk: Path, mesh: EmbeddedMesh
) -> None:
    names = [f"n{number}" for number in range(30)]
    documents = [
        {"document_id": name, "text": page_of(number, size=20_000), "content_type": "text/html"}
        for number, name in enumerate(names)
    ]
    sent = mesh.rest.post(f"{COLLECTION}/documents", json={"documents": documents})
    assert sent.status_code == 202, sent.text
    ballast = fill(disk, but=0)
    for _ in range(10):
        assert_answers(mesh)
        time.sleep(0.3)
    assert "FAILED" not in states(mesh).values()
    ballast.unlink()
    assert_all_indexed(mesh, set(names))
    assert "STORAGE_FULL" in mesh.log, "the work never met a full disk"
    failed = mesh.rest.get("/jobs", params={"state": "FAILED"})
    assert failed.json()["jobs"] == []
