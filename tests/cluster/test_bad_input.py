"""What cannot work ends in a sentence that says what to do, and in nothing half-done."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster.conftest import EMBEDDED, SMALL, distributed_values, make_server_secrets
from tests.cluster.releases import SERVICES, HelmError, Namespace, Release, read_reasons
from tools.cluster.kubectl import Kubectl
from tools.processes import await_condition
from tools.servers.server import Server

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

VOLATILE = {**EMBEDDED, "embedded": {**SMALL, "persistence": {"enabled": False}}}
"""A mesh of one pod that needs no volume."""
SHORT = 25
"""Seconds for an install that cannot end well."""


@pytest.fixture
def release(namespace: Namespace, image: str, identity: Path) -> Release:
    namespace.make_secret("identity", files=identity)
    return Release(namespace, "bad", image, identity)


def refused(release: Release, values: dict[str, object], *words: str) -> str:
    """What is said of values that cannot work, by which nothing was made."""
    before = release.namespace.objects()
    with pytest.raises(HelmError) as told:
        release.install(values, *words, seconds=SHORT)
    assert release.namespace.objects() == before
    return str(told.value)


def test_a_missing_secret_is_named(namespace: Namespace, image: str, identity: Path) -> None:
    said = refused(Release(namespace, "bad", image, identity), EMBEDDED)
    assert "the Secret identity is not in the namespace" in said


def test_a_misspelt_key_is_named(release: Release) -> None:
    said = refused(release, {**EMBEDDED, "embeded": {"replicas": 1}})
    assert "embeded" in said


def test_a_cluster_without_a_usual_class_of_volumes_is_told(
    release: Release, ours: Kubectl
) -> None:
    usual = "storageclass.kubernetes.io/is-default-class"
    ours.run("annotate", "storageclass", "local", f"{usual}=false", "--overwrite")
    try:
        said = refused(release, EMBEDDED)
    finally:
        ours.run("annotate", "storageclass", "local", f"{usual}=true", "--overwrite")
    assert "embedded.persistence.storageClassName" in said


def test_a_broker_that_is_away_is_named_and_nothing_runs(
    release: Release, backing: dict[str, Server]
) -> None:
    namespace = release.namespace
    make_server_secrets(namespace)
    values = distributed_values(backing)
    away = {"url": f"kafka://{backing['kafka'].host}:1", "replication": 1}
    hooks = {"backoffLimit": 0, "activeDeadlineSeconds": 60}
    with pytest.raises(HelmError, match=f"EVENT_LOG_UNREACHABLE.*{backing['kafka'].host}:1"):
        release.install({**values, "events": away, "hooks": hooks}, seconds=120)
    assert all(namespace.pods(service) == [] for service in SERVICES)


def test_an_image_that_is_not_there_is_named_and_atomic_takes_it_back(release: Release) -> None:
    wrong = Release(release.namespace, release.name, "localhost/ragmesh:missing", release.identity)
    before = wrong.namespace.objects()
    with pytest.raises(HelmError) as told:
        wrong.install(VOLATILE, "--atomic", seconds=SHORT)
    reasons = read_reasons(wrong.namespace)
    assert "localhost/ragmesh:missing" in reasons
    assert (
        "not ready" in str(told.value)
        or "timed out" in str(told.value)
        or "deadline" in str(told.value)
    )
    left = wrong.namespace.objects
    assert await_condition(lambda: left() == before, 60), left() - before  # pods end in their time


def test_a_quota_that_is_too_small_is_named(release: Release) -> None:
    namespace = release.namespace
    namespace.kubectl.run(
        *("create", "quota", "small", "-n", namespace.name, "--hard=requests.memory=32Mi")
    )
    said = refused(release, EMBEDDED)
    assert "the ResourceQuota small leaves 32Mi for requests.memory" in said


def test_a_mode_cannot_be_switched(release: Release, backing: dict[str, Server]) -> None:
    release.install(VOLATILE)
    namespace = release.namespace
    make_server_secrets(namespace)
    with pytest.raises(HelmError, match="runs in mode: embedded"):
        release.upgrade(distributed_values(backing))
    assert len(namespace.pods("embedded")) == 1
