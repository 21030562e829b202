"""Parsers lock themselves up in a pod that Pod Security `restricted` lets in."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from tests.cluster.releases import Namespace
from tests.cluster.suites import FOLDER, LIBRARIES, pack_suite
from tools.programs.table import KUBECTL

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

POD = "parsers"
SUITE = ("test_sealed_process.py", "test_sealed_reading.py", "test_hostile_files.py")
SUITE_SECONDS = 400
MANIFEST = """\
apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec:
  enableServiceLinks: false
  automountServiceAccountToken: false
  terminationGracePeriodSeconds: 1
  securityContext:
    runAsNonRoot: true
    runAsUser: 10001
    fsGroup: 10001
    seccompProfile: {{type: RuntimeDefault}}
  containers:
    - name: {name}
      image: {image}
      imagePullPolicy: IfNotPresent
      command: [sleep, "3600"]
      resources: {{requests: {{cpu: 10m, memory: 64Mi}}, limits: {{memory: 2Gi}}}}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: {{drop: [ALL]}}
      volumeMounts: [{{name: scratch, mountPath: /tmp}}]
  volumes: [{{name: scratch, emptyDir: {{}}}}]
"""


@pytest.fixture
def pod(namespace: Namespace, image: str) -> Namespace:
    """A namespace with a pod that runs the image and nothing in it."""
    manifest = MANIFEST.format(name=POD, image=image)
    namespace.kubectl.apply(manifest, "-n", namespace.name)
    namespace.kubectl.run(
        *("wait", f"pod/{POD}", "-n", namespace.name, "--for=condition=Ready", "--timeout=60s"),
    )
    return namespace


# SEC-2, SEC-6
def test_the_suite_of_the_parsers_walls_passes_in_a_restricted_pod(pod: Namespace) -> None:
    _exec(pod, ("mkdir", FOLDER))
    _exec(pod, ("tar", "-xzf", "-", "-C", FOLDER), told=pack_suite())
    tests = [f"{FOLDER}/tests/integration/indexing/parser/{name}" for name in SUITE]

    said = _exec(
        pod,
        ("env", f"PYTHONPATH={LIBRARIES}", "python", "-m", "pytest", "-q", "--rootdir", FOLDER,
         "-p", "no:cacheprovider", *tests),
        seconds=SUITE_SECONDS,
    )  # fmt: skip

    assert " passed" in said


# SEC-2
def test_a_mesh_in_a_restricted_pod_says_that_every_wall_stands(pod: Namespace) -> None:
    said = _exec(pod, ("env", "RAGMESH_DATA_DIR=/tmp/data", "ragmesh", "doctor"), may_fail=True)

    (line,) = (line for line in said.splitlines() if "parsers:" in line)
    assert line.startswith("ok ")
    assert "sealed: as the user of the mesh" in line
    assert all(wall in line for wall in ("landlock", "seccomp", "no-new-privileges"))


def _exec(
    pod: Namespace,
    command: tuple[str, ...],
    *,
    told: bytes = b"",
    seconds: float = 90,
    may_fail: bool = False,
) -> str:
    """Run a command in the pod; what it prints."""
    words = [str(KUBECTL.fetch()), f"--kubeconfig={pod.kubectl.kubeconfig}", "exec", "-i", POD]
    begun = time.monotonic()
    done = subprocess.run(
        [*words, "-n", pod.name, "--", *command], input=told, capture_output=True, timeout=seconds
    )
    print(f"{command[0]} took {time.monotonic() - begun:.0f} s", file=sys.stderr)
    assert may_fail or done.returncode == 0, (done.stdout + done.stderr).decode()[-4000:]
    return done.stdout.decode()
