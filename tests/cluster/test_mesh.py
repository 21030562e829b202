"""The chart, installed: it works, and bears the death and the renewal of pods."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cluster.conftest import (
    EMBEDDED,
    LAST_CHART,
    QUESTIONS,
    SCALED,
    SMALL,
    TEXTS,
    distributed_values,
    make_secrets,
)
from tests.cluster.load import lost_documents, steady_load, uploaded
from tests.cluster.releases import SERVICES, Door, HelmError, Namespace, Release
from tests.cluster.talkers import AT_LENGTH, TALKING_SECONDS, WORDS
from tests.servers.indexing.databases import administration
from tools.processes import await_condition
from tools.servers.server import Server

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

SETTLED_SECONDS = 10
SWEPT_SECONDS = 90
"""A cluster that was told of new kinds, or of none any more, looks anew at all that it sweeps."""


# HM-2, HM-7, HM-8
def test_an_embedded_mesh_answers_bears_upgrades_to_itself_and_leaves_nothing_but_its_volume(
    namespace: Namespace, image: str, identity: Path
) -> None:
    namespace.make_secret("identity", files=identity)
    before = namespace.objects()
    release = Release(namespace, "small", image, identity)
    assert "helm test small" in release.install(EMBEDDED)
    assert "passed: uploaded, cited, deleted, gone" in release.test()

    told = namespace.told()
    for _ in range(2):
        release.upgrade(EMBEDDED)
        assert_unchanged(namespace, told)

    release.uninstall()
    assert await_condition(lambda: len(namespace.objects() - before) <= 1, 60)
    left = namespace.objects() - before
    assert all(one.startswith("persistentvolumeclaim/") for one in left), left


# PD-9; charts read Secrets only where there is a cluster
def test_another_password_renews_the_pods_that_read_it_and_no_others(
    namespace: Namespace, image: str, identity: Path, backing: dict[str, Server]
) -> None:
    make_secrets(namespace, identity)
    release = Release(namespace, "mesh", image, identity)
    before = release.templates(distributed_values(backing))
    assert before == release.templates(distributed_values(backing))
    assert before.keys() == set(SERVICES)

    namespace.kubectl.run("delete", "secret", "blobs", "-n", namespace.name)
    namespace.make_secret("blobs", {"access-key-id": "ragmesh", "secret-access-key": "another"})
    after = release.templates(distributed_values(backing))
    assert {name for name in after if after[name] != before[name]} == {"indexing", "indexer"}


# HM-2, HM-8, SEC-6
def test_a_distributed_mesh_on_real_servers_answers(distributed: Release) -> None:
    begun = time.monotonic()
    assert "passed: uploaded, cited, deleted, gone" in distributed.test()
    assert time.monotonic() - begun <= 120


# HM-7
def test_a_distributed_mesh_is_not_changed_by_an_upgrade_to_itself(
    distributed: Release, talking: dict[str, object]
) -> None:
    told = distributed.namespace.told()
    distributed.upgrade(talking)
    assert_unchanged(distributed.namespace, told)


# The "kill one pod of each service"
@pytest.mark.parametrize("service", SERVICES)
def test_a_killed_pod_costs_two_calls_at_most(
    service: str, distributed: Release, door: Door
) -> None:
    namespace = distributed.namespace
    distributed.await_pods(service, 2)
    before = uploaded(door, "owls")
    victim = namespace.pods(service)[0]["metadata"]["name"]
    with steady_load(door, "owls", QUESTIONS) as load:
        time.sleep(2)
        killed = time.monotonic()
        namespace.kubectl.run(
            *("delete", "pod", victim, "-n", namespace.name),
            *("--grace-period=0", "--force", "--wait=false"),
        )
        time.sleep(SETTLED_SECONDS + 3)
    failed = load.failures
    assert len(failed) <= 2, failed
    assert load.since(killed + SETTLED_SECONDS) == []
    assert load.made > 200
    assert not (lost := lost_documents(load, before)), lost


def test_a_service_of_queries_is_scaled_by_what_its_pods_use(distributed: Release) -> None:
    scaler = f"hpa/{distributed.fullname}-{SCALED}"
    waits = ("--for=condition=ScalingActive", "--timeout=90s")
    distributed.namespace.kubectl.run("wait", scaler, "-n", distributed.namespace.name, *waits)


def test_renewing_all_pods_fails_no_call_and_cuts_no_stream(
    distributed: Release, door: Door
) -> None:
    heard: list[Heard] = []
    listener = threading.Thread(target=_listen, args=(door, heard))

    def renew() -> None:
        listener.start()
        assert await_condition(lambda: bool(heard), 30), "the stream did not begin"
        distributed.restart_all()
        listener.join(150)

    assert_nobody_notices(renew, distributed, door)
    last = heard[-1]
    assert last.event == "finish", last
    # An answer that was cut ends as PARTIAL; what this model says stands in no document.
    assert (last.told["status"], last.told["degraded"]) == ("ANSWERED", ["UNGROUNDED"])
    assert sum(one.event == "delta" for one in heard) >= WORDS
    assert last.at - heard[0].at >= TALKING_SECONDS - 5


# HM-6; PD-8, for pods of both versions call each other on the way
def test_a_busy_mesh_goes_back_to_the_last_release_and_on_again_and_fails_no_call(
    distributed: Release, door: Door, backing: dict[str, Server], last_image: str
) -> None:
    """Settings go back and on, too. The data's schema is that of the last release."""
    last = replace(distributed, image=last_image, package=LAST_CHART)
    questions = [QUESTIONS.format(number=number) for number in range(50)]
    texts = {f"owl-{number}": f"{TEXTS['owl-1']} It is one of {number}." for number in range(40)}
    door.fill("newer", texts)
    newer = door.top("newer", questions)

    assert_nobody_notices(lambda: last.upgrade(distributed_values(backing)), distributed, door)
    assert door.top("newer", questions) == newer
    door.fill("older", texts)
    older = door.top("older", questions)

    back = ("rollback", distributed.name, "--wait", "--timeout=240s")
    assert_nobody_notices(lambda: distributed.helm(*back), distributed, door)
    assert door.top("newer", questions) == newer
    assert door.top("older", questions) == older


