"""`make dev`: one round of the inner loop on a cluster: build, load, install or upgrade.

    python -m tools.inner_loop [--mode embedded|distributed] [--base …] [--namespace ragmesh]

It works on the cluster that kubectl works on, and changes nothing outside of its namespace. An
image is loaded into kind, k3d, minikube, or the cluster of `make cluster-up`; into others it has to
be pushed.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from ragmesh.chassis.settings.folders import cache_folder
from tools.generate_protos import ROOT, ToolError
from tools.image.builders import find_builder
from tools.image.building import Image, have_image
from tools.image.recipe import OFFICIAL_BASE, Recipe
from tools.programs.table import HELM

IDENTITY = "ragmesh-identity"
_SERVERS = ("kafka", "postgres", "redis", "s3", "weaviate")
_WAIT = "--timeout=300s"
_RAGMESH = Path(sys.executable).with_name("ragmesh")


@dataclass(frozen=True, slots=True)
class Round:
    """Where it is installed, and how."""

    namespace: str
    mode: str


def main() -> int:
    """Do one round; 1 when a step fails."""
    parser = argparse.ArgumentParser(prog="tools.inner_loop", description="One round on a cluster.")
    parser.add_argument("--mode", choices=("embedded", "distributed"), default="embedded")
    parser.add_argument("--namespace", default="ragmesh")
    parser.add_argument("--base", default=OFFICIAL_BASE, help="of the image; debian is made here")
    parser.add_argument("--builder", choices=("buildah", "docker"), default="buildah")
    asked = parser.parse_args()
    here = Round(asked.namespace, asked.mode)
    try:
        image = have_image(find_builder(asked.builder), Recipe(base=asked.base))
        _do(loading(_asked("kubectl", "config", "current-context"), image))
        _prepare(here)
        _do(installing(here, image, HELM.fetch()))
    except ToolError as error:
        print(f"dev: {error}", file=sys.stderr)
        return 1
    print(f"dev: {image.reference} runs; reach it with\n  {reaching(here)}")
    return 0


def loading(context: str, image: Image) -> list[str]:
    """The command that gives the image to the nodes of a cluster, told by its context."""
    kind, _, name = context.partition("-")
    archive = str(image.archive)
    if kind == "kind":
        return ["kind", "load", "image-archive", archive, "--name", name]
    if kind == "k3d":
        return ["k3d", "image", "import", archive, "--cluster", name]
    if context == "minikube":
        return ["minikube", "image", "load", archive]
    if context == "ragmesh":
        return [sys.executable, "-m", "tools.cluster", "load", archive]
    raise ToolError(
        f"the cluster {context} is none that images are loaded into: push {archive} to its "
        "registry, and install the chart with image.repository and image.tag"
    )


def installing(here: Round, image: Image, helm: Path) -> list[str]:
    """The command that installs the chart, or upgrades it to this image."""
    repository = image.reference.rpartition(":")[0]
    values = ROOT / "k8s" / "dev" / f"{here.mode}-values.yaml"
    return [
        *(str(helm), "upgrade", "--install", "ragmesh", str(ROOT / "charts" / "ragmesh")),
        *("--namespace", here.namespace, "--values", str(values)),
        *("--set", f"image.repository={repository},image.tag={image.tag}"),
        *("--wait", "--timeout=10m"),
    ]


def reaching(here: Round) -> str:
    """The command that brings the doors to this machine."""
    return f"kubectl port-forward -n {here.namespace} service/ragmesh 8080 50051"


def _prepare(here: Round) -> None:
    """Have the namespace, the keys, and the servers that the mode needs."""
    inside = ("--namespace", here.namespace)
    if not _holds("kubectl", "get", "namespace", here.namespace):
        _do(["kubectl", "create", "namespace", here.namespace])
    if not _holds("kubectl", "get", "secret", IDENTITY, *inside):
        with TemporaryDirectory(dir=_private()) as folder:
            made = Path(folder) / "keys"
            _do([str(_RAGMESH), "keys", "create", "--offline", "--services", "--into", str(made)])
            source = f"--from-file={made}"
            _do(["kubectl", "create", "secret", "generic", IDENTITY, source, *inside])
    if here.mode == "distributed":
        _do(["kubectl", "apply", "--kustomize", str(ROOT / "k8s" / "dev"), *inside])
        for server in _SERVERS:
            _do(["kubectl", "rollout", "status", f"statefulset/{server}", *inside, _WAIT])


def _private() -> Path:
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _holds(*command: str) -> bool:
    return _run(command, quiet=True).returncode == 0


def _asked(*command: str) -> str:
    done = _run(command, quiet=True)
    if done.returncode != 0:
        raise ToolError(f"{command[0]} says: {done.stderr.strip()}")
    return done.stdout.strip()


def _do(command: Sequence[str]) -> None:
    if _run(command).returncode != 0:
        raise ToolError(f"{Path(command[0]).name} {command[1]} failed: its message is above")


def _run(command: Sequence[str], *, quiet: bool = False) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, check=False, text=True, cwd=ROOT, capture_output=quiet)
    except FileNotFoundError as error:
        raise ToolError(f"{command[0]} is not installed") from error


if __name__ == "__main__":
    sys.exit(main())
