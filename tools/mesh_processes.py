"""The targets of a mesh as processes: each can be ended and started again by its name."""

from __future__ import annotations

import json
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from urllib.error import HTTPError
from urllib.request import urlopen

from tools.generate_protos import ROOT
from tools.processes import Command, Output, Process

RAGMESH = Path(sys.executable).with_name("ragmesh")
START_SECONDS = 300.0
"""One that cannot start says so by ending; a busy machine takes its time."""
STOP_SECONDS = 120.0


class Arrangement(Protocol):
    """Which processes make up a mesh, where they listen, and what each is told."""

    @property
    def names(self) -> Sequence[str]:
        """In order: nobody comes before those that it calls, so that all are stopped backwards."""
        ...

    def target(self, name: str) -> str:
        """What a process runs."""
        ...

    def command(self, name: str, data_dir: Path) -> list[str]:
        """What starts a process."""
        ...

    def variables(self) -> dict[str, str]:
        """What all are told."""
        ...


class NotReadyError(Exception):
    """A process ended, or took too long, before it said that it serves."""


@dataclass(slots=True)
class MeshProcesses:
    """The processes of an arrangement."""

    data_dir: Path
    open_log: Callable[[str], Output]
    """Where the logs of a process go."""
    arrangement: Arrangement
    environ: Mapping[str, str] = field(default_factory=dict)
    certs: Path | None = None
    """Folder of `ragmesh certs dev`, with which the processes prove their names to each other."""
    processes: dict[str, subprocess.Popen[str]] = field(default_factory=dict)
    ready: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What each said when it served."""

    def start(self, *names: str) -> None:
        """Start these, by default all, at the same time; return when each reaches those that it
        calls."""
        for name in names or self.arrangement.names:
            self.launch(name)
        for name in names or self.arrangement.names:
            self.await_ready(name)
        self.await_peers()

    def launch(self, name: str) -> None:
        """Start one, and do not wait for it."""
        log = self.open_log(name)
        self._forget(name)
        started = Process.start(
            Command(
                words=self.arrangement.command(name, self.data_dir),
                environ={
                    **self.environ,
                    **self.arrangement.variables(),
                    **self._certificates(self.arrangement.target(name)),
                },
                stdout=subprocess.PIPE,
                stderr=log,
                folder=ROOT,
            )
        )
        self.processes[name] = started.popen
        if not isinstance(log, int):
            log.close()

    def _certificates(self, target: str) -> dict[str, str]:
        if self.certs is None:
            return {}
        return {
            "RAGMESH_TLS__CERTIFICATE_FILE": str(self.certs / f"{target}.pem"),
            "RAGMESH_TLS__KEY_FILE": str(self.certs / f"{target}.key"),
            "RAGMESH_TLS__CA_FILE": str(self.certs / "ca.pem"),
        }

    def await_ready(self, name: str, seconds: float | None = START_SECONDS) -> float:
        """Return when it serves; the moment at which it said so."""
        process = self.processes[name]
        assert process.stdout is not None  # noqa: S101 - what PIPE means
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            line = process.stdout.readline() if selector.select(seconds) else ""
        if not line:
            raise NotReadyError(f"{name} does not serve: {process.poll()}")
        self.ready[name] = json.loads(line)
        return time.monotonic()

    def await_peers(self) -> None:
        """Return when every process has reached those that it calls: they start in any order."""
        for name in self.arrangement.names:
            late = time.monotonic() + START_SECONDS
            while missing := self._missing(name):
                if time.monotonic() > late:
                    raise NotReadyError(f"{name} does not reach {', '.join(missing)}")
                time.sleep(0.05)

    def _missing(self, name: str) -> list[str]:
        try:
            url = f"{self.ready[name]['internal_http']}/readyz"
            with urlopen(url, timeout=5) as reply:  # noqa: S310 - an address of our own process
                told = json.load(reply)
        except HTTPError as error:
            told = json.load(error)
        return [peer for peer, word in told["dependencies"].items() if word != "up"]

    def send(self, name: str, number: signal.Signals) -> int:
        """Send a signal that ends it; its exit code."""
        process = self.processes[name]
        process.send_signal(number)
        return process.wait(STOP_SECONDS)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> dict[str, int]:
        """End all, those that are called last; their exit codes."""
        return {name: self.send(name, number) for name in reversed(self.arrangement.names)}

    def close(self) -> None:
        """Kill whatever still runs."""
        for process in self.processes.values():
            process.kill()
            process.wait()
        for name in self.arrangement.names:
            self._forget(name)

    def _forget(self, name: str) -> None:
        """Read no more of what a process said that has ended; until then somebody may."""
        process = self.processes.pop(name, None)
        if process is not None and process.stdout is not None:
            process.stdout.close()
