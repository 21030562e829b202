"""Who may reach whom, computed from the policies by cyclonus, is what the mesh is made of."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from ragmesh.app.modules import MODULES, TARGETS
from ragmesh.app.modules.internal import STORES
from ragmesh.app.settings import INTERNAL_HTTP_PORT, INTERNAL_PORTS
from tests.charts.rendering import (
    OPERATOR_CHART,
    Example,
    Manifest,
    example,
    laid_over,
    of_kind,
    pod_of,
    pods,
    rendered,
    workloads,
    write_manifests,
)
from tools.programs.table import CYCLONUS

pytestmark = pytest.mark.charts

OPERATOR = Example("operator", OPERATOR_CHART)
DOORS = (8080, 50051)
INDEXING = INTERNAL_PORTS["indexing"]
STORE_PORTS: Mapping[str, tuple[int, ...]] = {
    "catalog": (5432,),
    "events": (9093,),
    "index": (8080, 50051),
    "cache": (6379,),
}
"""Of those servers of the hardened mesh that are pods; files and their copies lie outside."""
SERVER = "backing/server"
PORTS = tuple(
    dict.fromkeys(
        (*DOORS, INTERNAL_HTTP_PORT, *INTERNAL_PORTS.values(), *sum(STORE_PORTS.values(), ()))
    )
)
STRANGERS = ("ingress/controller", "monitoring/prometheus", "other/somebody", "rag/somebody")
OPERATORS = ("rag/operator", "other/operator")
OUTSIDE = (*STRANGERS, *OPERATORS, SERVER)
Edge = tuple[str, str, int]


def calls_of(target: str) -> set[str]:
    """Whom processes of a target dial: what its modules need and it does not run."""
    running = TARGETS[target]
    needs = {need for name in running for need in MODULES[name].needs}
    return {need for need in needs if need not in running and need in INTERNAL_PORTS}


def mesh_edges() -> set[Edge]:
    """Every edge between services, out of the table of the program itself."""
    return {
        (f"rag/{target}", f"rag/{called}", INTERNAL_PORTS[called])
        for target in TARGETS
        if target != "all"
        for called in calls_of(target)
    }


def model(manifests: list[Manifest]) -> Mapping[str, object]:
    """Every pod of a release, operators, strangers and servers, for cyclonus."""
    found = [pod["metadata"]["labels"] for pod in (*pods(manifests), *asking(manifests))]
    labels = {f"rag/{own['app.kubernetes.io/component']}": own for own in found}
    labels[SERVER] = {"server": "any"}
    labels |= {name: {"stranger": name.replace("/", "-")} for name in STRANGERS}
    operator = workloads(rendered(OPERATOR.values, chart=OPERATOR.chart))["operator"]
    labels |= {name: pod_of(operator)["metadata"]["labels"] for name in OPERATORS}
    given = [
        {
            "Namespace": name.partition("/")[0],
            "Name": name.partition("/")[2],
            "Labels": own,
            "IP": f"10.0.0.{number}",
            "Containers": [
                {"Name": f"at-{port}", "Port": port, "PortName": f"at-{port}", "Protocol": "TCP"}
                for port in PORTS
            ],
        }
        for number, (name, own) in enumerate(sorted(labels.items()), start=1)
    ]
    namespaces = {str(pod["Namespace"]) for pod in given}
    return {
        "Resources": {
            "Namespaces": {name: {"kubernetes.io/metadata.name": name} for name in namespaces},
            "Pods": given,
        },
        "Probes": [{"Protocol": "TCP", "Port": port} for port in PORTS],
    }


def asking(manifests: list[Manifest]) -> Iterator[Manifest]:
    """Pods that a rollout makes, to ask golden questions."""
    for template in of_kind(manifests, "AnalysisTemplate"):
        for metric in template["spec"]["metrics"]:
            if "job" in metric["provider"]:
                yield metric["provider"]["job"]["spec"]["template"]


def allowed(manifests: list[Manifest], folder: Path) -> set[Edge]:
    """Every pair and port that the policies let pass."""
    policies = folder / "policies"
    shutil.rmtree(policies, ignore_errors=True)
    policies.mkdir()
    # Of a file with several it reads the first.
    for number, policy in enumerate(of_kind(manifests, "NetworkPolicy")):
        write_manifests([policy], policies / f"{number}.yaml")
    probes = folder / "probes.json"
    probes.write_text(json.dumps(model(manifests)), encoding="utf-8")
    command = [str(CYCLONUS.fetch()), "analyze", "--mode", "probe", "--policy-path", str(policies)]
    ran = subprocess.run(
        [*command, "--probe-path", probes], capture_output=True, text=True, check=True
    )
    tables = re.findall(r"Combined:\n(.*?)\n\n", ran.stdout, re.DOTALL)
    assert len(tables) >= len(PORTS), ran.stderr
    return {edge for table, port in zip(tables, PORTS, strict=False) for edge in _read(table, port)}


def _read(table: str, port: int) -> Iterator[Edge]:
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    # Lines between rows hold no cells; what follows the names is a mark for each pod.
    rows = [row for row in rows if "/" in row[0]]
    names = [row[0] for row in rows]
    for row in rows:
        for called, mark in zip(names, row[1:], strict=True):
            if mark == "." and called != row[0]:
                yield row[0], called, port


def test_pods_reach_whom_the_mesh_says_and_nobody_else(folder: Path) -> None:
    found = allowed(rendered(example("hardened")), folder)
    within = {edge for edge in found if edge[1] not in OUTSIDE}
    parts = {f"rag/{target}" for target in TARGETS if target != "all"}
    assert within == (
        mesh_edges()
        | {("ingress/controller", "rag/gateway", port) for port in DOORS}
        | {("rag/test", "rag/gateway", 50051)}
        | {("monitoring/prometheus", part, INTERNAL_HTTP_PORT) for part in parts}
    )
    # Nobody of the mesh calls a stranger.
    assert {edge[0] for edge in found if edge[1] in OUTSIDE and edge[1] != SERVER} <= set(OUTSIDE)


def test_servers_are_reached_by_those_who_keep_things_in_them_and_by_commands_about_them(
    folder: Path,
) -> None:
    kept = {target: set(stores) for target, stores in STORES.items() if target != "all"}
    kept |= {"migrate": {"catalog"}, "topics": {"events"}, "backup": {"catalog"}}
    found = allowed(rendered(example("hardened")), folder)
    assert {edge for edge in found if edge[1] == SERVER and edge[0] not in OUTSIDE} == {
        (f"rag/{name}", SERVER, port)
        for name, stores in kept.items()
        for store in stores
        for port in STORE_PORTS.get(store, ())
    }


def test_golden_questions_reach_the_doors_and_nobody_comes_to_who_asks_them(folder: Path) -> None:
    found = allowed(rendered(example("argo")), folder)
    within = {edge for edge in found if edge[1] not in OUTSIDE}
    asking = "rag/golden-questions"
    assert {edge for edge in within if asking in edge[:2]} == {(asking, "rag/gateway", 50051)}


@pytest.mark.parametrize("name", ["distributed", "argo"])
def test_internal_ports_are_for_the_mesh_whatever_else_is_open(name: str, folder: Path) -> None:
    found = allowed(rendered(example(name)), folder)
    assert internal(found) == mesh_edges()


def internal(found: set[Edge]) -> set[Edge]:
    """Edges to ports that are nobody's from outside."""
    return {edge for edge in found if edge[2] not in DOORS and edge[1] not in OUTSIDE}


