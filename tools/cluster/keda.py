"""KEDA in a cluster that runs: its operator and its adapter of metrics, as its makers deploy them.

Only `make soak-cluster` needs it, and it takes long to compile: it is not part of every cluster.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tools.cluster.archives import image_of, write_archive
from tools.cluster.kubectl import Kubectl
from tools.cluster.layout import Layout
from tools.cluster.node import import_image
from tools.generate_protos import ToolError
from tools.processes import await_condition
from tools.programs import table as programs
from tools.programs.fetching import GoProgram

NAMESPACE = "keda"
_API = "v1beta1.external.metrics.k8s.io"
_MODULE = "github.com/kedacore/keda/v2"
_RIGHTS = (
    "general/namespace.yaml",
    "service_account/service_account.yaml",
    "rbac/role.yaml",
    "rbac/role_binding.yaml",
    "metrics-server/role.yaml",
    "metrics-server/role_binding.yaml",
    "manager/service.yaml",
    "metrics-server/service.yaml",
)
_SECONDS = 120


def install(layout: Layout) -> None:
    """Have it serve, whether it was there before or not."""
    kubectl = Kubectl(layout.kubeconfig)
    _import_images(layout)
    config = programs.KEDA_OPERATOR.module_folder(_MODULE) / "config"
    kubectl.apply(_joined(sorted((config / "crd" / "bases").glob("*.yaml"))))
    kubectl.apply(_joined([config / name for name in _RIGHTS]))
    _deploy(kubectl, config / "manager" / "manager.yaml", programs.KEDA_OPERATOR)
    # What the operator makes for both is mounted by the adapter when it starts, or much later.
    if not await_condition(lambda: _has_certificates(kubectl), _SECONDS):
        raise ToolError("KEDA's operator makes no certificates")
    _deploy(kubectl, config / "metrics-server" / "deployment.yaml", programs.KEDA_ADAPTER)
    # An API that nobody answers for makes every deletion of a namespace wait: it comes last.
    kubectl.apply((config / "metrics-server" / "api_service.yaml").read_text(encoding="utf-8"))
    kubectl.wait(f"apiservice/{_API}", "--for=condition=Available")


def offline(told: dict[str, Any], program: GoProgram) -> dict[str, Any]:
    """A Deployment of its makers, of the image that was imported, and without their webhooks."""
    container = told["spec"]["template"]["spec"]["containers"][0]
    container["image"] = image_of(program.name)
    container["imagePullPolicy"] = "Never"
    container["command"] = [f"/{program.name}"]
    container["resources"]["requests"]["cpu"] = "20m"  # of a node with two cores
    container["readinessProbe"] |= {"initialDelaySeconds": 2, "periodSeconds": 2}
    if program == programs.KEDA_OPERATOR:
        container["args"].append("--enable-webhook-patching=false")
    return told


def _import_images(layout: Layout) -> None:
    for program in (programs.KEDA_OPERATOR, programs.KEDA_ADAPTER):
        archive = layout.folder / "images" / f"{program.name}.tar"
        write_archive(archive, program.fetch())
        import_image(layout, archive)
        archive.unlink()


def _deploy(kubectl: Kubectl, manifest: Path, program: GoProgram) -> None:
    for told in _objects(manifest):
        kubectl.apply(yaml.safe_dump(offline(told, program)))
        deployment = f"deployment/{told['metadata']['name']}"
        kubectl.wait(deployment, f"--namespace={NAMESPACE}", "--for=condition=Available")


def _has_certificates(kubectl: Kubectl) -> bool:
    words = ("secret", "kedaorg-certs", f"--namespace={NAMESPACE}", "--ignore-not-found")
    told = kubectl.run("get", *words, "--output=jsonpath={.data.tls\\.crt}")
    return bool(told)


def _joined(manifests: list[Path]) -> str:
    return yaml.safe_dump_all([told for path in manifests for told in _objects(path)])


def _objects(manifest: Path) -> Iterator[dict[str, Any]]:
    text = manifest.read_text(encoding="utf-8")
    yield from (told for told in yaml.safe_load_all(text) if told is not None)
