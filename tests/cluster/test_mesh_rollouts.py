"""Argo rolls services of a busy mesh out, and Helm says what became of them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any

import pytest

from tests.cluster.conftest import QUESTIONS, SMALL
from tests.cluster.load import PATIENCE_SECONDS, RATE, SEARCH, Load, steady_load
from tests.cluster.releases import SERVICES, Door, HelmError, Namespace, Release
from tests.cluster.rollouts import DOORS, Rolled
from tests.cluster.talkers import slow_judge
from tools.cluster.kubectl import Kubectl
from tools.processes import await_condition

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(400)]

CANARY, BLUE_GREEN = "retrieval", DOORS
REPLICAS = 2
READY_SECONDS, SETTLE_SECONDS, WINDOW_SECONDS, PRE_STOP_SECONDS = 2, 12, 10, 3
EXPOSED_SECONDS = READY_SECONDS + SETTLE_SECONDS + WINDOW_SECONDS + PRE_STOP_SECONDS
"""How long new pods may take calls before they are found bad and gone."""
MOST_FAILED = RATE * EXPOSED_SECONDS / (REPLICAS + 1)
"""Calls that they get meanwhile."""
SLOW_SECONDS = 2.0
"""Of those who ask while a version is too slow, and the bound that it exceeds."""
QUIET_SECONDS = 5
ROLLOUT = {
    "provider": "argo",
    "services": {
        **{name: "none" for name in SERVICES},
        CANARY: "canary",
        BLUE_GREEN: "blueGreen",
    },
    "progressDeadlineSeconds": 60,
    "settleSeconds": SETTLE_SECONDS,
    "canary": {"weights": [34]},
    "blueGreen": {"scaleDownDelaySeconds": 120},
    "analysis": {
        "windowSeconds": WINDOW_SECONDS,
        # Callers may find new pods some seconds later than settleSeconds, and are then counted by
        # the next scrapes: the last measurement that may say nothing comes after that.
        "intervalSeconds": 4,
        # Two processors start pods beside the searches.
        "p95Seconds": {CANARY: SLOW_SECONDS},
    },
}
CALLED: Mapping[str, Any] = {
    "replicas": REPLICAS,
    "minReadySeconds": READY_SECONDS,
    "preStopSeconds": PRE_STOP_SECONDS,
    # Callers turn to new pods within settleSeconds: they look for them once a connection ends, and
    # 5 seconds after the look before at the soonest.
    "settings": {"internal": {"connection_age_seconds": 4}},
}
"""What the service has that is rolled out as a canary."""

MADE_READY = {**SMALL, "migrate": {"enabled": False}, "topics": {"enabled": False}}
"""Hooks on servers that have what processes need since the installation."""
MISTAKEN = """
from ragmesh.retrieval.server import RetrievalServicer

async def fail(*_):
    raise RuntimeError("a mistake of this version")

RetrievalServicer.Retrieve = fail
"""
"""What a version runs that fails every search, before it begins."""
GOLDEN = "".join(
    json.dumps({"question": QUESTIONS.format(number=number), "relevant": {f"owl-{number}": 3}})
    + "\n"
    for number in range(20)
)
"""As many questions as a gate judges, about owls."""


@pytest.fixture(scope="module")
def begun(distributed: Release, talking: dict[str, object], kubectl: Kubectl) -> Rolled:
    for what in ("crd/rollouts.argoproj.io", "service/prometheus-operated"):
        if not kubectl.holds("get", what, "--namespace=monitoring"):
            pytest.skip(f"needs Argo Rollouts and Prometheus in the cluster: there is no {what}")
    blue = {"replicas": REPLICAS, "minReadySeconds": READY_SECONDS}
    own = {"hooks": MADE_READY, CANARY: CALLED, BLUE_GREEN: blue}
    made = Rolled(distributed, {**talking, "rollout": ROLLOUT, **own})
    said = distributed.upgrade(made.values)
    assert all(f"{made.name_of(one)} takes all calls" in said for one in (CANARY, BLUE_GREEN))
    return made


@pytest.fixture
def rolled(begun: Rolled) -> Iterator[Rolled]:
    """One test's failure is not that of the next."""
    yield begun
    if begun.is_failed:
        begun.go_back(CANARY)


