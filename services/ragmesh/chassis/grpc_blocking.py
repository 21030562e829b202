"""A gRPC channel for programs without an event loop: the rules of `grpc_channels`, and they block.

Only what is outside of the mesh uses it: it is not observed and not signed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import grpc

from ragmesh.chassis.callers import Metadata
from ragmesh.chassis.grpc_channels import (
    ChannelOptions,
    StubChannel,
    channel_arguments,
    seconds_for,
    with_request,
)
from ragmesh.chassis.grpc_security import ChannelSecurity, security_arguments
from ragmesh.chassis.wire import from_rpc_error

__all__ = ["ChannelOptions", "Replies", "channel"]


@contextmanager
def channel(
    address: str,
    *,
    options: ChannelOptions | None = None,
    security: ChannelSecurity | None = None,
) -> Iterator[grpc.Channel]:
    """A channel for stubs, raising the errors that the server raised; it connects when needed."""
    options = ChannelOptions() if options is None else options
    arguments = channel_arguments(options)
    if security is None:
        opened = grpc.insecure_channel(address, options=arguments)
    else:
        given = security_arguments(security, arguments)
        opened = grpc.secure_channel(address, security.credentials(), options=given)
    with opened as inner:
        yield cast("grpc.Channel", _BlockingChannel(inner, options))


class _BlockingChannel(StubChannel):
    def _unary(self, method: str, call: Callable[..., Any]) -> Callable[..., Any]:
        default, peer = self._options.default_deadline_seconds, self._options.peer

        def ask(request: Any, *, timeout: float | None = None, metadata: Metadata = ()) -> Any:
            limit = seconds_for(method, default if timeout is None else timeout)
            try:
                return call(request, timeout=limit, metadata=with_request(metadata))
            except grpc.RpcError as error:
                raise from_rpc_error(_ended(error), peer=peer) from error

        return ask

    def _stream(self, method: str, call: Callable[..., Any]) -> Callable[..., Any]:
        default, peer = self._options.stream_deadline_seconds, self._options.peer

        def ask(request: Any, *, timeout: float | None = None, metadata: Metadata = ()) -> Replies:
            limit = seconds_for(method, default if timeout is None else timeout)
            return Replies(call(request, timeout=limit, metadata=with_request(metadata)), peer)

        return ask


class Replies:
    """The replies of a stream; who stops before their end closes it."""

    def __init__(self, call: Any, peer: str) -> None:
        self._call = call
        self._peer = peer

    def __iter__(self) -> Replies:
        return self

    def __next__(self) -> Any:
        try:
            return next(self._call)
        except grpc.RpcError as error:
            raise from_rpc_error(_ended(error), peer=self._peer) from error

    def close(self) -> None:
        """Tell the server that nobody listens any more; without effect once it has ended."""
        self._call.cancel()


def _ended(error: grpc.RpcError) -> grpc.Call:
    """What a stub raises is the call that has ended, too."""
    return cast("grpc.Call", error)
