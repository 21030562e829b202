"""A cluster of one node: its daemons, started in order, and all of it taken away again."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tools.cluster import addons
from tools.cluster.archives import write_archive
from tools.cluster.daemons import FOUNDATION, REST, Daemon
from tools.cluster.keys import make_keys
from tools.cluster.kubectl import Kubectl
from tools.cluster.layout import NODE, Layout
from tools.cluster.machine import prepare, sweep
from tools.generate_protos import ToolError
from tools.processes import Command, Process, await_condition
from tools.programs import table as programs

_START_SECONDS = 120.0
_TOLD_LINES = 15
_FOLDERS = ("conf", "logs", "cni", "containerd", "kubelet", "plugins", "pods", "images")

Say = Callable[[str], None]


@dataclass(slots=True)
class Cluster:
    """One that runs, or is about to."""

    layout: Layout
    say: Say
    processes: dict[str, Process] = field(default_factory=dict)
    up_seconds: float = 0.0
    """How long the machine took for it, once it serves."""

    @property
    def kubectl(self) -> Kubectl:
        """Who may do everything."""
        return Kubectl(self.layout.kubeconfig)

    def start(self) -> None:
        """Start it on a machine without one; return when it serves."""
        self.layout.folder.mkdir(parents=True)
        for name in _FOLDERS:
            (self.layout.folder / name).mkdir()
        prepare(self.layout)
        make_keys(self.layout)
        for daemon in FOUNDATION:
            self._start(daemon)
        with ThreadPoolExecutor() as pool:
            images = pool.submit(self._import_images)
            self._await("the API", lambda: self.kubectl.holds("get", "--raw", "/readyz"))
            for daemon in REST:
                self._start(daemon)
            images.result()
        self._await("the node", self._node_is_there)
        self.kubectl.run("wait", f"node/{NODE}", "--for=condition=Ready", "--timeout=110s")
        self.say("the node is ready")
        addons.install(self.layout, self.kubectl)
        self.say("addons serve")

    def stop(self) -> None:
        """End what runs, daemons last first."""
        for daemon in (*reversed(REST), *reversed(FOUNDATION)):
            if daemon.name == "containerd":
                self._end_containers()
            process = self.processes.pop(daemon.name, None)
            if process is not None and process.runs:
                _end(process, daemon.stop_seconds)

    def import_image(self, archive: Path) -> None:
        """Have the images of an archive on the node."""
        import_image(self.layout, archive)

    def _start(self, daemon: Daemon) -> None:
        for place, template in daemon.files.items():
            (self.layout.folder / place).write_text(self.layout.template(template))
        with (self.layout.logs / f"{daemon.name}.log").open("w") as log:
            self.processes[daemon.name] = Process.start(
                Command(
                    words=[
                        str(daemon.program.fetch()),
                        *(self.layout.filled(word) for word in daemon.words),
                    ],
                    environ=_environ(),
                    stdout=log,
                    stderr=log,
                )
            )
        self.say(f"started {daemon.name}")

    def _import_images(self) -> None:
        ready = (*_ctr(self.layout), "version")
        self._await(
            "containerd", lambda: subprocess.run(ready, capture_output=True).returncode == 0
        )
        for program in addons.IMAGES:
            archive = self.layout.folder / "images" / f"{program.name}.tar"
            write_archive(archive, program.fetch())
            import_image(self.layout, archive)
            archive.unlink()
        self.say("imported images")

    def _node_is_there(self) -> bool:
        return self.kubectl.holds("get", "node", NODE)

    def _await(self, what: str, holds: Callable[[], bool]) -> None:
        def over() -> bool:
            return self._dead() is not None or holds()

        served = await_condition(over, _START_SECONDS)
        if (dead := self._dead()) is not None:
            raise ToolError(f"{dead} ended: {self._last_words(dead)}")
        if not served:
            raise ToolError(f"{what} does not serve; logs are in {self.layout.logs}")
        self.say(f"{what} serves")

    def _dead(self) -> str | None:
        return next((name for name, one in self.processes.items() if not one.runs), None)

    def _last_words(self, name: str) -> str:
        log = self.layout.logs / f"{name}.log"
        return "\n".join(["", *log.read_text(errors="replace").splitlines()[-_TOLD_LINES:]])

    def _end_containers(self) -> None:
        process = self.processes.get("containerd")
        if process is None or not process.runs:
            return
        ctr = _ctr(self.layout)
        for task in _listed(*ctr, "tasks", "ls", "--quiet"):
            subprocess.run((*ctr, "tasks", "kill", "--signal=SIGKILL", task), capture_output=True)
        for task in _listed(*ctr, "tasks", "ls", "--quiet"):
            subprocess.run((*ctr, "tasks", "delete", "--force", task), capture_output=True)


@contextmanager
def running_cluster(layout: Layout) -> Iterator[Cluster]:
    """A cluster for the time of the block; afterwards the machine is as it was before."""
    begun = time.monotonic()

    def say(sentence: str) -> None:
        print(f"[{time.monotonic() - begun:5.1f} s] {sentence}", flush=True)

    sweep(layout)
    cluster = Cluster(layout, say)
    try:
        cluster.start()
        cluster.up_seconds = time.monotonic() - begun
        say("the cluster is up")
        yield cluster
    finally:
        cluster.stop()
        sweep(layout)


def import_image(layout: Layout, archive: Path) -> None:
    """Have the images of an archive on the node of a cluster that runs."""
    command = (*_ctr(layout), "images", "import", str(archive))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ToolError(f"{archive} cannot be imported: {done.stderr.strip()}")


def _ctr(layout: Layout) -> tuple[str, ...]:
    program = str(programs.CTR.fetch())
    return (program, f"--address={layout.runtime_socket}", "--namespace=k8s.io")


def _listed(*words: str) -> list[str]:
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout.split()


def _end(process: Process, seconds: float) -> None:
    process.popen.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
        return
    process.kill()


def _environ() -> dict[str, str]:
    """What daemons are told: nothing of whoever started them, least of all a proxy."""
    path = os.pathsep.join((os.environ["PATH"], "/usr/sbin", "/sbin"))
    return {"PATH": path, "HOME": "/nonexistent"}
