"""Alerts, dashboards and collectors that are shipped are sound, and about real signals."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.charts.rendering import example, of_kind, rendered
from tools.generate_reference import ROOT, registry
from tools.programs.table import COLLECTOR, PROMTOOL

pytestmark = pytest.mark.charts

MONITORING = ROOT / "charts" / "ragmesh" / "monitoring"
RULES = MONITORING / "rules.yaml"
COLLECTORS = ROOT / "k8s" / "components" / "collector"
SEVERITIES = {"critical", "warning", "info"}
_OF_SCRAPES = {"namespace", "pod", "le"}
_NAME = re.compile(r"\b(?:rag|ragmesh|rpc|http)_[a-z_]+\b")
_SELECTION = re.compile(r"(?P<metric>\b(?:rag|ragmesh|rpc|http)_\w+)\{(?P<labels>[^}]*)\}")
_LABEL = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")
_ARGUMENT = re.compile(r"\{\{[^}]*\}\}")
_RECORDED = re.compile(r"ragmesh:\w+:\w+")
_SAMPLES = ("", "_bucket", "_count", "_sum")


def run(*command: str | Path, environ: Mapping[str, str] | None = None) -> None:
    """Run a checker; what it says is the failure."""
    ran = subprocess.run(command, capture_output=True, text=True, check=False, env=environ)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def alerts() -> list[dict[str, Any]]:
    return [rule for rule in rules() if "alert" in rule]


def panels() -> Iterator[dict[str, Any]]:
    for path in MONITORING.glob("*dashboard*.json"):
        yield from json.loads(path.read_text(encoding="utf-8"))["panels"]


def judgements() -> list[str]:
    """What a rollout asks about new pods; by a wrong name it would find no fault with them."""
    return [
        _ARGUMENT.sub("", metric["provider"]["prometheus"]["query"])
        for template in of_kind(rendered(example("argo")), "AnalysisTemplate")
        for metric in template["spec"]["metrics"]
        if "prometheus" in metric["provider"]
    ]


@cache
def expressions() -> tuple[str, ...]:
    """Everything that anybody asks Prometheus."""
    shown = [target["expr"] for panel in panels() for target in panel.get("targets", ())]
    return (*(rule["expr"] for rule in rules()), *shown, *judgements())


def labels_by_metric() -> dict[str, set[str]]:
    """The labels of every series that a process shows, by its name in Prometheus."""
    found: dict[str, set[str]] = {}
    for metric in registry()["metrics"]:
        labels = {name.replace(".", "_") for name in metric["attributes"]}
        suffixes = _SAMPLES if metric["instrument"] == "histogram" else ("",)
        found |= {metric["prometheus"] + suffix: labels for suffix in suffixes}
    return found


def test_prometheus_understands_every_rule() -> None:
    run(PROMTOOL.fetch(), "check", "rules", RULES)


def test_prometheus_understands_what_a_rollout_asks(tmp_path: Path) -> None:
    asked = [{"record": f"asked:{at}", "expr": query} for at, query in enumerate(judgements())]
    path = tmp_path / "rules.yaml"
    path.write_text(json.dumps({"groups": [{"name": "asked", "rules": asked}]}), encoding="utf-8")
    run(PROMTOOL.fetch(), "check", "rules", path)


@pytest.mark.timeout(400)  # a minute of one processor, which may be shared
def test_alerts_say_what_is_wrong_with_known_numbers_and_nothing_about_sound_ones() -> None:
    run(PROMTOOL.fetch(), "test", "rules", Path(__file__).with_name("alerts.yaml"))


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert["alert"])
def test_an_alert_has_a_severity_a_summary_and_a_runbook_that_names_it(
    alert: dict[str, Any],
) -> None:
    assert alert["labels"]["severity"] in SEVERITIES
    assert alert["annotations"]["summary"]
    runbook = ROOT / alert["annotations"]["runbook_url"]
    assert f"`{alert['alert']}`" in runbook.read_text(encoding="utf-8")


def test_no_two_alerts_share_a_name() -> None:
    names = [alert["alert"] for alert in alerts()]
    assert len(set(names)) == len(names)


def test_whatever_is_asked_of_prometheus_is_a_signal_that_processes_send() -> None:
    labels = {label for shown in labels_by_metric().values() for label in shown}
    known = labels_by_metric().keys() | labels
    asked = {name for expression in expressions() for name in _NAME.findall(expression)}
    assert asked - known == set()


def test_a_series_is_chosen_by_labels_that_it_has() -> None:
    shown = labels_by_metric()
    wrong = {
        (match["metric"], label)
        for expression in expressions()
        for match in _SELECTION.finditer(expression)
        for label in _LABEL.findall(match["labels"])
        if label not in shown[match["metric"]] | _OF_SCRAPES
    }
    assert wrong == set()


def test_the_values_of_labels_are_those_that_processes_send() -> None:
    about = {name.replace(".", "_"): one for name, one in registry()["attributes"].items()}
    kinds = r"INTERNAL|UNAVAILABLE|DEADLINE"
    for label, value in re.findall(r'(rag\w+)=~?"([^"$]+)"', "\n".join(expressions())):
        for one in re.sub(kinds, "FAILED", value).split("|"):
            assert f"`{one}`" in about[label]["values"], (label, one)


def test_a_recorded_name_that_is_asked_for_is_recorded() -> None:
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    asked = {name for expression in expressions() for name in _RECORDED.findall(expression)}
    assert asked - recorded == set()


def test_panels_have_titles_of_their_own_and_lie_beside_each_other() -> None:
    placed = [panel["gridPos"] for panel in panels()]
    cells = [
        (place["x"] + x, place["y"] + y)
        for place in placed
        for x in range(place["w"])
        for y in range(place["h"])
    ]
    assert len(set(cells)) == len(cells)
    titles = [panel["title"] for panel in panels()]
    assert len(set(titles)) == len(titles)


@pytest.mark.parametrize("name", ["agent", "gateway"])
def test_a_collector_takes_the_configuration_that_is_shipped(name: str) -> None:
    config = COLLECTORS / f"{name}.yaml"
    environ = {"TRACES_ENDPOINT": "tempo:4317"}
    run(COLLECTOR.fetch(), "validate", f"--config={config}", environ=environ)


@pytest.mark.parametrize("name", ["agent", "gateway"])
def test_a_collector_limits_its_memory_before_anything_else(name: str) -> None:
    config = yaml.safe_load((COLLECTORS / f"{name}.yaml").read_text(encoding="utf-8"))
    for pipeline in config["service"]["pipelines"].values():
        assert pipeline["processors"][0] == "memory_limiter"
        assert pipeline["processors"][-1] == "batch"
