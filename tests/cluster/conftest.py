"""A real cluster, real servers beside it, and the chart in it.

`make test-cluster` brings the cluster up and says where it is: KUBECONFIG names it, and servers are
started on CLUSTER_HOST, an address of this machine that pods reach. The image is built and
imported, unless CLUSTER_IMAGE names one that the cluster can pull.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from tests.cluster.load import fill
from tests.cluster.releases import (
    Door,
    Namespace,
    Release,
    await_no_namespaces,
    make_identity,
)
from tests.cluster.talkers import slow_talker
from tests.folders import folder_in_memory
from tools.charts.releasing import last_release, version_of
from tools.cluster.kubectl import Kubectl
from tools.cluster.layout import NODE, Layout
from tools.cluster.node import import_image
from tools.image.builders import find_builder
from tools.image.building import DEBIAN, have_image
from tools.image.recipe import Recipe, find_commit, is_shallow
from tools.servers.server import Server
from tools.servers.table import PASSWORD

BACKING = ("kafka", "weaviate", "postgres", "s3", "redis")
"""Servers of a distributed mesh, those that take longest to start first."""
LAST_CHART = last_release("ragmesh")
"""What meshes are upgraded from."""
COPIES = "s3://copies/mesh"
"""Where backups go, if there is such a bucket."""
SCALED = "generation"
"""The service whose pods are counted by the cluster; two are enough for it, and the least."""
SMALL = {"resources": {"requests": {"cpu": "10m", "memory": "64Mi"}}}
"""So that two pods of each service fit on a small node; bounds stay those of the chart."""
EMBEDDED: dict[str, object] = {"identity": {"existingSecret": "identity"}, "embedded": SMALL}
"""What the chart is told of a mesh of one pod."""
TEXTS = {f"owl-{number}": f"Owl number {number} eats {number} voles a week." for number in range(8)}
QUESTIONS = "What does owl number {number} eat?"


@pytest.fixture(scope="session")
def kubectl() -> Iterator[Kubectl]:
    """Nothing that tests have made hangs when they are done."""
    found = named_cluster()
    yield found
    await_no_namespaces(found)


def named_cluster() -> Kubectl:
    """Who may do everything in the cluster that KUBECONFIG names."""
    kubeconfig = os.environ.get("KUBECONFIG")
    assert kubeconfig, "no cluster: run `make test-cluster`, or name one with KUBECONFIG"
    return Kubectl(Path(kubeconfig))


@pytest.fixture
def ours(kubectl: Kubectl) -> Kubectl:
    """The cluster of `make cluster-up`, of which tests know more than of others."""
    if not kubectl.holds("get", f"node/{NODE}"):
        pytest.skip("of the cluster of `make cluster-up` only")
    return kubectl


@pytest.fixture(scope="session")
def host() -> str:
    return named_host()


def named_host() -> str:
    """Where servers of this machine are reached from pods."""
    named = os.environ.get("CLUSTER_HOST")
    assert named, "CLUSTER_HOST must name an address of this machine that pods reach"
    return named


@pytest.fixture(scope="session")
def image() -> str:
    return image_on_nodes()


def image_on_nodes() -> str:
    """What pods run, which the node has."""
    if named := os.environ.get("CLUSTER_IMAGE"):
        return named
    folder = os.environ.get("CLUSTER_FOLDER")
    assert folder, "CLUSTER_IMAGE must name an image that the nodes have or can pull"
    return _image_on_node(folder)


@pytest.fixture(scope="session")
def last_image() -> str:
    return image_of_release(version_of("ragmesh", LAST_CHART))


def image_of_release(version: str) -> str:
    """What pods of a release run, built out of the history; skips where that is out of reach."""
    folder = os.environ.get("CLUSTER_FOLDER")
    if folder is None:
        pytest.skip("NOT SHOWN: only nodes of `make cluster-up` are given images of releases")
    if find_commit(f"v{version}") is None and is_shallow():
        pytest.skip(f"NOT SHOWN: this clone is shallow and does not reach back to {version}")
    return _image_on_node(folder, f"v{version}")


def _image_on_node(folder: str, release: str | None = None) -> str:
    built = have_image(find_builder("buildah"), Recipe(base=DEBIAN), release)
    import_image(Layout(Path(folder)), built.archive)
    return built.reference


@pytest.fixture(scope="session")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keys of a mesh, as its operator makes them."""
    folder = tmp_path_factory.mktemp("identity")
    make_identity(folder)
    return folder


