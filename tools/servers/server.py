"""A real server in a folder: start it, stop it, kill it, freeze it, start it again."""

from __future__ import annotations

import os
import pwd
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from string import Template

from tools.free_ports import LOOPBACK, free_ports
from tools.processes import Command, Process, await_condition
from tools.servers.network import Network
from tools.servers.table import KINDS, Kind

START_SECONDS = 300.0
_TOLD_LINES = 20


class ServerError(Exception):
    """A server does not serve; the message carries the end of its log."""


@dataclass(slots=True)
class Server:
    """One server, in one folder, at the same ports and addresses for as long as it lives."""

    name: str
    folder: Path
    ports: Mapping[str, int] = field(default_factory=dict)
    address: str = LOOPBACK
    """Where it listens, unless it has a network of its own."""
    _network: Network | None = None
    _process: Process | None = None
    _program: str = ""

    def __post_init__(self) -> None:
        """Choose the ports that nobody has chosen."""
        found = free_ports()
        self.ports = {name: next(found) for name in self.kind.ports} | dict(self.ports)

    @property
    def kind(self) -> Kind:
        """Its row of the table."""
        return KINDS[self.name]

    @property
    def url(self) -> str:
        """Where it is, as ragmesh's setting takes it."""
        return self._filled(self.kind.url)

    @property
    def environ(self) -> dict[str, str]:
        """What its clients are told by variables, beside the URL."""
        return {name: self._filled(word) for name, word in self.kind.client_environ.items()}

    @property
    def settings(self) -> dict[str, str]:
        """The variables that make a process of ragmesh use it."""
        return {**self.environ, self.kind.setting: self.url}

    @property
    def port(self) -> int:
        """Where it serves; 0 for one whose ports need not be chosen."""
        return next(iter(self.ports.values()), 0)

    @property
    def host(self) -> str:
        """Where it is reached."""
        return self.address if self._network is None else self._network.address

    @property
    def log(self) -> Path:
        """What it has said."""
        return self.folder / "server.log"

    @property
    def runs(self) -> bool:
        """Whether its process is there, frozen or not."""
        return self._process is not None and self._process.runs

    @property
    def serves(self) -> bool:
        """Whether it answers in its own protocol, within a second."""
        return self.runs and self.kind.serves(self.host, self.port)

    def start(self) -> None:
        """Start it, on what its folder holds; return when it serves."""
        if self.runs:
            raise ServerError(f"{self.name} runs already")
        self._prepare()
        self._process = self._launch(self.kind.command)
        await_condition(lambda: not self.runs or self.serves, START_SECONDS)
        if not self.serves:
            self.kill()
            raise ServerError(f"{self.name} does not serve: {self._last_words()}")

    def stop(self) -> int:
        """Ask it to end, and wait; its exit code."""
        process = self._started()
        process.send(self.kind.stop_signal)
        return process.wait()

    def kill(self) -> None:
        """SIGKILL it and all its processes. Until it is started again, clients are refused."""
        self._started().kill()

    def freeze(self) -> None:
        """SIGSTOP it and all its processes: connections stand, and nobody answers."""
        self._started().freeze()

    def thaw(self) -> None:
        """Let it go on where it was frozen."""
        self._started().thaw()

    def close(self) -> None:
        """Kill what runs, and take its network away; what it stored stays."""
        if self._process is not None:
            self._process.kill()
        if self._network is not None:
            self._network.close()
            self._network = None

    def _started(self) -> Process:
        if self._process is None:
            raise ServerError(f"{self.name} was never started")
        return self._process

    def _prepare(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._program = str(self.kind.program.fetch())
        if self.kind.own_network and self._network is None:
            self._network = Network.open(self.folder)
        for name, text in self.kind.files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(self._filled(text))
        prepared = self.folder / "prepared"
        if self.kind.prepare and not prepared.exists():
            # What a preparation that was killed has left; no server has run on it.
            shutil.rmtree(self.folder / "data", ignore_errors=True)
            if self._launch(self.kind.prepare).wait(START_SECONDS) != 0:
                raise ServerError(f"{self.name} cannot be prepared: {self._last_words()}")
            prepared.touch()

    def _launch(self, words: tuple[str, ...]) -> Process:
        network = [] if self._network is None else self._network.inside()
        told = {name: self._filled(word) for name, word in self.kind.environ.items()}
        with self.log.open("a") as log:
            return Process.start(
                Command(
                    words=[self._filled(word) for word in words],
                    environ={"PATH": os.environ["PATH"], "HOME": str(self.folder), **told},
                    stdout=log,
                    stderr=log,
                    within=[*network, *_as_user(self.kind.user)],
                )
            )

    def _filled(self, template: str) -> str:
        ports = {name: str(port) for name, port in self.ports.items()}
        place = {"folder": str(self.folder), "host": self.host, "program": self._program}
        return Template(template).substitute(ports | place)

    def _last_words(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return "\n".join(["", *lines[-_TOLD_LINES:]])


def _as_user(user: str | None) -> list[str]:
    """What a command begins with that must not see itself run by root.

    The user's name is given in a namespace of users, where it stands for root outside. So the
    server's files may lie below folders that are closed to everybody else, as root's home is.
    """
    if user is None or os.geteuid() != 0:
        return []
    entry = pwd.getpwnam(user)
    return ["unshare", "--user", f"--map-user={entry.pw_uid}", f"--map-group={entry.pw_gid}", "--"]


@contextmanager
def running(name: str, folder: Path, address: str = LOOPBACK) -> Iterator[Server]:
    """A server that runs for the time of the block."""
    server = Server(name, folder, address=address)
    try:
        server.start()
        yield server
    finally:
        server.close()
