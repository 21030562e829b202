"""How a channel is encrypted, and how its certificates change while calls are under way.

Free of everything that reads certificates: programs that ask a mesh import it, too.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import grpc

from ragmesh.chassis.tls.diagnosis import Handshake, certificate_fault, speaks_tls
from ragmesh.core.errors import CertificateUnusableError, EncryptionMismatchError, RagmeshError

Arguments = list[tuple[str, int | str]]
Listener = Callable[[], Awaitable[None]]
SCHEMES = ("https://", "grpcs://")
"""What an address begins with whose server speaks TLS."""
_HTTPS_PORT = 443
_CONNECT_SECONDS = 10.0
"""How long a connection with another certificate may take to come up while the old one serves."""


class ChannelSecurity(Protocol):
    """What a channel shows, and whom it believes."""

    @property
    def server_name(self) -> str:
        """The name that the server's certificate has to hold; "" = that of the address."""

    @property
    def version(self) -> int:
        """Grows with every change of the credentials."""

    def credentials(self) -> grpc.ChannelCredentials:
        """For connections that are made from now on."""

    def following(self, listener: Listener) -> AbstractAsyncContextManager[None]:
        """Call the listener again and again, for the time of a block."""

    async def fault(self, address: str) -> RagmeshError | None:
        """Why no connection comes about, as far as certificates are to blame."""


class ServerSecurity(Protocol):
    """What a server shows, and whom it lets in."""

    @property
    def clients(self) -> frozenset[str]:
        """The names of which a client's certificate has to hold one; empty = none is asked for."""

    def server_credentials(self) -> grpc.ServerCredentials:
        """For a listener; they change by themselves."""


@dataclass(frozen=True, slots=True)
class DoorSecurity:
    """Of a client in front of the doors of a mesh: it shows no certificate."""

    ca: bytes | None = None
    """PEM of the authorities that are believed; None = those that everybody believes."""
    server_name: str = ""
    version: int = 0

    def credentials(self) -> grpc.ChannelCredentials:
        """See `ChannelSecurity`."""
        return grpc.ssl_channel_credentials(self.ca)

    def following(self, _listener: Listener) -> AbstractAsyncContextManager[None]:
        """See `ChannelSecurity`; nothing changes."""
        return nullcontext()

    async def fault(self, address: str) -> RagmeshError | None:
        """See `ChannelSecurity`."""
        return await certificate_fault(address, Handshake(self.ca))


@dataclass(frozen=True, slots=True)
class Server:
    """The gRPC address of a mesh as people write it: HOST:PORT, unix:/path or https://HOST."""

    address: str
    """As gRPC takes it."""
    security: DoorSecurity | None = None

    @classmethod
    def parse(cls, text: str, *, ca_file: Path | None = None) -> Server:
        """What an address means; with https:// or grpcs:// its server has to prove its name."""
        scheme = next((one for one in SCHEMES if text.startswith(one)), None)
        if scheme is None:
            return cls(text)
        place = text.removeprefix(scheme).rstrip("/")
        has_port = place.rpartition("]")[2].rpartition(":")[1] == ":"
        ca = None if ca_file is None else _read_ca(ca_file)
        return cls(place if has_port else f"{place}:{_HTTPS_PORT}", DoorSecurity(ca))

    async def fault(self) -> RagmeshError | None:
        """Why no connection comes about, as far as encryption is to blame."""
        if self.security is not None:
            return await self.security.fault(self.address)
        if await speaks_tls(self.address):
            return EncryptionMismatchError(
                f"{self.address} speaks TLS only; write https://{self.address}"
            )
        return None


def _read_ca(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror}"
        raise CertificateUnusableError(message, metadata={"path": str(path)}) from error


def security_arguments(security: ChannelSecurity, arguments: Arguments) -> Arguments:
    """The arguments of an encrypted channel."""
    name = security.server_name
    return [*arguments, ("grpc.ssl_target_name_override", name)] if name else arguments


