"""The CronJob of backups, run at once: a mesh is copied, and brought back into empty stores."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.conftest import COPIES, SCALED, TEXTS, distributed_values, make_secrets
from tests.cluster.releases import Namespace, Release
from tests.docs.pages import ROOT, Page
from tests.servers.indexing.databases import database
from tools.programs.table import KUBECTL
from tools.servers.server import Server

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

PAGE = Page(ROOT / "docs" / "how-to" / "back-up-and-restore.md")
SHOWN = f"{COPIES}/20261128T184012Z-3fa1"
"""The backup that the page calls by its name."""
WAITED = "--timeout=6h"
COUNTS = ("collections", "documents", "lost", "damaged")


@dataclass(frozen=True)
class Backups:
    """Of a release, by the commands of the page."""

    release: Release

    def create(self) -> dict[str, Any]:
        """What is printed of a new one that was read back and found whole."""
        told: dict[str, Any] = json.loads(self._run("backup-now", {})[-1])
        assert told["flaws"] == []
        return told

    def verify(self, backup: str) -> str:
        """What is printed of one that is whole."""
        return self._run("restore", {SHOWN: backup, "restore": "verify"})[-1]

    def restore(self, backup: str) -> str:
        return self._run("restore", {SHOWN: backup})[-1]

    def _run(self, job: str, instead: Mapping[str, str]) -> list[str]:
        """Lines that the commands print which make a Job, with other words in some places."""
        begin = f"kubectl create job {job} "
        (commands,) = (one.text for one in PAGE.blocks if one.text.startswith(begin))
        kubectl = self.release.namespace.kubectl
        names = {"NAMESPACE": self.release.namespace.name, "RELEASE-ragmesh": self.release.fullname}
        for shown, name in {**names, WAITED: "--timeout=60s", **instead}.items():
            assert shown in commands
            commands = commands.replace(shown, name)
        path = f"{KUBECTL.fetch().parent}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            ("bash", "-euo", "pipefail", "-c", commands),
            env={**os.environ, "PATH": path, "KUBECONFIG": str(kubectl.kubeconfig)},
            capture_output=True,
            text=True,
            timeout=180,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return [line for line in done.stdout.splitlines() if not line.startswith("job.batch/")]


@pytest.fixture
async def catalog(backing: dict[str, Server]) -> AsyncIterator[str]:
    """The URL of a catalog without a row."""
    async with database(backing["postgres"]) as place:
        yield place.url


@pytest.fixture
def other(
    namespace: Namespace, image: str, identity: Path, backing: dict[str, Server], catalog: str
) -> Release:
    """A new mesh with empty stores, of which nothing runs."""
    make_secrets(namespace, identity)
    make_bucket(backing["s3"], "other")
    release = Release(namespace, "other", image, identity)
    release.install(
        distributed_values(backing),
        *("--set", f"catalog.url={catalog}", "--set", "blobs.url=s3://other"),
        *("--set", "workload.replicas=0", "--set", f"{SCALED}.autoscaling.enabled=false"),
        *("--set", "hooks.topics.enabled=false"),
    )
    return release


# The "backup and restore of catalog, blobs and index … and a CronJob"
@pytest.mark.usefixtures("door")
def test_a_job_copies_a_mesh_and_another_brings_it_back_into_empty_stores(
    distributed: Release, other: Release, backing: dict[str, Server]
) -> None:
    make_bucket(backing["s3"], "copies")
    made = Backups(distributed).create()
    backup = made["backup"]
    assert made["documents"] >= len(TEXTS)
    assert f"{backup} is whole" in Backups(distributed).verify(backup)

    assert f"{backup} is restored" in Backups(other).restore(backup)
    again = Backups(other).create()
    assert again["backup"] != backup
    assert [again[what] for what in COUNTS] == [made[what] for what in COUNTS]


def make_bucket(s3: Server, name: str) -> None:
    """Have one in a server whose buckets are folders."""
    (s3.folder / "buckets" / name).mkdir()
