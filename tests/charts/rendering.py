"""Charts as Helm renders them, without a cluster, and what stands in the manifests."""

from __future__ import annotations

import functools
import json
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tools.generate_reference import ROOT
from tools.programs.table import HELM

CHART = ROOT / "charts" / "ragmesh"
OPERATOR_CHART = ROOT / "charts" / "ragmesh-operator"
Manifest = dict[str, Any]
PODS = frozenset({"DaemonSet", "Deployment", "Job", "Pod", "Rollout", "StatefulSet", "CronJob"})
WORKLOADS = frozenset({"DaemonSet", "Deployment", "Rollout", "StatefulSet"})


@dataclass(frozen=True, slots=True)
class Refused(Exception):  # noqa: N818 - told as what happened, not as a defect
    """Helm refused the values, and why."""

    why: str


@dataclass(frozen=True, slots=True)
class Example:
    """Values that are kept beside a chart."""

    name: str
    chart: Path

    @property
    def path(self) -> Path:
        """Where they are."""
        return self.chart / "ci" / f"{self.name}-values.yaml"

    @property
    def values(self) -> dict[str, Any]:
        """What they say."""
        found: dict[str, Any] = yaml.safe_load(self.path.read_text(encoding="utf-8"))
        return found

    def __str__(self) -> str:
        return self.name


def examples(chart: Path) -> tuple[Example, ...]:
    """All of a chart."""
    names = (path.name.removesuffix("-values.yaml") for path in sorted((chart / "ci").iterdir()))
    return tuple(Example(name, chart) for name in names)


def example(name: str) -> dict[str, Any]:
    """Values that are kept beside the chart of the mesh."""
    return Example(name, CHART).values


def laid_over(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Values as Helm joins two files of them."""
    joined = dict(base)
    for key, value in over.items():
        there = joined.get(key)
        if isinstance(there, Mapping) and isinstance(value, Mapping):
            joined[key] = laid_over(there, value)
        else:
            joined[key] = value
    return joined


def rendered_text(values: Mapping[str, Any], *options: str, chart: Path = CHART) -> str:
    """What `helm template` prints; Refused with its sentence when it does not."""
    return _rendered(json.dumps(values, sort_keys=True), options, chart)


@functools.lru_cache(maxsize=64)
def _rendered(values: str, options: tuple[str, ...], chart: Path) -> str:
    command = (str(HELM.fetch()), "template", "ragmesh", str(chart), "--namespace", "rag")
    ran = subprocess.run(
        (*command, "--values", "-", *options),
        input=values,
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode != 0:
        raise Refused(ran.stderr)
    return ran.stdout


def rendered(values: Mapping[str, Any], *options: str, chart: Path = CHART) -> list[Manifest]:
    """The manifests, hooks and tests among them."""
    found = yaml.load_all(rendered_text(values, *options, chart=chart), Loader=yaml.CSafeLoader)
    return [manifest for manifest in found if manifest]


def of_kind(manifests: Iterable[Manifest], *kinds: str) -> list[Manifest]:
    """Those of some kinds."""
    return [one for one in manifests if one["kind"] in kinds]


def component(manifest: Manifest) -> str:
    """The part of the mesh that it belongs to."""
    found: str = manifest["metadata"]["labels"]["app.kubernetes.io/component"]
    return found


def pod_of(manifest: Manifest) -> Manifest:
    """The pod, or the template of pods, of a manifest that has one."""
    if manifest["kind"] == "Pod":
        return manifest
    spec = manifest["spec"]
    if manifest["kind"] == "CronJob":
        spec = spec["jobTemplate"]["spec"]
    template: Manifest = spec["template"]
    return template


def pods(manifests: Iterable[Manifest]) -> Iterator[Manifest]:
    """Every pod or template of pods."""
    for manifest in manifests:
        if manifest["kind"] in PODS:
            yield pod_of(manifest)


def workloads(manifests: Iterable[Manifest]) -> dict[str, Manifest]:
    """What runs all the time, by component."""
    return {component(one): one for one in of_kind(manifests, *WORKLOADS)}


def main_container(pod: Manifest) -> dict[str, Any]:
    """The container of ragmesh in a pod."""
    found: dict[str, Any] = pod["spec"]["containers"][0]
    return found


def write_manifests(manifests: Iterable[Manifest], path: Path) -> Path:
    """Put manifests into a file for a program."""
    path.write_text(yaml.safe_dump_all(manifests), encoding="utf-8")
    return path
