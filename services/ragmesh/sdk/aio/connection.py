"""A connection to a mesh, which every part of the client speaks over."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from ragmesh.core.errors import PreconditionError
from ragmesh.sdk.aio.calls import Calls
from ragmesh.sdk.options import DEFAULT_OPTIONS, CallOptions

if TYPE_CHECKING:
    from ragmesh.clients.gateway.client import GatewayClient


class AsyncConnection:
    """Opens a channel to a gateway, and closes it."""

    def __init__(
        self,
        server: str,
        *,
        api_key: str = "",
        ca_file: Path | str | None = None,
        options: CallOptions = DEFAULT_OPTIONS,
    ) -> None:
        """Nothing is dialled before `open` or the block begins.

        `server` is HOST:PORT, or https://HOST:PORT when its doors are encrypted. `ca_file` names
        the authorities to believe then; None = those that everybody believes.
        """
        self.server = server
        self._ca_file = None if ca_file is None else Path(ca_file)
        self._api_key = api_key
        self._calls = Calls(options)
        self._stack = AsyncExitStack()
        self._client: GatewayClient | None = None

    @property
    def options(self) -> CallOptions:
        """What the calls of this client keep to."""
        return self._calls.options

    @property
    def _gateway(self) -> GatewayClient:
        if self._client is None:
            raise PreconditionError("the client is not open: use it in a `with` block, or open it")
        return self._client

    async def open(self) -> None:
        """Make the channel; whether a mesh answers is seen by the first call."""
        # Loaded late: gRPC and the contracts take longer than all the rest of the client.
        from ragmesh.chassis.grpc_channels import ChannelOptions, channel
        from ragmesh.chassis.grpc_security import Server
        from ragmesh.clients.gateway.client import GatewayClient

        if self._client is None:
            # Attempts are counted by `Calls`, which knows the server's delays; not twice.
            options = ChannelOptions(default_deadline_seconds=self.options.timeout_seconds)
            server = Server.parse(self.server, ca_file=self._ca_file)
            made = await self._stack.enter_async_context(
                channel(server.address, options=options, security=server.security)
            )
            self._client = GatewayClient(made, api_key=self._api_key)

    async def close(self) -> None:
        """End the calls that are under way, and the connection."""
        self._client = None
        await self._stack.aclose()