# PD-3, PD-4, PD-6
def test_a_version_that_nobody_calls_holds_and_going_back_asks_nobody(rolled: Rolled) -> None:
    name = rolled.name_of(CANARY)
    with pytest.raises(HelmError, match=f"{name} holds: .*nconclusive"):
        rolled.upgrade(CANARY, "unasked")
    assert set(rolled.versions(CANARY).values()) == {None, "unasked"}

    rolled.go_back(CANARY)
    assert set(rolled.versions(CANARY).values()) == {None}


# PD-3, PD-6
def test_a_version_that_does_not_start_is_given_up_and_helm_says_so(rolled: Rolled) -> None:
    hasty = replace(
        rolled, values={**rolled.values, "rollout": {**ROLLOUT, "progressDeadlineSeconds": 25}}
    )
    with pytest.raises(HelmError, match=f"{rolled.name_of(CANARY)} RolloutAborted"):
        hasty.upgrade(CANARY, "missing", image={"tag": "missing"})
    assert list(rolled.versions(CANARY).values()) == [None] * REPLICAS
    rolled.go_back(CANARY)


# The "canary of a bad image aborted by analysis within its error bound"
def test_a_version_that_is_much_too_slow_costs_its_share_until_its_analysis_gives_it_up(
    rolled: Rolled, door: Door, host: str
) -> None:
    with (
        slow_judge(host) as judge,
        searches(door, patience_seconds=SLOW_SECONDS) as load,
    ):
        reranker = {"url": judge, "timeout_seconds": 30}
        settings = {**CALLED["settings"], "retrieval": {"reranker": reranker}}
        with pytest.raises(HelmError, match=f"{rolled.name_of(CANARY)} RolloutAborted.*p95"):
            rolled.upgrade(CANARY, "slow", settings=settings)
        await_condition(lambda: len(rolled.release.namespace.pods(CANARY)) == REPLICAS, 30)
        given_up = time.monotonic()
        time.sleep(PRE_STOP_SECONDS + QUIET_SECONDS)
    assert_only_its_share_failed(load, given_up)
    assert list(rolled.versions(CANARY).values()) == [None] * REPLICAS
    rolled.go_back(CANARY)


def test_a_version_that_answers_with_errors_is_given_up_by_their_share(
    rolled: Rolled, door: Door
) -> None:
    namespace = rolled.release.namespace
    mistaken = {
        "extraVolumes": [{"name": "mistake", "configMap": {"name": "mistake"}}],
        "extraVolumeMounts": [{"name": "mistake", "mountPath": "/mistake", "readOnly": True}],
        "extraEnv": [{"name": "PYTHONPATH", "value": "/mistake"}],
    }
    with (
        existing(namespace, "ConfigMap", "mistake", {"sitecustomize.py": MISTAKEN}),
        searches(door) as load,
    ):
        with pytest.raises(HelmError, match=f"{rolled.name_of(CANARY)} RolloutAborted.*error-rate"):
            rolled.upgrade(CANARY, "mistaken", **mistaken)
        await_condition(lambda: len(namespace.pods(CANARY)) == REPLICAS, 30)
        given_up = time.monotonic()
        rolled.go_back(CANARY)
        time.sleep(PRE_STOP_SECONDS)
    assert_only_its_share_failed(load, given_up)
    assert list(rolled.versions(CANARY).values()) == [None] * REPLICAS


def test_a_version_whose_golden_questions_are_not_answered_is_given_up_and_fails_no_call(
    rolled: Rolled, door: Door
) -> None:
    namespace = rolled.release.namespace
    door.call("POST", "/collections", {"name": "nothing"})
    questions = {
        "existingConfigMap": "golden",
        "existingSecret": "reader",
        "collection": "nothing",
        "floors": {"answering": 0.9},
        "services": [CANARY],
    }
    rollout = {
        **ROLLOUT,
        "analysis": {**rolled.values["rollout"]["analysis"], "questions": questions},
    }
    asked = replace(rolled, values={**rolled.values, "rollout": rollout})
    with (
        existing(namespace, "ConfigMap", "golden", {"golden.jsonl": GOLDEN}),
        existing(namespace, "Secret", "reader", {"key": door.key}),
        searches(door) as load,
    ):
        refusal = f"{rolled.name_of(CANARY)} RolloutAborted.*golden-questions"
        with pytest.raises(HelmError, match=refusal):
            asked.upgrade(CANARY, "unknowing")
        rolled.go_back(CANARY)
    assert load.failures == [], namespace.warnings()
    assert list(rolled.versions(CANARY).values()) == [None] * REPLICAS


