"""How Argo Rollouts is told to roll services out, and what it must never be told."""

from __future__ import annotations

import math
import runpy
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from ragmesh.app.settings import Settings
from tests.charts.rendering import (
    CHART,
    Manifest,
    component,
    example,
    laid_over,
    main_container,
    of_kind,
    pod_of,
    rendered,
    workloads,
)
from tools.programs.table import PROMTOOL

pytestmark = pytest.mark.charts


@pytest.fixture
def argo() -> list[Manifest]:
    return rendered(example("argo"))


def rollout(argo: list[Manifest], name: str) -> dict[str, Any]:
    found: dict[str, Any] = workloads(argo)[name]["spec"]
    return found


def templates(argo: list[Manifest]) -> dict[str, Manifest]:
    return {
        one["metadata"]["name"]: one["spec"]["metrics"][0]
        for one in of_kind(argo, "AnalysisTemplate")
    }


def settings_of(manifests: list[Manifest], name: str) -> dict[str, Any]:
    notes = workloads(manifests)[name]["spec"]["template"]["metadata"]["annotations"]
    found: dict[str, Any] = yaml.safe_load(notes["ragmesh.dev/settings"])
    return found


def test_without_a_provider_there_is_no_object_of_argo() -> None:  # PD-1
    kinds = {one["kind"] for one in rendered(example("distributed"))}
    assert not kinds & {"Rollout", "AnalysisTemplate"}


def test_a_service_is_run_by_one_kind_of_object(argo: list[Manifest]) -> None:  # PD-1
    kinds = {component(one): one["kind"] for one in of_kind(argo, "Rollout", "Deployment")}
    assert kinds == {
        **dict.fromkeys(("embedding", "gateway", "generation"), "Rollout"),
        **dict.fromkeys(("indexer", "indexing", "retrieval"), "Rollout"),
        "cache": "Deployment",
    }
    names = [one["metadata"]["name"] for one in of_kind(argo, "Rollout", "Deployment")]
    assert len(set(names)) == len(names)


def test_an_autoscaler_points_at_the_kind_that_runs_the_service(argo: list[Manifest]) -> None:
    (scaler,) = of_kind(argo, "HorizontalPodAutoscaler")  # PD-1
    target = scaler["spec"]["scaleTargetRef"]
    assert target["kind"] == "Rollout"
    assert target["apiVersion"] == "argoproj.io/v1alpha1"


def test_as_many_new_pods_start_at_once_as_is_said_of_the_service() -> None:
    argo = rendered(laid_over(example("argo"), {"indexing": {"maxSurge": 2}}))
    surges = {
        name: rollout(argo, name)["strategy"]["canary"]["maxSurge"]
        for name in ("indexing", "indexer")
    }
    assert surges == {"indexing": 2, "indexer": 1}


def test_new_pods_are_judged_only_after_callers_have_turned_to_them(argo: list[Manifest]) -> None:
    steps = rollout(argo, "retrieval")["strategy"]["canary"]["steps"]
    kinds = [next(iter(step)) for step in steps]
    assert kinds == ["setWeight", "pause", "analysis"] * 2
    age = settings_of(argo, "retrieval")["internal"].get(
        "connection_age_seconds", Settings(target="retrieval").internal.connection_age_seconds
    )
    for step in steps[1::3]:
        assert int(step["pause"]["duration"].removesuffix("s")) > age


def test_promoted_pods_are_judged_only_after_callers_have_turned_to_them(
    argo: list[Manifest],
) -> None:
    told = rollout(argo, "gateway")["strategy"]["blueGreen"]["postPromotionAnalysis"]["args"]
    (delay,) = (one["value"] for one in told if one["name"] == "delay")
    (pause, *_) = rollout(argo, "retrieval")["strategy"]["canary"]["steps"][1::3]
    assert delay == pause["pause"]["duration"]
    for name in ("ragmesh-error-rate", "ragmesh-p95"):
        assert templates(argo)[name]["initialDelay"] == "{{args.delay}}"