@asynccontextmanager
async def secure_channel(
    address: str, security: ChannelSecurity, arguments: Arguments
) -> AsyncIterator[grpc.aio.Channel]:
    """A channel whose new calls go over another connection once its certificates change."""
    given = security_arguments(security, arguments)

    def opened() -> grpc.aio.Channel:
        return grpc.aio.secure_channel(address, security.credentials(), options=given)

    turning = TurningChannel(opened, lambda: security.version)
    try:
        async with security.following(turning.tend):
            yield cast("grpc.aio.Channel", turning)
    finally:
        await turning.close()


class _Connection:
    """One channel of gRPC's own, and the calls on it."""

    def __init__(self, channel: grpc.aio.Channel, version: int) -> None:
        self.channel = channel
        self.version = version
        self.opened = asyncio.get_running_loop().time()
        self.calls = 0
        self._methods: dict[tuple[str, str], Any] = {}

    def call(
        self, shape: str, method: str, made_with: Callable[[Any], Any], request: Any, options: Any
    ) -> Any:
        """Begin a call of the method."""
        found = self._methods.get((shape, method))
        if found is None:
            found = self._methods[shape, method] = made_with(getattr(self.channel, shape))
        begun = found(request, **options)
        self.calls += 1
        begun.add_done_callback(self._ended)
        return begun

    @property
    def is_up(self) -> bool:
        """Whether it is connected; asking begins to connect it."""
        return self.channel.get_state(try_to_connect=True) is grpc.ChannelConnectivity.READY

    def _ended(self, _call: Any) -> None:
        self.calls -= 1


class TurningChannel:
    """Turns to new credentials without a call that fails.

    The next connection is brought up beside the one in use, takes the new calls once it is there,
    and the former one is closed when the last call on it has ended.
    """

    def __init__(self, opened: Callable[[], grpc.aio.Channel], version: Callable[[], int]) -> None:
        self._opened = opened
        self._version = version
        self._now = _Connection(opened(), version())
        self._next: _Connection | None = None
        self._former: list[_Connection] = []

    def unary_unary(self, method: str, *args: Any, **kwargs: Any) -> Callable[..., Any]:
        return self._method("unary_unary", method, args, kwargs)

    def stream_unary(self, method: str, *args: Any, **kwargs: Any) -> Callable[..., Any]:
        return self._method("stream_unary", method, args, kwargs)

    def unary_stream(self, method: str, *args: Any, **kwargs: Any) -> Callable[..., Any]:
        return self._method("unary_stream", method, args, kwargs)

    def stream_stream(self, method: str, *args: Any, **kwargs: Any) -> Callable[..., Any]:
        return self._method("stream_stream", method, args, kwargs)

    async def tend(self) -> None:
        """Do the next step of a change, if there is one."""
        latest = self._next or self._now
        if latest.version != self._version():
            if self._next is not None:
                self._former.append(self._next)
            self._next = latest = _Connection(self._opened(), self._version())
        if self._next is not None and self._is_due(self._next):
            self._former.append(self._now)
            self._now, self._next = self._next, None
        for connection in [one for one in self._former if not one.calls]:
            self._former.remove(connection)
            await connection.channel.close()

    async def close(self) -> None:
        """End every call and connection."""
        following = [] if self._next is None else [self._next]
        for connection in (self._now, *following, *self._former):
            await connection.channel.close()

    def _is_due(self, coming: _Connection) -> bool:
        waited = asyncio.get_running_loop().time() - coming.opened
        # A peer that is away is no reason to go on with what has ended.
        return coming.is_up or waited > _CONNECT_SECONDS

    def _method(self, shape: str, method: str, args: Any, kwargs: Any) -> Callable[..., Any]:
        def made_with(maker: Any) -> Any:
            return maker(method, *args, **kwargs)

        def ask(request: Any, **options: Any) -> Any:
            return self._now.call(shape, method, made_with, request, options)

        return ask
