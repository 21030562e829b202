"""Every page is run once, in one order, against one mesh, which ends with their file."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import pytest

from tests.docs import plain_curl
from tests.docs.console import Ran, Step, run_steps, steps_of
from tests.docs.mesh import DocsMesh
from tests.docs.pages import page

RUN_PAGES = (
    "docs/tutorials/first-answers.md",
    "docs/how-to/add-documents.md",
    "docs/how-to/change-documents.md",
    "docs/how-to/mend-documents.md",
    "docs/how-to/ask-and-search.md",
    "docs/how-to/connect-a-model.md",
    "docs/how-to/evaluate-answers.md",
    "docs/how-to/use-the-openai-api.md",
    "docs/how-to/use-grpc.md",
    "docs/how-to/use-from-go-typescript-curl.md",
    "docs/how-to/use-from-python.md",
    "docs/how-to/use-the-command-line.md",
    "docs/how-to/limit-callers.md",
    "docs/how-to/manage-keys-and-access.md",
    "docs/how-to/run-a-mesh.md",
    "docs/how-to/choose-an-encoder.md",
    "docs/how-to/rotate-service-keys.md",
    "docs/how-to/encrypt-traffic.md",
    "docs/how-to/see-usage-and-audit.md",
    "docs/how-to/see-what-a-mesh-does.md",
    "docs/how-to/run-on-real-servers.md",
    "docs/how-to/test-on-a-cluster.md",
    "docs/tutorials/on-a-cluster.md",
    "docs/how-to/connect-kafka.md",
    "docs/how-to/connect-postgresql.md",
    "docs/how-to/connect-redis.md",
    "docs/how-to/connect-s3.md",
    "docs/how-to/connect-weaviate.md",
    "docs/how-to/change-an-index.md",
    "docs/how-to/build-the-image.md",
    "docs/how-to/develop-on-a-cluster.md",
    "docs/how-to/upgrade.md",
    "docs/how-to/install-air-gapped.md",
    "docs/how-to/size-a-mesh.md",
    "docs/how-to/go-to-production.md",
    "docs/how-to/back-up-and-restore.md",
    "docs/how-to/roll-out-as-a-canary.md",
    "docs/how-to/roll-out-blue-green.md",
    "docs/how-to/watch-with-prometheus.md",
    "docs/how-to/run-the-operator.md",
    "docs/tutorials/change-the-embedding-model.md",
)
"""In the order in which they run; each may use what an earlier one has made."""


class Runner:
    """Runs blocks on the mesh and remembers what every command said."""

    def __init__(self, mesh: DocsMesh, tools: Path) -> None:
        self.mesh = mesh
        self.said: dict[str, Ran] = {}
        self._tools = tools
        self._pages: dict[str, list[tuple[Step, Ran]]] = {}

    def run_page(self, name: str) -> list[tuple[Step, Ran]]:
        """The commands of a page with what they did; pages before it have run as well."""
        for each in RUN_PAGES[: RUN_PAGES.index(name) + 1]:
            if each not in self._pages:
                self._pages[each] = self._run_page(each)
        return self._pages[name]

    def run(self, steps: list[Step]) -> list[Ran]:
        """Run commands that belong to no page's order."""
        return run_steps(
            steps,
            folder=self.mesh.folder,
            environ=self.mesh.environ(self._tools),
            addresses=self.mesh.addresses,
        )

    def _run_page(self, name: str) -> list[tuple[Step, Ran]]:
        blocks = [
            block
            for block in page(name).blocks
            if block.language in {"console", "bash"}
            and block.mark not in {"mesh", "prepared", "clients"}
        ]
        results: list[tuple[Step, Ran]] = []
        for stopped, group in groupby(blocks, lambda block: block.mark == "stopped"):
            steps = [step for block in group for step in steps_of(block)]
            if stopped:
                assert self.mesh.stop() == 0
                ran = self.run(steps)
                self.mesh.start()
            else:
                ran = self.run(steps)
            results += zip(steps, ran, strict=True)
        self.said |= {step.command: done for step, done in results}
        return results


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DocsMesh]:
    mesh = DocsMesh(tmp_path_factory.mktemp("clone"))
    mesh.start()
    yield mesh
    assert mesh.stop() == 0


@pytest.fixture(scope="module")
def runner(mesh: DocsMesh, tmp_path_factory: pytest.TempPathFactory) -> Runner:
    tools = tmp_path_factory.mktemp("tools")
    if shutil.which("curl") is None:
        curl = tools / "curl"
        curl.write_text(f'#!/bin/sh\nexec {sys.executable} {plain_curl.__file__} "$@"\n')
        curl.chmod(0o755)
    return Runner(mesh, tools)
