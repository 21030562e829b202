"""Namespaces and releases of the chart, and calls to what they serve."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from tools.cluster.kubectl import Kubectl
from tools.generate_protos import ROOT
from tools.processes import await_condition
from tools.programs.table import ARGO_KUBECTL, HELM

CHARTS = ROOT / "charts"
RAGMESH = Path(sys.executable).with_name("ragmesh")
INSTALL_SECONDS = 240
DELETE_SECONDS = 60
END_SECONDS = 120
"""Of a namespace: the cluster looks again after half of the longest time that its pods may take."""
SERVICES = ("gateway", "embedding", "retrieval", "generation", "cache", "indexing", "indexer")
WORKLOADS = frozenset({"Deployment", "StatefulSet"})
MADE_BY_ITSELF = frozenset(
    {
        *(("events", group) for group in ("", "events.k8s.io")),
        *(("endpoints", ""), ("endpointslices", "discovery.k8s.io")),
        # Not kept, but measured when they are asked for.
        ("pods", "metrics.k8s.io"),
    }
)
"""Kinds of objects that nobody has to take away: name and group."""
TEMPORARY = "ragmesh.dev/made-by=tests"
"""The label of namespaces that are about to go."""
HELM_NOTE = "helm.sh/release.v1"
"""The type of the Secret in which Helm writes down a revision."""

Values = Mapping[str, object]


class HelmError(Exception):
    """Helm refuses; the message is what it said."""


@dataclass(frozen=True)
class Namespace:
    """One of a test's own, which enforces Pod Security `restricted`."""

    kubectl: Kubectl
    name: str

    def create(self) -> None:
        self.kubectl.run("create", "namespace", self.name)
        self.kubectl.run(
            *("label", "namespace", self.name, "pod-security.kubernetes.io/enforce=restricted")
        )

    def begin_deletion(self) -> None:
        """Have it go, with its pods at once; nothing makes new ones any more.

        The cluster waits for pods that may take their time, and looks again after half of it.
        """
        self.kubectl.holds("label", "namespace", self.name, TEMPORARY)
        self.kubectl.run("delete", "namespace", self.name, "--ignore-not-found", "--wait=false")
        pods = ("delete", "pods", "--all", "-n", self.name, "--grace-period=0", "--force")
        ended = ("--ignore-not-found", f"--timeout={END_SECONDS}s")
        self.kubectl.run(*pods, *ended, seconds=END_SECONDS + 10)

    def make_secret(
        self, name: str, words: Mapping[str, str] | None = None, *, files: Path | None = None
    ) -> None:
        given = [f"--from-literal={key}={word}" for key, word in (words or {}).items()]
        if files is not None:
            given.append(f"--from-file={files}")
        self.kubectl.run(*("create", "secret", "generic", name, "-n", self.name), *given)

    def objects(self) -> set[str]:
        """What people have made in it, of every kind that the cluster knows: kind and name."""
        told = self.kubectl.run("get", self._kinds(), "-n", self.name, "--output=name").split()
        ours = {"configmap/kube-root-ca.crt", "serviceaccount/default"}
        return set(told) - ours

    def told(self) -> dict[str, dict[str, Any]]:
        """All objects but Helm's notes as the cluster was told them, and how often it was."""
        found = self.kubectl.read(self._kinds(), "-n", self.name)["items"]
        return {
            f"{one['kind']}/{one['metadata']['name']}": _without_status(one)
            for one in found
            if one.get("type") != HELM_NOTE
        }

    def _kinds(self) -> str:
        """Kinds of objects that can be in it, but for those that a cluster makes by itself."""
        asked = ("--namespaced", "--verbs=list", "--output=name")
        known = self.kubectl.run("api-resources", *asked).split()
        return ",".join(name for name in known if name.partition(".")[0::2] not in MADE_BY_ITSELF)

    def pods(self, component: str) -> list[dict[str, Any]]:
        """Pods of a part of the mesh that are not about to end."""
        selector = f"app.kubernetes.io/component={component}"
        items = self.kubectl.read("pods", "-n", self.name, f"--selector={selector}")["items"]
        return [one for one in items if "deletionTimestamp" not in one["metadata"]]

    def behind(self, service: str) -> set[str]:
        """Names of the pods that a Service sends calls to."""
        selector = f"--selector=kubernetes.io/service-name={service}"
        slices = self.kubectl.read("endpointslices", "-n", self.name, selector)["items"]
        return {
            one["targetRef"]["name"]
            for found in slices
            for one in found["endpoints"] or ()
            if one["conditions"]["ready"]
        }

    def warnings(self) -> list[str]:
        """What the cluster finds wrong with its objects, for whoever reads of a failure."""
        events = self.kubectl.read("events", "-n", self.name, "--field-selector=type=Warning")
        return [
            f"{one['lastTimestamp']} {one.get('count')}x {one['involvedObject']['name']}: "
            f"{one['message'][:200]}"
            for one in events["items"]
        ]

    @contextmanager
    def losses(self, component: str) -> Iterator[Callable[[], list[str]]]:
        """What pods of a part say of lost calls, also those that end in the block."""
        told = (f"--selector=app.kubernetes.io/component={component}", "-n", self.name, "--prefix")
        with self.kubectl.following("logs", *told, "--follow", "--tail=0") as ended:

            def losses() -> list[str]:
                said = ended() + self.kubectl.run("logs", *told, "--tail=-1")
                return sorted({one for one in said.splitlines() if "was lost" in one})

            yield losses

    def address_of(self, service: str) -> str:
        """Where a service is reached, on a node."""
        told = self.kubectl.read("service", service, "-n", self.name)
        address: str = told["spec"]["clusterIP"]
        return address


