"""What README says of Kubernetes, word for word."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.cluster.releases import Namespace
from tools.cluster.kubectl import Kubectl
from tools.generate_protos import ROOT

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

SECTION = re.compile(
    r"^## On Kubernetes$.*?^```text$(?P<commands>.*?)^```$"
    r".*?The last command says `(?P<said>[^`]+)`",
    re.MULTILINE | re.DOTALL,
)
IMAGE = "localhost/ragmesh"
"""As README calls it, with TAG for what `make image` prints."""


def test_the_commands_in_readme_install_a_mesh_that_passes_its_test(
    kubectl: Kubectl, image: str, tmp_path: Path
) -> None:
    told = SECTION.search((ROOT / "README.md").read_text(encoding="utf-8"))
    assert told is not None
    repository, _, tag = image.rpartition(":")
    commands = told["commands"].replace(IMAGE, repository).replace("TAG", tag)
    for name in ("charts", "k8s", ".venv"):  # a clone that nobody has written to
        (tmp_path / name).symlink_to(ROOT / name)
    namespace = Namespace(kubectl, "ragmesh")
    assert not kubectl.holds("get", "namespace", namespace.name), "it is somebody's: it would go"
    try:
        done = subprocess.run(
            ("bash", "-euc", commands),
            cwd=tmp_path,
            env={**os.environ, "KUBECONFIG": str(kubectl.kubeconfig)},
            capture_output=True,
            text=True,
            timeout=240,
        )
        printed = done.stdout + done.stderr  # where Helm tells what its hooks print
        assert done.returncode == 0, printed
        assert told["said"] in printed, printed
    finally:
        namespace.begin_deletion()
