"""The program `ragmesh-operator`: puts the parts together and runs until a signal.

ragmesh-operator                                      looks after resources
ragmesh-operator leave --deployment NAMESPACE/NAME    stops it, and takes its finalizers away
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import kopf

from ragmesh.chassis.clocks import SystemClock
from ragmesh.chassis.grpc_channels import ChannelOptions, channel
from ragmesh.chassis.identity.opening import open_identity
from ragmesh.chassis.lifecycle import Tasks
from ragmesh.chassis.logs import configure
from ragmesh.chassis.settings import load
from ragmesh.chassis.tls.following import followed
from ragmesh.chassis.tls.mesh import PeerSecurity
from ragmesh.clients.indexing import IDEMPOTENT_METHODS
from ragmesh.core.clock import Clock
from ragmesh.core.errors import LoopEndedError, RagmeshError
from ragmesh_operator.acting import OPERATOR
from ragmesh_operator.adapters.api_server import api_server, identity_of
from ragmesh_operator.adapters.backlog import BacklogPage
from ragmesh_operator.adapters.kube import KubeResources
from ragmesh_operator.adapters.mesh import MeshClient
from ragmesh_operator.adapters.workloads import KubeWorkloads
from ragmesh_operator.autoscaling import Autoscaler, Workload
from ragmesh_operator.handlers import hush, kopf_settings, registry_for
from ragmesh_operator.leaving import Leaving
from ragmesh_operator.operating import Operating, Sides
from ragmesh_operator.settings import Settings
from ragmesh_operator.working import Pace

_INDEXING = "indexing"
_log = logging.getLogger(__name__)


def main() -> int:
    """Run the operator, or have it leave; what stops it is one line."""
    asked = arguments().parse_args()
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # noqa: TID251 - the core writes lines of its own
    try:
        settings = load(
            Settings,
            config_file=None,
            environ=dict(os.environ),  # noqa: TID251 - read here once, and handed down
            overrides={},
        )
        configure(settings.log.form, settings.log.level)
        hush()
        if asked.command == "leave":
            asyncio.run(leave(settings, asked.deployment, asked.seconds))
        else:
            asyncio.run(run(settings))
    except RagmeshError as error:
        sys.stderr.write(f"{error.reason}: {error.message}\n")
        return 1
    return 0


def arguments() -> argparse.ArgumentParser:
    """What may be asked of the program."""
    parser = argparse.ArgumentParser(
        "ragmesh-operator",
        description="Looks after resources of a cluster; settings are variables (RAGMESH_…).",
    )
    commands = parser.add_subparsers(dest="command")
    leaving = commands.add_parser(
        "leave", help="take the finalizers from all resources, so that nothing waits for it"
    )
    leaving.add_argument(
        "--deployment",
        type=_deployment,
        metavar="NAMESPACE/NAME",
        help="of the operator, which is stopped first: it would put them back",
    )
    leaving.add_argument("--seconds", type=float, default=25.0, help="for how long to try")
    return parser


def _deployment(text: str) -> Workload:
    namespace, slash, name = text.partition("/")
    if not (namespace and slash and name):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAMESPACE/NAME")
    return Workload("deployments", name, namespace)


async def leave(settings: Settings, own: Workload | None, seconds: float) -> None:
    """Have nothing in the cluster wait for the operator."""
    clock = SystemClock()
    async with api_server(login, clock) as api:
        cluster = KubeResources(api, settings.namespaces, clock)
        await Leaving(cluster, KubeWorkloads(api, clock), clock).leave(own, seconds)


def login() -> kopf.ConnectionInfo:
    """How the API server is reached: as a pod, else as KUBECONFIG says."""
    around = kopf_settings()
    found = kopf.login_with_service_account(settings=around)
    found = found or kopf.login_with_kubeconfig(settings=around)
    if found is None:
        raise kopf.LoginError("neither a service account nor a kubeconfig is there")
    return found


async def run(settings: Settings) -> None:
    """Look after resources until a signal comes or a loop dies."""
    stop = asyncio.Event()
    ended: list[LoopEndedError] = []

    def on_end(name: str, error: BaseException | None) -> None:
        _log.critical("a loop ended", exc_info=error, extra={"loop": name})
        ended.append(LoopEndedError(f"the loop {name} ended", metadata={"loop": name}))
        stop.set()

    tasks = Tasks(on_end)
    await tasks.open()
    try:
        async with operating(settings, tasks) as operator:
            await kopf.operator(
                registry=registry_for(operator.told, login),
                settings=kopf_settings(),
                namespaces=list(settings.namespaces),
                clusterwide=not settings.namespaces,
                standalone=True,
                liveness_endpoint=settings.probe,
                stop_flag=stop,
            )
    finally:
        await tasks.close()
    if ended:
        raise ended[0]


@asynccontextmanager
async def operating(settings: Settings, tasks: Tasks) -> AsyncIterator[Operating]:
    """The operator with everything it needs, for as long as the block lasts."""
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        mesh = await stack.enter_async_context(mesh_client(settings, tasks))
        api = await stack.enter_async_context(api_server(login, clock))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        sides = Sides(
            mesh,
            KubeResources(api, settings.namespaces, clock, _cluster(settings)),
            clock,
            settings.workers.look_seconds,
        )
        pace = Pace(settings.pace.settled_seconds, settings.pace.moving_seconds)
        scaler = _scaler(settings, KubeWorkloads(api, clock), session, clock)
        yield await stack.enter_async_context(Operating.opened(sides, pace, tasks, scaler))


def _cluster(settings: Settings) -> str:
    found = settings.cluster or identity_of(login())
    if not found:
        _log.warning("nothing tells this cluster from others on the same mesh; set `cluster`")
    return found


def _scaler(
    settings: Settings, workloads: KubeWorkloads, session: aiohttp.ClientSession, clock: Clock
) -> Autoscaler | None:
    url, named = settings.mesh.backlog_url, settings.workers.workload
    if url is None or named is None:
        return None
    plural, _, name = named.partition("/")
    workload = Workload(
        plural,
        name,
        settings.workers.namespace,
        settings.workers.partitions,
        settings.workers.documents_per_second,
    )
    return Autoscaler(workload, workloads, BacklogPage(session, url), url, clock)


@asynccontextmanager
async def mesh_client(settings: Settings, tasks: Tasks) -> AsyncIterator[MeshClient]:
    """The catalog, called with the operator's own key and certificate."""
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        identity = await stack.enter_async_context(
            open_identity(
                settings.identity,
                OPERATOR,
                data_dir=Path(settings.data_dir),
                clock=clock,
                tasks=tasks,
            )
        )
        security = None
        if settings.tls.files is not None:
            name = settings.tls.name_of(OPERATOR)
            shown = await stack.enter_async_context(
                followed(
                    settings.tls.files,
                    clock,
                    tasks,
                    every_seconds=settings.tls.reread_seconds,
                    name=name,
                )
            )
            security = PeerSecurity(shown, settings.tls.name_of(_INDEXING))
        options = ChannelOptions(peer=_INDEXING, idempotent_methods=IDEMPOTENT_METHODS)
        made = await stack.enter_async_context(
            channel(settings.mesh.indexing, options=options, security=security)
        )
        yield MeshClient(made, identity.signer)
