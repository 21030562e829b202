"""Who calls over gRPC."""

from __future__ import annotations

from typing import Any

import grpc

from ragmesh.core.callers import Principal
from ragmesh.gateway.ports import Identity

Context = grpc.aio.ServicerContext[Any, Any]
AUTHORIZATION = "authorization"


def caller_of(context: Context, identity: Identity) -> Principal:
    """The caller behind the call's metadata, else UnauthenticatedError."""
    for key, value in context.invocation_metadata() or ():
        if key == AUTHORIZATION and isinstance(value, str):
            return identity.identify(value)
    return identity.identify(None)