@pytest.fixture(scope="session")
def backing(host: str) -> Iterator[dict[str, Server]]:
    with running_servers(host) as servers:
        yield servers


@contextmanager
def running_servers(host: str) -> Iterator[dict[str, Server]]:
    """Real servers, where pods reach them."""
    with folder_in_memory() as folder, ExitStack() as stack:
        servers = {name: Server(name, folder / name, address=host) for name in BACKING}
        for server in servers.values():
            stack.callback(server.close)
        with ThreadPoolExecutor(len(servers)) as pool:
            list(pool.map(Server.start, servers.values()))
        yield servers


@contextmanager
def own_namespace(kubectl: Kubectl) -> Iterator[Namespace]:
    """One that is about to go after the block."""
    namespace = Namespace(kubectl, f"ragmesh-{uuid4().hex[:8]}")
    namespace.create()
    try:
        yield namespace
    finally:
        namespace.begin_deletion()


@pytest.fixture
def namespace(kubectl: Kubectl) -> Iterator[Namespace]:
    """One in which nothing runs that could do more than Pod Security `restricted` lets it."""
    with own_namespace(kubectl) as made:
        yield made


@pytest.fixture(scope="session")
def distributed(
    kubectl: Kubectl, image: str, identity: Path, talking: Mapping[str, object]
) -> Iterator[Release]:
    with distributed_mesh(kubectl, image, identity, talking) as release:
        yield release


@contextmanager
def distributed_mesh(
    kubectl: Kubectl, image: str, identity: Path, values: Mapping[str, object]
) -> Iterator[Release]:
    """A mesh of each service by itself, on real servers, two pods each."""
    with own_namespace(kubectl) as namespace:
        make_secrets(namespace, identity)
        release = Release(namespace, "mesh", image, identity)
        release.install(values)
        release.await_pods(SCALED, 2)
        yield release


@pytest.fixture(scope="session")
def door(distributed: Release) -> Door:
    """That of the distributed mesh, behind which a collection knows of owls."""
    door = Door.of(distributed)
    fill(door, "owls", TEXTS)
    return door


@pytest.fixture(scope="session")
def talking(backing: dict[str, Server], host: str) -> Iterator[dict[str, object]]:
    """What the chart is told of a mesh whose model takes a minute for an answer at length."""
    with slow_talker(host) as model:
        yield {**distributed_values(backing), "settings": _talking_slowly(model)}


def _talking_slowly(model: str) -> dict[str, object]:
    slow = {
        "name": "slow",
        "kind": "openai",
        "url": model,
        "model": "slow",
        "total_seconds": 110,
        "token_seconds": 20,
    }
    return {
        "internal": {"grace_seconds": 75},
        "gateway": {"question_seconds": 120},
        "generation": {"endpoints": [slow]},
    }


def make_secrets(namespace: Namespace, identity: Path) -> None:
    """Those that `distributed_values` names."""
    namespace.make_secret("identity", files=identity)
    make_server_secrets(namespace)


def make_server_secrets(namespace: Namespace) -> None:
    """Those of them by which a mesh is let in to its servers."""
    namespace.make_secret("catalog", {"password": PASSWORD})
    namespace.make_secret("blobs", {"access-key-id": "ragmesh", "secret-access-key": PASSWORD})


def distributed_values(backing: dict[str, Server]) -> dict[str, object]:
    """What the chart is told of the servers."""
    s3 = backing["s3"]
    return {
        "mode": "distributed",
        "identity": {"existingSecret": "identity"},
        "catalog": {"url": backing["postgres"].url, "existingSecret": "catalog", "tls": "off"},
        "events": {"url": backing["kafka"].url, "replication": 1, "partitions": 4},
        "blobs": {
            "url": s3.url,
            "endpoint": s3.environ["AWS_ENDPOINT_URL"],
            "region": s3.environ["AWS_REGION"],
            "existingSecret": "blobs",
        },
        "index": {"url": backing["weaviate"].url},
        "cache": {"url": backing["redis"].url},
        # What the clock says is no reason for one.
        "backup": {"enabled": True, "suspend": True, "url": COPIES, **SMALL},
        "workload": SMALL,
        **{name: SMALL for name in ("embedding", "indexing", "indexer")},
        SCALED: {"autoscaling": {"enabled": True, "minReplicas": 2, "maxReplicas": 2}},
        "hooks": SMALL,
    }
