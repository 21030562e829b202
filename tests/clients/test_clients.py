"""Clients in other languages against one real mesh; `make test-clients` runs them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from ragmesh.testing.gateway import SENTENCE
from tests.clients.python_client import CASES, faults_of
from tests.docs.console import difference, run_steps, steps_of
from tests.docs.mesh import GRPC, HTTP
from tests.docs.pages import page
from tests.e2e.meshes import ROOT, Mesh, environment, running
from tools import example_clients

PAGE = "docs/how-to/use-from-go-typescript-curl.md"
HERE = Path(__file__).parent
COLD_SECONDS = 540
"""The first run compiles the plugins of protoc and all of gRPC for Go."""
pytestmark = [pytest.mark.clients, pytest.mark.timeout(COLD_SECONDS)]


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    with running(tmp_path_factory.mktemp("mesh") / "data") as mesh:
        for name in ("handbook", "empty"):
            mesh.rest.post("/collections", json={"name": name}).raise_for_status()
        leave = {"document_id": "leave.md", "text": SENTENCE, "content_type": "text/markdown"}
        taken = mesh.rest.post("/collections/handbook/documents?wait=60", json=leave)
        assert taken.json()["documents"][0]["state"] == "SUCCEEDED", taken.text
        yield mesh
        assert mesh.stop() == 0


def said(*command: str | Path, folder: Path = ROOT) -> list[str]:
    """What a program printed that ended well."""
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout.splitlines()


async def test_the_python_client_passes_the_cases(mesh: Mesh) -> None:
    async with openai.AsyncOpenAI(
        base_url=f"{mesh.http}/v1", api_key="none", max_retries=0
    ) as client:
        faults = [(case["name"], await faults_of(client, case)) for case in CASES]
    assert not [(name, found) for name, found in faults if found]


def test_the_javascript_client_passes_the_same_cases(mesh: Mesh) -> None:
    folder = example_clients.build_javascript()
    lines = said("node", HERE / "javascript_client.mjs", f"{mesh.http}/v1", folder=folder)
    assert lines == [f"{len(CASES)} cases, 0 faults"]


def test_every_command_of_the_page_does_what_the_page_shows(mesh: Mesh) -> None:
    example_clients.build_go()  # takes minutes once; a page has less patience
    path = os.pathsep.join((str(example_clients.find_go().parent), os.environ["PATH"]))
    blocks = [block for block in page(PAGE).blocks if block.mark == "clients"]
    steps = [step for block in blocks for step in steps_of(block)]
    addresses = {HTTP: mesh.http.removeprefix("http://"), GRPC: mesh.grpc}
    ran = run_steps(steps, folder=ROOT, environ=environment(PATH=path), addresses=addresses)
    for step, done in zip(steps, ran, strict=True):
        assert done.code == 0, (step.command, done.output)
        assert not difference(step.output, done.output), (step.command, done.output)