@pytest.mark.parametrize(
    ("name", "edges"),
    [
        ("embedded", {("rag/operator", "rag/embedded", INDEXING)}),
        (
            "distributed",
            {("rag/operator", "rag/indexing", port) for port in (INDEXING, INTERNAL_HTTP_PORT)},
        ),
    ],
)
def test_an_operator_beside_the_mesh_calls_its_catalog_once_it_is_let_in(
    name: str, edges: set[Edge], folder: Path
) -> None:
    values = laid_over(example(name), {"operator": {"enabled": True}})
    services = mesh_edges() if name == "distributed" else set()
    assert internal(allowed(rendered(values), folder)) - services == edges


def test_an_operator_elsewhere_is_let_in_by_its_namespace_and_no_other(folder: Path) -> None:
    there = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "other"}},
        "podSelector": {"matchLabels": {"app.kubernetes.io/name": "ragmesh-operator"}},
    }
    values = laid_over(example("embedded"), {"operator": {"enabled": True, "from": [there]}})
    found = internal(allowed(rendered(values), folder))
    assert found == {("other/operator", "rag/embedded", INDEXING)}


def test_doors_are_open_to_everybody_unless_somebody_is_named(folder: Path) -> None:
    found = allowed(rendered(example("distributed")), folder)
    callers = {edge[0] for edge in found if edge[1] == "rag/gateway" and edge[2] == 8080}
    assert set(STRANGERS) <= callers