def test_a_measurement_that_says_nothing_is_neither_pass_nor_failure(argo: list[Manifest]) -> None:
    for name in ("ragmesh-error-rate", "ragmesh-p95"):  # PD-4
        metric = templates(argo)[name]
        for condition in (metric["successCondition"], metric["failureCondition"]):
            assert condition.startswith("len(result) > 0 && !isNaN(result[0]) && ")
        assert metric["inconclusiveLimit"] < metric["count"]


# Of 20 calls at least, one in a hundred may fail.
@pytest.mark.parametrize(
    ("served", "failed", "expected"),
    [
        pytest.param(0, 0, None, id="nothing asked"),
        pytest.param(12, 0, None, id="too few, and all well"),
        pytest.param(60, 0, 0.0, id="enough, and all well"),
        pytest.param(594, 6, 0.01, id="as many as may fail"),
        pytest.param(570, 30, 0.05, id="enough, and too many failed"),
        pytest.param(0, 6, 0.3, id="few, but too many even of twenty"),
    ],
)
def test_failures_of_few_calls_are_a_verdict_if_they_would_be_too_many_of_enough(
    served: int, failed: int, expected: float | None, argo: list[Manifest], tmp_path: Path
) -> None:
    query = templates(argo)["ragmesh-error-rate"]["provider"]["prometheus"]["query"]
    for name, value in (("workload", "mesh"), ("hash", "abc")):
        query = query.replace(f"{{{{args.{name}}}}}", value)
    series = [
        {"series": f"rpc_server_call_duration_seconds_count{{{labels}}}", "values": values}
        for count, code in ((served, "OK"), (failed, "INTERNAL"))
        if count
        for labels in [f'namespace="rag", pod="mesh-abc-1", rpc_response_status_code="{code}"']
        # A minute in samples of ten seconds, to the left of which nothing is looked at.
        for values in [f"0+{count / 6}x12"]
    ]
    asked = {
        "expr": f"round({query}, 0.001)",
        "eval_time": "2m",
        "exp_samples": [] if expected is None else [{"labels": "{}", "value": expected}],
    }
    tests = [{"interval": "10s", "input_series": series, "promql_expr_test": [asked]}]
    path = tmp_path / "test.yaml"
    path.write_text(yaml.safe_dump({"tests": tests}))
    done = subprocess.run(
        (PROMTOOL.fetch(), "test", "rules", path), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_open_verdict_about_answers_is_asked_for_again_and_never_a_pass(
    argo: list[Manifest],
) -> None:
    job = templates(argo)["ragmesh-golden-questions"]["provider"]["job"]["spec"]  # PD-4
    failing, waiting = job["podFailurePolicy"]["rules"]
    assert (failing["action"], failing["onExitCodes"]["values"]) == ("FailJob", [1, 2])
    assert (waiting["action"], waiting["onExitCodes"]["values"]) == ("Ignore", [3])
    assert job["activeDeadlineSeconds"] > 0
    assert job["template"]["spec"]["restartPolicy"] == "Never"


def test_doors_are_looked_at_by_their_preview_before_anybody_else_comes(
    argo: list[Manifest],
) -> None:
    strategy = rollout(argo, "gateway")["strategy"]["blueGreen"]
    services = {one["metadata"]["name"]: one["spec"] for one in of_kind(argo, "Service")}
    active, preview = services[strategy["activeService"]], services[strategy["previewService"]]
    ports = [{one["name"]: one["port"] for one in each["ports"]} for each in (active, preview)]
    assert ports[0] == ports[1]
    assert active["selector"] == preview["selector"]
    (server,) = strategy["prePromotionAnalysis"]["args"]
    assert server["value"] == f"{strategy['previewService']}:50051"


def test_going_back_is_a_switch(argo: list[Manifest]) -> None:  # PD-6
    for name in ("gateway", "retrieval"):
        assert rollout(argo, name)["rollbackWindow"] == {"revisions": 3}
    assert rollout(argo, "gateway")["strategy"]["blueGreen"]["scaleDownDelaySeconds"] >= 300


@pytest.mark.parametrize("name", ["distributed", "argo", "hardened"])
def test_a_pod_that_ends_has_time_for_its_longest_stream(name: str) -> None:  # PD-7
    manifests = rendered(example(name))
    for part, workload in workloads(manifests).items():
        spec = pod_of(workload)["spec"]
        told = settings_of(manifests, part)["internal"]
        pre_stop = main_container(pod_of(workload))["lifecycle"]["preStop"]["sleep"]["seconds"]
        doors = 2 if part == "gateway" else 1
        needed = pre_stop + told["drain_seconds"] + doors * told["grace_seconds"]
        assert needed + 10 < spec["terminationGracePeriodSeconds"], part
        # A stream lasts as long as a question may.
        assert told["grace_seconds"] > Settings().gateway.question_seconds


@pytest.mark.parametrize("name", ["distributed", "argo"])
def test_a_new_chart_version_alone_rolls_nothing(name: str) -> None:
    for workload in workloads(rendered(example(name))).values():
        labels: Mapping[str, str] = pod_of(workload)["metadata"]["labels"]
        assert not {"helm.sh/chart", "app.kubernetes.io/version"} & labels.keys()


def test_helm_waits_for_every_rollout_and_may_ask_for_nothing_else(argo: list[Manifest]) -> None:
    names = sorted(one["metadata"]["name"] for one in of_kind(argo, "Rollout"))  # PD-3
    (job,) = (one for one in of_kind(argo, "Job") if component(one) == "await-rollouts")
    assert (
        job["metadata"]["annotations"]["helm.sh/hook"] == "post-install,post-upgrade,post-rollback"
    )
    assert main_container(pod_of(job))["args"][1:] == names
    (role,) = of_kind(argo, "Role")
    assert role["rules"] == [
        {
            "apiGroups": ["argoproj.io"],
            "resources": ["rollouts"],
            "resourceNames": names,
            "verbs": ["get"],
        }
    ]
    assert job["spec"]["activeDeadlineSeconds"] == 21_600
    hasty = rendered(laid_over(example("argo"), {"rollout": {"awaitSeconds": 900}}))
    (job,) = (one for one in of_kind(hasty, "Job") if component(one) == "await-rollouts")
    assert job["spec"]["activeDeadlineSeconds"] == 900
    values = laid_over(example("argo"), {"rollout": {"await": False}})
    assert not [one for one in rendered(values) if component(one) == "await-rollouts"]


GOES_ON, WELL, BADLY = None, True, False


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        pytest.param({}, GOES_ON, id="not seen yet"),
        pytest.param({"observedGeneration": "6", "phase": "Healthy"}, GOES_ON, id="of before"),
        pytest.param({"observedGeneration": "7", "phase": "Progressing"}, GOES_ON, id="starting"),
        pytest.param(
            {"phase": "Paused", "pauseConditions": [{"reason": "CanaryPauseStep"}]},
            GOES_ON,
            id="settling",
        ),
        pytest.param({"phase": "Healthy"}, WELL, id="takes all calls"),
        pytest.param(
            {"phase": "Paused", "pauseConditions": [{"reason": "BlueGreenPause"}]},
            WELL,
            id="waits for people",
        ),
        pytest.param({"phase": "Degraded", "message": "RolloutAborted"}, BADLY, id="given up"),
        pytest.param(
            {"phase": "Paused", "pauseConditions": [{"reason": "InconclusiveAnalysisRun"}]},
            BADLY,
            id="could not be judged",
        ),
    ],
)
def test_what_helm_says_of_a_rollout_is_what_became_of_it(
    status: dict[str, Any], expected: bool | None
) -> None:
    judged = runpy.run_path(str(CHART / "files" / "await_rollouts.py"))["verdict"]  # PD-3
    seen = {"observedGeneration": "7", **status} if status else status
    told = judged({"metadata": {"generation": 7}, "spec": {}, "status": seen})
    assert (told and told[0]) is expected


