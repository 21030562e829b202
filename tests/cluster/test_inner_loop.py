"""`make dev`, on the cluster of `make cluster-up`."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.cluster.releases import Namespace
from tools.cluster.kubectl import Kubectl
from tools.generate_protos import ROOT

pytestmark = [pytest.mark.cluster, pytest.mark.soak, pytest.mark.timeout(400)]


def test_two_rounds_of_the_inner_loop_run_what_is_here_and_keep_the_keys(
    ours: Kubectl, image: str, namespace: Namespace
) -> None:
    def round_and_key() -> str:
        command = ("tools.inner_loop", "--base=debian", f"--namespace={namespace.name}")
        done = subprocess.run(
            (sys.executable, "-m", *command),
            cwd=ROOT,
            env={**os.environ, "KUBECONFIG": str(ours.kubeconfig)},
            capture_output=True,
            text=True,
            timeout=180,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"{image} runs" in done.stdout
        secret = ours.read("secret", "ragmesh-identity", "-n", namespace.name)
        key: str = secret["data"]["admin.key"]
        return key

    assert round_and_key() == round_and_key()
    (pod,) = namespace.pods("embedded")
    assert [one["image"] for one in pod["spec"]["containers"]] == [image]