def assert_nobody_notices(change: Callable[[], object], release: Release, door: Door) -> None:
    """No call of a steady load fails meanwhile, and every document that it uploads is found."""
    namespace = release.namespace
    before = uploaded(door, "owls")
    with namespace.losses("gateway") as losses, steady_load(door, "owls", QUESTIONS) as load:
        change()
        lost = losses()
    assert load.failures == [], (load.failures[:10], lost, namespace.warnings())
    assert not (gone := lost_documents(load, before)), gone


# The "downgrade over a migration"
async def test_a_mesh_whose_catalog_is_newer_is_not_changed_and_says_why(
    distributed: Release, backing: dict[str, Server]
) -> None:
    """It is told other settings: pods would be others."""
    before = _names(distributed)
    other = {**distributed_values(backing), "hooks": {**SMALL, "backoffLimit": 0}}
    async with catalog_of_a_newer_version(backing["postgres"]):
        with pytest.raises(HelmError, match="DATA_FROM_NEWER_VERSION"):
            distributed.upgrade(other)
    # It stays for whoever looks for its words.
    namespace = distributed.namespace
    job = f"job/{distributed.fullname}-migrate"
    namespace.kubectl.run("delete", job, "-n", namespace.name, "--wait=false")
    # Some may have been about to go.
    assert all(now <= before[service] for service, now in _names(distributed).items())


def assert_unchanged(namespace: Namespace, told: Mapping[str, object]) -> None:
    """Nothing differs from what was told, once what hooks have made is gone."""
    await_condition(lambda: namespace.told() == told, SWEPT_SECONDS)
    now = namespace.told()
    assert now.keys() == told.keys()
    for name, before in told.items():
        assert now[name] == before, name


@asynccontextmanager
async def catalog_of_a_newer_version(postgres: Server) -> AsyncIterator[None]:
    """A schema that nobody knows yet, for the time of the block."""
    async with administration(postgres) as connection:
        version = await connection.fetchval("SELECT version_num FROM alembic_version")
        await connection.execute("UPDATE alembic_version SET version_num = '9999'")
        try:
            yield
        finally:
            await connection.execute("UPDATE alembic_version SET version_num = $1", version)


def _names(release: Release) -> dict[str, set[str]]:
    """Pods of each service."""
    return {
        service: {one["metadata"]["name"] for one in release.namespace.pods(service)}
        for service in SERVICES
    }


@dataclass(frozen=True)
class Heard:
    """One event of an answer that is told as it comes."""

    at: float
    event: str
    told: dict[str, Any]


def _listen(door: Door, heard: list[Heard]) -> None:
    """Ask, and write down what comes, until it ends."""
    headers = {**door.headers, "accept": "text/event-stream"}
    body = {"question": f"{AT_LENGTH}What do owls eat?", "cache": "bypass"}
    url = f"{door.url}/collections/owls/ask"
    with httpx.stream("POST", url, json=body, headers=headers, timeout=60) as reply:
        for line in reply.iter_lines():
            key, _, said = line.partition(": ")
            if key == "event":
                event = said
            elif key == "data":
                heard.append(Heard(time.monotonic(), event, json.loads(said)))