@dataclass(frozen=True)
class Release:
    """A chart in a namespace."""

    namespace: Namespace
    name: str
    image: str
    identity: Path
    chart: str = "ragmesh"
    package: Path | None = None
    """The chart as it was released; None = as it is here."""

    @property
    def fullname(self) -> str:
        """What its objects are called."""
        return f"{self.name}-{self.chart}"

    def install(self, values: Values, *words: str, seconds: int = INSTALL_SECONDS) -> str:
        """`helm install --wait`; what it says."""
        return self._change("install", values, *words, seconds=seconds)

    def upgrade(self, values: Values, *words: str, seconds: int = INSTALL_SECONDS) -> str:
        return self._change("upgrade", values, *words, seconds=seconds)

    def templates(self, values: Values) -> dict[str, dict[str, Any]]:
        """The pods that an installation would make, by component; it reads Secrets, as one does."""
        told = self._run("template", *self._words(), "--dry-run=server", told=self._told(values))
        found = [one for one in yaml.safe_load_all(told.stdout) if one]
        pods = [one["spec"]["template"] for one in found if one["kind"] in WORKLOADS]
        return {pod["metadata"]["labels"]["app.kubernetes.io/component"]: pod for pod in pods}

    def uninstall(self) -> None:
        words = ("--wait", "--ignore-not-found", f"--timeout={DELETE_SECONDS}s")
        self.helm("uninstall", self.name, *words)

    def test(self, seconds: int = 120) -> str:
        """`helm test`, which uploads, asks and deletes; what it says."""
        return self.helm("test", self.name, f"--timeout={seconds}s")

    def restart_all(self) -> None:
        """`kubectl rollout restart` of all services; returns when all pods are new."""
        names = [f"deployment/{self.fullname}-{service}" for service in SERVICES]
        self.namespace.kubectl.run("rollout", "restart", *names, "-n", self.namespace.name)
        for name in names:
            self.namespace.kubectl.run(
                *("rollout", "status", name, "-n", self.namespace.name, "--timeout=240s"),
                seconds=250,
            )

    def promote(self, service: str) -> None:
        """`kubectl argo rollouts promote`."""
        told = (f"--kubeconfig={self.namespace.kubectl.kubeconfig}", f"-n={self.namespace.name}")
        words = (ARGO_KUBECTL.fetch(), "promote", f"{self.fullname}-{service}", *told)
        subprocess.run(words, check=True, capture_output=True, timeout=60)

    def await_pods(self, service: str, number: int) -> None:
        """Return when so many pods of a service are ready."""
        name = f"deployment/{self.fullname}-{service}"
        self.namespace.kubectl.run(
            *("wait", name, "-n", self.namespace.name, "--timeout=90s"),
            f"--for=jsonpath={{.status.readyReplicas}}={number}",
        )

    def helm(self, *words: str, told: str = "") -> str:
        done = self._run(*words, told=told)
        # What hooks print is told as a warning.
        return done.stdout + done.stderr

    def _run(self, *words: str, told: str) -> subprocess.CompletedProcess[str]:
        kubeconfig = f"--kubeconfig={self.namespace.kubectl.kubeconfig}"
        done = subprocess.run(
            [HELM.fetch(), *words, kubeconfig, f"--namespace={self.namespace.name}"],
            input=told,
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS + 60,
        )
        if done.returncode != 0:
            raise HelmError(done.stderr)
        return done

    def _change(self, verb: str, values: Values, *words: str, seconds: int) -> str:
        patience = ("--wait", f"--timeout={seconds}s")
        return self.helm(verb, *self._words(), *patience, *words, told=self._told(values))

    def _words(self) -> tuple[str, ...]:
        """Which release of which chart, with values that come from stdin."""
        return self.name, str(self.package or CHARTS / self.chart), "--values=-"

    def _told(self, values: Values) -> str:
        repository, _, tag = self.image.rpartition(":")
        image = {"repository": repository, "tag": tag, "pullPolicy": "IfNotPresent"}
        return yaml.safe_dump({"image": image, **values})


