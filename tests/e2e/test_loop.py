"""Nothing blocks the event loop of a mesh: neither large bodies, nor writes, nor swaps."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator

import pytest

from tests.e2e.meshes import Mesh, running
from tools.generate_reference import registry

pytestmark = pytest.mark.faults

MEGABYTE = 1_000_000
RECORD = "the event loop was blocked"


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    with running(tmp_path_factory.mktemp("loop") / "data") as mesh:
        assert mesh.rest.post("/collections", json={"name": "large"}).status_code == 201
        yield mesh


def text_of(size: int) -> str:
    """Sentences of made-up words."""
    chosen = random.Random(size)
    words = ["".join(chosen.choices("abcdefghijklmnoprstuvwz", k=7)) for _ in range(2_000)]
    sentence = " ".join(chosen.choices(words, k=50)) + ".\n"
    return sentence * (size // len(sentence) + 1)


def blocks_since(mesh: Mesh, position: int) -> list[str]:
    assert RECORD in registry()["logs"]
    lines = mesh.log[position:].splitlines()
    return [line for line in lines if RECORD in line]


def test_documents_that_come_change_and_go_swap_snapshots_beside_the_loop(busy: Mesh) -> None:
    # RL-8
    position = len(busy.log)
    for turn in range(2):
        for number in range(6):
            body = {"document_id": f"d{number}", "text": text_of(2_000 + turn + number)}
            reply = busy.rest.post("/collections/large/documents", json=body, params={"wait": "30"})
            assert reply.status_code < 300, reply.text
        busy.rest.post("/collections/large/ask", json={"question": "What is there?"})
    for number in range(20):
        busy.rest.delete(f"/collections/large/documents/d{number}")
    assert blocks_since(busy, position) == []


def test_a_text_of_ten_megabytes_is_taken_while_others_are_served(busy: Mesh) -> None:
    # RL-8
    position = len(busy.log)
    body = json.dumps({"document_id": "big", "text": text_of(10 * MEGABYTE)})
    reply = busy.rest.post(
        "/collections/large/documents",
        content=body,
        headers={"content-type": "application/json"},
    )
    assert reply.status_code in {200, 202}, reply.text
    for _ in range(20):  # it is read and cut into chunks meanwhile
        busy.rest.post("/collections/large/search", json={"query": "what is there"})
    assert busy.rest.delete("/collections/large/documents/big").status_code == 202
    assert blocks_since(busy, position) == []