def test_a_rollout_that_a_person_has_paused_is_not_waited_for() -> None:
    judged = runpy.run_path(str(CHART / "files" / "await_rollouts.py"))["verdict"]
    status = {"observedGeneration": "7", "phase": "Paused"}
    well, why = judged({"metadata": {"generation": 7}, "spec": {"paused": True}, "status": status})
    assert (well, why.split(":")[0]) == (BADLY, "was paused by hand")


def test_a_rollout_that_holds_is_told_with_what_could_not_be_told() -> None:
    judged = runpy.run_path(str(CHART / "files" / "await_rollouts.py"))["verdict"]
    doubt = 'Metric "p95" assessed Inconclusive due to inconclusive (4) > inconclusiveLimit (3)'
    run = {"name": "r", "status": "Inconclusive", "message": doubt}
    status = {
        "observedGeneration": "7",
        "phase": "Paused",
        "pauseConditions": [{"reason": "InconclusiveAnalysisRun"}],
        "canary": {"currentStepAnalysisRunStatus": run, "weights": {"canary": {}}},
        "blueGreen": {"activeSelector": "abc"},
    }
    told = judged({"metadata": {"generation": 7}, "spec": {}, "status": status})
    assert told == (False, f"holds: {doubt}; promote it or abort it")


def awaited(
    looks: Callable[[float], dict[str, Any] | None], names: Sequence[str] = ("mesh-retrieval",)
) -> tuple[int, float]:
    """How Helm's waiting ends and after how long, where a look at a second finds this status.

    None = the cluster cannot be asked then.
    """
    seconds = [0.0]

    def look(_name: str) -> dict[str, Any] | None:
        status = looks(seconds[0])
        found = {"metadata": {"generation": 7}, "spec": {}, "status": status}
        return None if status is None else found

    def pause(length: float) -> None:
        seconds[0] += length

    wait = runpy.run_path(str(CHART / "files" / "await_rollouts.py"))["main"]
    return wait(list(names), look, lambda: seconds[0], pause), seconds[0]