@dataclass(frozen=True)
class Door:
    """REST of a mesh, as the holder of a key."""

    url: str
    key: str

    @classmethod
    def of(cls, release: Release, service: str | None = None) -> Door:
        """A door of a release, by a key that may do everything in a tenant of its own."""
        first = cls.of_admin(release, service)
        tenant = f"cluster-{time.monotonic_ns()}"
        first.call("POST", "/tenants", {"name": tenant})
        return first.of_tenant(tenant)

    def of_tenant(self, tenant: str) -> Door:
        """The same door, by a key that may do everything in a tenant that is there."""
        body = {"tenant": tenant, "subject": "tests", "roles": ["read", "write", "admin"]}
        made = Door(self.url, self.call("POST", "/keys", body)["secret"])
        # The gateway that made it knows it; the others are a moment later.
        assert await_condition(lambda: all(made.is_let_in() for _ in range(8)), 5)
        return made

    @classmethod
    def of_admin(cls, release: Release, service: str | None = None) -> Door:
        """A door of a release, by the key that a mesh begins with."""
        address = release.namespace.address_of(service or release.fullname)
        admin = (release.identity / "admin.key").read_text().strip()
        return cls(f"http://{address}:8080/api/v1", admin)

    def is_let_in(self) -> bool:
        """Whether the next gateway knows the key; each call may come to another one."""
        reply = httpx.get(f"{self.url}/collections", headers=self.headers, timeout=10)
        return reply.status_code != httpx.codes.UNAUTHORIZED

    def ask(self, method: str, path: str, body: object | None = None) -> httpx.Response:
        """What is answered, be it a refusal."""
        return httpx.request(
            method, f"{self.url}{path}", json=body, headers=self.headers, timeout=90
        )

    def call(self, method: str, path: str, body: object | None = None) -> dict[str, Any]:
        """What is answered; AssertionError when it is a refusal."""
        reply = self.ask(method, path, body)
        assert reply.status_code < 300, reply.text
        told: dict[str, Any] = reply.json() if reply.content else {}
        return told

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.key}"}

    def fill(self, collection: str, texts: Mapping[str, str]) -> None:
        """A collection with documents that can be found."""
        self.call("POST", "/collections", {"name": collection})
        path = f"/collections/{collection}/documents?wait=60"
        bodies = [{"document_id": name, "text": text} for name, text in texts.items()]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda body: self.call("POST", path, body), bodies))

    def top(self, collection: str, questions: Iterable[str]) -> list[list[str]]:
        """The ten chunks that are found first, for each of the questions."""
        path = f"/collections/{collection}/search"
        found = [
            self.call("POST", path, {"query": question, "limit": 10})["hits"]
            for question in questions
        ]
        assert all(found)
        return [[hit["chunk_id"] for hit in hits] for hits in found]

    def upload(self, collection: str, *paths: Path) -> None:
        """Files by their names, indexed."""
        url = f"{self.url}/collections/{collection}/documents?wait=60"
        for path in paths:
            reply = httpx.post(
                url,
                data={"document_id": path.name},
                files={"file": (path.name, path.read_bytes())},
                headers=self.headers,
                timeout=90,
            )
            assert reply.status_code < 300, reply.text


def _without_status(one: dict[str, Any]) -> dict[str, Any]:
    """An object without what changes while nobody tells the cluster anything."""
    metadata = {key: told for key, told in one["metadata"].items() if key != "resourceVersion"}
    return {**{key: told for key, told in one.items() if key != "status"}, "metadata": metadata}


def make_identity(folder: Path) -> None:
    """What `ragmesh keys create --offline --services` writes."""
    words = (RAGMESH, "keys", "create", "--offline", "--services", "--into", folder)
    subprocess.run(words, check=True, capture_output=True)


def await_no_namespaces(kubectl: Kubectl) -> None:
    """Return when all whose deletion was begun are gone."""
    waits = (f"--selector={TEMPORARY}", "--for=delete", f"--timeout={END_SECONDS}s")
    kubectl.run("wait", "namespaces", *waits, seconds=END_SECONDS + 10)


def read_reasons(namespace: Namespace) -> str:
    """What a cluster says of pods that do not start."""
    events = namespace.kubectl.read("events", "-n", namespace.name)["items"]
    return json.dumps([one["message"] for one in events])
