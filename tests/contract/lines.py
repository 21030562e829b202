"""A real service behind a real gRPC server, and the channel on which its client reaches it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2

from ragmesh.api.types.v1 import caller_pb2
from ragmesh.chassis.callers import CALLER_HEADER, CallerSigner, Metadata
from ragmesh.chassis.grpc_channels import ChannelOptions, channel
from ragmesh.chassis.grpc_servers import ServerOptions, serve
from ragmesh.core.callers import Caller, Machine, Principal
from ragmesh.core.errors import UnauthenticatedError

HEALTH = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
OURSELVES = Machine("gateway")
"""As whom the clients of a line speak for themselves."""


@dataclass(frozen=True)
class Line:
    """A channel to a service, and who speaks on it."""

    channel: grpc.aio.Channel
    signer: CallerSigner


@dataclass(frozen=True)
class PlainSpeech:
    """Signs with nothing and believes everything that says who calls."""

    def metadata(self, caller: Caller | None = None) -> Metadata:
        match OURSELVES if caller is None else caller:
            case Machine(name):
                said = caller_pb2.CallerClaims(machine=caller_pb2.Machine(name=name))
            case Principal(tenant_uid, subject, groups, roles):
                said = caller_pb2.CallerClaims(
                    principal=caller_pb2.Principal(
                        tenant_uid=tenant_uid,
                        subject=subject,
                        groups=sorted(groups),
                        roles=sorted(roles),
                    )
                )
        return ((CALLER_HEADER, said.SerializeToString()),)

    def admit(
        self, method: str, metadata: Sequence[tuple[str, str | bytes]], *, peer: str = ""
    ) -> Caller | None:
        if method.startswith(f"/{HEALTH}/"):
            return None
        said = dict(metadata).get(CALLER_HEADER)
        if not isinstance(said, bytes):
            raise UnauthenticatedError("nobody said who calls")
        claims = caller_pb2.CallerClaims.FromString(said)
        if claims.HasField("machine"):
            return Machine(claims.machine.name)
        who = claims.principal
        return Principal(who.tenant_uid, who.subject, frozenset(who.groups), frozenset(who.roles))


@asynccontextmanager
async def line(
    folder: Path,
    add: Callable[[grpc.aio.Server], None],
    service_names: Sequence[str],
    *,
    idempotent_methods: Sequence[str] = (),
) -> AsyncIterator[Line]:
    """Serve over a Unix socket in the folder, and dial it."""
    speech = PlainSpeech()
    options = ChannelOptions(idempotent_methods=tuple(idempotent_methods))
    async with (
        serve(
            f"unix:{folder}/s",
            add,
            service_names=service_names,
            options=ServerOptions(grace_seconds=1.0),
            guard=speech,
        ) as serving,
        channel(serving.address, options=options) as made,
    ):
        yield Line(made, speech)
