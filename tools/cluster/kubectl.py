"""Speaking to a cluster's API, by kubectl."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.programs.table import KUBECTL


class KubectlError(Exception):
    """The cluster refuses; the message carries what it said."""


@dataclass(frozen=True, slots=True)
class Kubectl:
    """kubectl, as the user of a kubeconfig."""

    kubeconfig: Path

    def run(self, *words: str, told: str | None = None, seconds: float = 120) -> str:
        """What it prints; a refusal is an error."""
        done = self._ask(words, told, seconds)
        if done.returncode != 0:
            raise KubectlError(f"kubectl {' '.join(words)}: {done.stderr.strip()}")
        return done.stdout

    def holds(self, *words: str, seconds: float = 10) -> bool:
        """Whether it agrees."""
        try:
            return self._ask(words, None, seconds).returncode == 0
        except subprocess.TimeoutExpired:
            return False

    def read(self, *words: str) -> dict[str, Any]:
        """What it says of objects."""
        read: dict[str, Any] = json.loads(self.run("get", *words, "--output=json"))
        return read

    def apply(self, manifests: str, *words: str) -> None:
        """Have the objects of manifests as they say."""
        self.run("apply", "--server-side", *words, "--filename=-", told=manifests)

    def wait(self, what: str, *words: str, seconds: int = 120) -> None:
        """Return when an object is as the words say."""
        patience = f"--timeout={seconds}s"
        self.run("wait", what, *words, patience, seconds=seconds + 10)

    @contextmanager
    def following(self, *words: str) -> Iterator[Callable[[], str]]:
        """What it goes on to print for the time of the block, as far as it has come."""
        command = (str(KUBECTL.fetch()), f"--kubeconfig={self.kubeconfig}", *words)
        with (
            tempfile.NamedTemporaryFile() as said,
            subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said) as running,
        ):
            try:
                yield Path(said.name).read_text
            finally:
                running.kill()

    def _ask(
        self, words: tuple[str, ...], told: str | None, seconds: float
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [KUBECTL.fetch(), f"--kubeconfig={self.kubeconfig}", *words],
            input=told or "",
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