# The "one good one at 100 % with 0 failed calls"
def test_a_good_version_takes_all_calls_and_fails_none(rolled: Rolled, door: Door) -> None:
    with searches(door) as load:
        said = rolled.upgrade(CANARY, "good")
        assert f"{rolled.name_of(CANARY)} takes all calls" in said
        time.sleep(QUIET_SECONDS)
    assert load.failures == [], rolled.release.namespace.warnings()
    assert list(rolled.versions(CANARY).values()) == ["good"] * REPLICAS


# The "one blueGreen with preview, promotion, instant rollback"
def test_new_doors_are_looked_at_promoted_and_taken_back_without_a_failed_call(
    rolled: Rolled, door: Door
) -> None:
    name, namespace = rolled.name_of(BLUE_GREEN), rolled.release.namespace
    good = replace(
        rolled, values={**rolled.values, CANARY: {**CALLED, "podLabels": {"version": "good"}}}
    )
    preview = replace(
        door, url=f"http://{namespace.address_of(f'{rolled.release.fullname}-preview')}:8080/api/v1"
    )
    former = set(rolled.versions(BLUE_GREEN))
    with searches(door) as load:
        assert f"{name} waits to be promoted" in good.upgrade(BLUE_GREEN, "green")
        assert (rolled.shown(), rolled.shown("-preview")) == ({None}, {"green"})
        assert preview.call("POST", "/collections/owls/search", {"query": "owls"})["hits"]

        rolled.release.promote(BLUE_GREEN)
        assert await_condition(lambda: rolled.shown() == {"green"}, 30)
        assert await_condition(lambda: rolled.phase(BLUE_GREEN) == "Healthy", 60)  # its analysis

        begun = time.monotonic()
        rolled.go_back(BLUE_GREEN)
        print(f"helm went back in {time.monotonic() - begun:.1f} s")
        # They ran all the time: nobody had to wait for new ones.
        assert namespace.behind(rolled.release.fullname) == former
        time.sleep(QUIET_SECONDS)
    assert load.failures == [], namespace.warnings()


def test_uninstalling_leaves_nothing(distributed: Release) -> None:
    namespace = distributed.namespace
    distributed.uninstall()
    secrets = {f"secret/{name}" for name in ("identity", "catalog", "blobs")}
    assert await_condition(lambda: namespace.objects() <= secrets, 60), namespace.objects()


def assert_only_its_share_failed(load: Load, given_up: float) -> None:
    """Some calls of a bad version failed, as many as it got at most, and none once it was gone."""
    print(f"{len(load.failures)} of {load.made} calls failed; {MOST_FAILED:.0f} were the bound")
    assert 0 < len(load.failures) <= MOST_FAILED, load.failures[-5:]
    assert load.since(given_up + PRE_STOP_SECONDS) == []


def searches(
    door: Door, patience_seconds: float = PATIENCE_SECONDS
) -> AbstractContextManager[Load]:
    """A load of what both services that are rolled out answer."""
    return steady_load(door, "owls", QUESTIONS, mix=(SEARCH,), patience_seconds=patience_seconds)


@contextmanager
def existing(
    namespace: Namespace, kind: str, name: str, files: Mapping[str, str]
) -> Iterator[None]:
    """A ConfigMap or a Secret for the time of the block."""
    of_kind = {"ConfigMap": "data", "Secret": "stringData"}[kind]
    body = {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, of_kind: files}
    namespace.kubectl.apply(json.dumps(body), "-n", namespace.name)
    try:
        yield
    finally:
        namespace.kubectl.run("delete", kind, name, "-n", namespace.name)
