"""`make cluster-up | cluster-status | cluster-down`: a Kubernetes of one node, on this machine.

    python -m tools.cluster [--folder FOLDER] [--keda] up|status|down|load ARCHIVE|run COMMAND…

One process keeps all daemons: they are its children and never outlive it. What else a cluster
changes on the machine is found again by its name, so that `down` takes it away in any case.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from pathlib import Path

from tools.cluster import keda
from tools.cluster.kubectl import Kubectl, KubectlError
from tools.cluster.layout import ADDRESS, DEFAULT_FOLDER, UP_VARIABLE, Layout
from tools.cluster.machine import sweep
from tools.cluster.node import import_image, running_cluster
from tools.generate_protos import ROOT, ToolError
from tools.keeping import hold, keeper_of
from tools.processes import await_condition
from tools.programs.fetching import link_go_programs
from tools.programs.table import GROUPS

UP_SECONDS = 300.0
DOWN_SECONDS = 90.0
_BUSY = "a cluster runs on this machine already"
_NONE = "none runs on this machine; `make cluster-up` starts one"


def main() -> int:
    """Do as asked; 1 when the cluster is not as it should be then."""
    parser = argparse.ArgumentParser(prog="tools.cluster", description=__doc__)
    parser.add_argument("action", choices=("up", "status", "down", "load", "run", "keep"))
    parser.add_argument("--folder", type=Path, default=DEFAULT_FOLDER, help="of all it writes")
    parser.add_argument("--keda", action="store_true", help="have KEDA in it, too: up and run")
    parser.add_argument("words", nargs=argparse.REMAINDER, help="an archive to load, or a command")
    asked = parser.parse_args()
    layout = Layout(asked.folder.absolute())
    layout.folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        if asked.action == "load":
            return load(layout, [Path(word) for word in asked.words])
        if asked.action == "run":
            return run(layout, asked.words, with_keda=asked.keda)
        if asked.action == "up":
            return up(layout, with_keda=asked.keda)
        return {"status": status, "down": down, "keep": keep}[asked.action](layout)
    except (ToolError, KubectlError, subprocess.TimeoutExpired) as error:
        print(f"cluster: {error}", file=sys.stderr)
        return 1


def up(layout: Layout, *, with_keda: bool = False) -> int:
    """Start a cluster that goes on when this command has ended."""
    _fetch(with_keda)
    if keeper_of(_lock(layout)) is None:
        _launch(layout)
    if with_keda:
        keda.install(layout)
    return status(layout)


def keep(layout: Layout) -> int:
    """Start a cluster, and take it away when told to."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with hold(_lock(layout), _BUSY), running_cluster(layout):
        _serves(layout).touch()
        while True:
            signal.pause()


def status(layout: Layout) -> int:
    """Say which daemons and which pods are up."""
    if keeper_of(_lock(layout)) is None or not _serves(layout).exists():
        print(f"cluster: {_NONE}")
        return 1
    kubectl = Kubectl(layout.kubeconfig)
    print(kubectl.run("get", "nodes", "--output=wide"), end="")
    print(kubectl.run("get", "pods", "--all-namespaces"), end="")
    print(f"export KUBECONFIG={layout.kubeconfig}")
    return 0


def down(layout: Layout) -> int:
    """Take the cluster away, with all that is in it."""
    keeper = keeper_of(_lock(layout))
    if keeper is not None:
        os.kill(keeper, signal.SIGTERM)
        if not await_condition(lambda: keeper_of(_lock(layout)) is None, DOWN_SECONDS):
            raise ToolError(f"process {keeper} does not end")
    sweep(layout)  # of a keeper that was killed
    print("cluster: nothing of it is left")
    return 0


def load(layout: Layout, archives: list[Path]) -> int:
    """Have images on the node, as `make image` has made them."""
    if keeper_of(_lock(layout)) is None:
        raise ToolError(_NONE)
    for archive in archives:
        import_image(layout, archive)
    return 0


def run(layout: Layout, words: list[str], *, with_keda: bool = False) -> int:
    """Run a command on a cluster: that of KUBECONFIG, else the one that runs, else one for it."""
    kubeconfig = str(layout.kubeconfig)
    if os.environ.get("KUBECONFIG", kubeconfig) != kubeconfig:
        return subprocess.run(words, check=False).returncode
    told = {"KUBECONFIG": kubeconfig, "CLUSTER_HOST": ADDRESS, "CLUSTER_FOLDER": str(layout.folder)}
    ours = {**os.environ, **told}
    _fetch(with_keda)

    def done(up_seconds: str) -> int:
        if with_keda:
            keda.install(layout)
        return subprocess.run(words, env={**ours, UP_VARIABLE: up_seconds}, check=False).returncode

    if keeper_of(_lock(layout)) is not None:
        return done("")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with hold(_lock(layout), _BUSY), running_cluster(layout) as cluster:
        _serves(layout).touch()
        return done(f"{cluster.up_seconds:.1f}")


def _fetch(with_keda: bool) -> None:
    """Have all programs: the first time this takes longer than a start may."""
    needed = [*GROUPS["cluster"], *(GROUPS["soak"] if with_keda else ())]
    for program in needed:
        program.fetch()
    link_go_programs(needed)


def _launch(layout: Layout) -> None:
    log = layout.folder.with_suffix(".log")
    with log.open("w") as said:
        keeper = subprocess.Popen(
            [sys.executable, "-m", "tools.cluster", "--folder", layout.folder, "keep"],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
    await_condition(lambda: _serves(layout).exists() or keeper.poll() is not None, UP_SECONDS)
    print(log.read_text(), end="")
    if not _serves(layout).exists():
        keeper.terminate()
        raise ToolError("it did not start: what was said is above")


def _lock(layout: Layout) -> Path:
    return layout.folder.with_suffix(".lock")


def _serves(layout: Layout) -> Path:
    """There from when a cluster serves until it is taken away."""
    return layout.folder / "serves"


if __name__ == "__main__":
    sys.exit(main())
