"""Both doors over fakes in a process of its own, with as many keys as one likes:
`python -m tests.faults.two_keys` serves until its stdin ends.

An answer takes as long as one from a small collection and costs next to nothing, so that whatever
a flood costs the other key shows.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from ragmesh.chassis.clocks import SystemClock
from ragmesh.chassis.executors import executor, run
from ragmesh.chassis.grpc_servers import ServerOptions, serve
from ragmesh.chassis.http_servers import serve_http
from ragmesh.chassis.lifecycle import Lifecycle
from ragmesh.core.callers import Caller, Principal
from ragmesh.core.search import Retrieval, RetrieveQuery
from ragmesh.gateway.adapters.rest import make_app
from ragmesh.gateway.identity import DEVELOPER
from ragmesh.gateway.limiting.quotas import Allowance, Allowances
from ragmesh.gateway.server import SERVICE_NAMES, DoorGuard, add_gateway
from ragmesh.gateway.server.admission import GateAdmission
from ragmesh.testing.gateway import SENTENCE, FakeMesh
from ragmesh.testing.retrieval import FakeRetriever, fake_hit

FLOOD, WORKER = "flood", "worker"
FLOOD_A_MINUTE = 60
RETRIEVE_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Named:
    """An identity that believes whatever name comes as a key."""

    is_developer_mode: bool = False

    def identify(self, authorizations: Sequence[str]) -> Principal:
        """See `Identity`."""
        return replace(DEVELOPER, key_id=authorizations[0].removeprefix("Bearer "))

    def refusal_of(self, _principal: Principal) -> None:
        """See `Identity`."""


class SlowRetriever(FakeRetriever):
    """Finds what it is told to, after a while."""

    async def retrieve(self, caller: Caller, query: RetrieveQuery) -> Retrieval:
        """See `Retriever`."""
        await asyncio.sleep(RETRIEVE_SECONDS)
        return await super().retrieve(caller, query)


@dataclass(frozen=True, slots=True)
class OwnLimits:
    """The flood has a limit, the worker has none; a `Quotas`."""

    def of(self, principal: Principal) -> Allowances:
        """See `Quotas`."""
        if principal.key_id == WORKER:
            return Allowances()
        return Allowances(key=Allowance(requests_per_minute=FLOOD_A_MINUTE))


async def serve_both() -> None:
    """Serve, say where, and end with stdin."""
    retriever = SlowRetriever(hits=(fake_hit("leave.md", SENTENCE),))
    made = FakeMesh(retriever=retriever, clock=SystemClock(), quotas=OwnLimits())
    mesh = await made.with_collection()
    service, identity = mesh.service(), Named()
    async with Lifecycle() as life, executor("rest", 1) as pool:
        app = make_app(service, identity, pool=pool, version="1")
        options = ServerOptions(grace_seconds=0.1, admission=GateAdmission(mesh.gate))
        add = partial(add_gateway, service=service)
        async with (
            serve_http(app, "127.0.0.1:0", tasks=life.tasks) as http,
            serve(
                "127.0.0.1:0",
                add,
                service_names=SERVICE_NAMES,
                options=options,
                guard=DoorGuard(identity),
            ) as grpc,
        ):
            sys.stdout.write(json.dumps({"http": http.url, "grpc": grpc.address}) + "\n")
            sys.stdout.flush()
            await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    run(serve_both())
