"""An API server by itself: etcd and kube-apiserver on loopback, with no node and no controller."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from tools.free_ports import free_ports
from tools.processes import Command, Process, await_condition
from tools.programs.table import ETCD, KUBE_APISERVER, KUBECTL

ADMIN = "admin-token"
OPERATOR, NARROW = "operator-token", "narrow-token"
START_SECONDS = 90.0


@dataclass(frozen=True)
class KubeServer:
    """An API server that answers."""

    url: str
    folder: Path
    kubectl_program: Path

    def kubeconfig(self, token: str = ADMIN) -> Path:
        """How a client of that token finds it."""
        path = self.folder / f"{token}.kubeconfig"
        cluster = {"server": self.url, "insecure-skip-tls-verify": True}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": "test", "user": {"token": token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        }
        path.write_text(json.dumps(config))
        return path

    def kubectl(self, *arguments: str, given: object = None) -> subprocess.CompletedProcess[str]:
        """Run kubectl; what it is given goes to its standard input as JSON."""
        return subprocess.run(
            [self.kubectl_program, f"--kubeconfig={self.kubeconfig()}", *arguments],
            input=None if given is None else json.dumps(given),
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    def read(self, path: str) -> dict[str, Any]:
        """What the server says at a path, without a process between."""
        body: dict[str, Any] = json.loads(_asked(f"{self.url}{path}").read())
        return body

    def apply(self, *objects: Mapping[str, Any]) -> subprocess.CompletedProcess[str]:
        """Have the objects, as a user would."""
        items = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        return self.kubectl("apply", "-f", "-", given=items)

    def get(self, *arguments: str) -> dict[str, Any]:
        """An object, or a list."""
        found = self.kubectl("get", *arguments, "-o", "json")
        assert found.returncode == 0, found.stderr
        body: dict[str, Any] = json.loads(found.stdout)
        return body


@contextmanager
def kube_server(folder: Path) -> Iterator[KubeServer]:
    """An API server for the time of a block."""
    folder.mkdir(parents=True)
    ports = free_ports()
    client, peer, secure = next(ports), next(ports), next(ports)
    started: list[Process] = []
    try:
        started.append(_start(folder, "etcd", _etcd(folder, client, peer)))
        started.append(_start(folder, "apiserver", _apiserver(folder, client, secure)))
        server = KubeServer(f"https://127.0.0.1:{secure}", folder, KUBECTL.fetch())
        assert await_condition(lambda: _is_ready(server.url), START_SECONDS), "no API server"
        yield server
    finally:
        for process in reversed(started):
            process.kill()


def _start(folder: Path, name: str, arguments: list[str]) -> Process:
    with (folder / f"{name}.log").open("w") as log:
        return Process.start(Command(arguments, dict(os.environ), log, log))


def _etcd(folder: Path, client: int, peer: int) -> list[str]:
    here, there = f"http://127.0.0.1:{client}", f"http://127.0.0.1:{peer}"
    return [
        str(ETCD.fetch()),
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls={here}",
        f"--advertise-client-urls={here}",
        f"--listen-peer-urls={there}",
        f"--initial-advertise-peer-urls={there}",
        f"--initial-cluster=default={there}",
        "--unsafe-no-fsync",
    ]


def _apiserver(folder: Path, etcd: int, port: int) -> list[str]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "sa.key").write_bytes(pem)
    tokens = f'{ADMIN},admin,1,"system:masters"\n{OPERATOR},operator,2\n{NARROW},narrow,3\n'
    (folder / "tokens.csv").write_text(tokens)
    return [
        str(KUBE_APISERVER.fetch()),
        f"--etcd-servers=http://127.0.0.1:{etcd}",
        f"--cert-dir={folder}",
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        f"--secure-port={port}",
        "--service-cluster-ip-range=10.96.0.0/16",
        "--authorization-mode=RBAC",
        f"--token-auth-file={folder / 'tokens.csv'}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-signing-key-file={folder / 'sa.key'}",
        f"--service-account-key-file={folder / 'sa.key'}",
        "--disable-admission-plugins=ServiceAccount",
        "--endpoint-reconciler-type=none",
    ]


def _asked(url: str) -> Any:
    asked = Request(url, headers={"Authorization": f"Bearer {ADMIN}"})
    return urlopen(asked, context=ssl._create_unverified_context(), timeout=2)


def _is_ready(url: str) -> bool:
    try:
        with _asked(f"{url}/readyz") as reply:
            return bool(reply.status == 200)
    except (URLError, OSError):
        return False