@pytest.mark.parametrize(
    ("status", "serving"),
    [
        pytest.param({}, "no pod of it serves", id="never installed"),
        pytest.param(
            {"observedGeneration": "6", "phase": "Healthy", "stableRS": "abc"},
            "what served before serves on",
            id="gone since",
        ),
    ],
)
def test_a_controller_that_is_not_there_is_told_within_minutes(
    status: dict[str, Any], serving: str, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ("mesh-retrieval", "mesh-gateway")
    assert awaited(lambda _: status, names) == (1, 120.0)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(names)
    for line in lines:
        assert f"was not looked at for 2 minutes, and {serving}: does the controller" in line


@pytest.mark.parametrize("away", ["the controller", "the cluster"])
def test_what_is_away_for_less_is_waited_for(away: str) -> None:
    def looks(second: float) -> dict[str, Any] | None:
        if second % 110 < 100:
            return {"observedGeneration": "6"} if away == "the controller" else None
        return {"observedGeneration": "7", "phase": "Healthy" if second > 400 else "Progressing"}

    assert awaited(looks) == (0, 430.0)


def test_a_controller_is_not_blamed_for_what_the_cluster_held_up() -> None:
    def looks(second: float) -> dict[str, Any] | None:
        if second < 600:
            return None
        return {"observedGeneration": "7" if second >= 630 else "6", "phase": "Healthy"}

    assert awaited(looks) == (0, 630.0)


def test_the_least_share_is_what_one_pod_of_all_takes(argo: list[Manifest]) -> None:
    for part in ("embedding", "generation", "indexing", "indexer"):
        spec = rollout(argo, part)
        least = spec["strategy"]["canary"]["steps"][0]["setWeight"]
        assert math.floor(100 / (spec["replicas"] + 1)) <= least
