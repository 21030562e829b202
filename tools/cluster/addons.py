"""What a fresh cluster has: names, metrics, volumes, Argo Rollouts, and Prometheus beside it."""

from __future__ import annotations

from typing import Any

import yaml

from tools.cluster.archives import image_of
from tools.cluster.kubectl import Kubectl
from tools.cluster.layout import Layout
from tools.programs import table as programs
from tools.programs.fetching import GoProgram

IMAGES: tuple[GoProgram, ...] = (
    programs.PAUSE,
    programs.COREDNS,
    programs.METRICS_SERVER,
    programs.ARGO_ROLLOUTS,
)
"""Programs that run in pods."""
_ARGO = "argo-rollouts"
_VOLUMES = 12


def install(layout: Layout, kubectl: Kubectl) -> None:
    """Have them all; return when they serve."""
    kubectl.apply(layout.template("storage.yaml"))
    kubectl.apply(_volumes(layout))
    kubectl.apply(layout.template("coredns.yaml"))
    _install_rollouts(kubectl)
    kubectl.apply(layout.template("prometheus.yaml"))
    # An API that nobody answers for makes every deletion of a namespace wait: it comes last.
    kubectl.apply(layout.template("metrics-server.yaml"))
    for namespace, deployment in (
        ("kube-system", "coredns"),
        (_ARGO, _ARGO),
        ("kube-system", "metrics-server"),
    ):
        place = f"--namespace={namespace}"
        kubectl.wait(f"deployment/{deployment}", place, "--for=condition=Available")
    kubectl.wait("apiservice/v1beta1.metrics.k8s.io", "--for=condition=Available")


def _volumes(layout: Layout) -> str:
    names = [f"volume-{number}" for number in range(_VOLUMES)]
    for name in names:
        place = layout.volumes / name
        place.mkdir(parents=True)
        place.chmod(0o777)  # pods run as whom they like
    return "---\n".join(layout.template("volume.yaml", name=name) for name in names)


def _install_rollouts(kubectl: Kubectl) -> None:
    kubectl.run("create", "namespace", _ARGO)
    module = programs.ARGO_ROLLOUTS.module_folder("github.com/argoproj/argo-rollouts")
    text = (module / "manifests" / "install.yaml").read_text(encoding="utf-8")
    objects = [_offline(one) for one in yaml.safe_load_all(text) if one is not None]
    # A definition comes before what uses it, in the order of the file.
    kubectl.apply(yaml.safe_dump_all(objects), f"--namespace={_ARGO}")


def _offline(told: dict[str, Any]) -> dict[str, Any]:
    """The same, of the image that was imported."""
    if told["kind"] == "Deployment":
        container = told["spec"]["template"]["spec"]["containers"][0]
        container["image"] = image_of(programs.ARGO_ROLLOUTS.name)
        container["imagePullPolicy"] = "Never"
        container["args"] = ["--leader-elect=false", "--rollout-resync=30"]
    return told
