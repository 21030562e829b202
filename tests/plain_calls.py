"""Calls over gRPC that no client of the mesh makes, with the types that their libraries lack."""

from __future__ import annotations

from typing import Protocol, cast

import grpc
from grpc.aio import StreamStreamMultiCallable, UnaryStreamMultiCallable, UnaryUnaryMultiCallable
from grpc_health.v1 import health_pb2_grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_reflection.v1alpha import reflection_pb2_grpc
from grpc_reflection.v1alpha.reflection_pb2 import (
    ServerReflectionRequest,
    ServerReflectionResponse,
)


class HealthCalls(Protocol):
    """What every gRPC server can be asked of its health."""

    Check: UnaryUnaryMultiCallable[HealthCheckRequest, HealthCheckResponse]
    Watch: UnaryStreamMultiCallable[HealthCheckRequest, HealthCheckResponse]


class ReflectionCalls(Protocol):
    """What a server can be asked of its contract."""

    ServerReflectionInfo: StreamStreamMultiCallable[
        ServerReflectionRequest, ServerReflectionResponse
    ]


def bytes_call(channel: grpc.aio.Channel, path: str) -> UnaryUnaryMultiCallable[bytes, bytes]:
    """Sends and receives bytes as they are, whatever the contract says."""
    return channel.unary_unary(path)


def health_of(channel: grpc.aio.Channel) -> HealthCalls:
    """The health of whoever listens there."""
    return cast("HealthCalls", health_pb2_grpc.HealthStub(channel))


def reflection_of(channel: grpc.aio.Channel) -> ReflectionCalls:
    """The contract of whoever listens there."""
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)  # type: ignore[arg-type]
    return cast("ReflectionCalls", stub)


async def services_shown(channel: grpc.aio.Channel) -> set[str]:
    """Names of the services that the server says it serves."""
    asked = iter([ServerReflectionRequest(list_services="")])
    replies = [reply async for reply in reflection_of(channel).ServerReflectionInfo(asked)]
    return {service.name for reply in replies for service in reply.list_services_response.service}
