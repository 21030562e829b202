"""Where a server listens: `host:port` or `unix:/path`; only loopback unless more is allowed."""

from __future__ import annotations

import errno
import ipaddress
import socket
from dataclasses import dataclass
from pathlib import Path

from ragmesh.core.errors import InvalidSettingsError, PortInUseError, PreconditionError, Violation

UNIX = "unix:"
_LOCALHOST = "localhost"


@dataclass(frozen=True, slots=True)
class Address:
    """A host and a port; an empty host stands for all interfaces, port 0 for any free one."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """The address of `host:port`, `[v6]:port` or `:port`, else InvalidSettingsError."""
        host, colon, port = text.rpartition(":")
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
        elif ":" in host:
            colon = ""  # a bare IPv6 address: where its port begins is anybody's guess
        if not colon or not port.isascii() or not port.isdigit() or int(port) > 65_535:
            raise _refusal(text, "must be HOST:PORT, with port 0 for any free one")
        return cls(host, int(port))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches the address."""
        if self.host == _LOCALHOST:
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def bindable(self) -> str:
        """The host as a socket takes it: `localhost` means 127.0.0.1, whatever resolves it."""
        return {"": "0.0.0.0", _LOCALHOST: "127.0.0.1"}.get(self.host, self.host)  # noqa: S104


def listening_address(text: str, *, allow_remote: bool) -> Address:
    """The address to listen on; InvalidSettingsError when others could reach it uninvited."""
    address = Address.parse(text)
    if not allow_remote and not address.is_loopback:
        raise _refusal(text, "must be a loopback address (127.0.0.1, ::1 or localhost)")
    return address


def bound_socket(address: Address, *, backlog: int = 128) -> socket.socket:
    """A listening TCP socket; PortInUseError when another process has the port."""
    family = socket.AF_INET6 if ":" in address.bindable else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        # Ports of connections that were just closed may be bound; ports in use may not.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address.bindable, address.port))
        listener.listen(backlog)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise cannot_listen(str(address), error) from error
    return listener


def refuse_unusable_path(text: str) -> None:
    """PortInUseError when somebody answers at `unix:/path`, whose socket would be stolen."""
    path = Path(text.removeprefix(UNIX))
    if not path.parent.is_dir():
        raise _refusal(text, "must lie in a folder that exists")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return  # nobody listens; what a dead process left there is replaced
    raise cannot_listen(text, OSError(errno.EADDRINUSE, "taken"))


def cannot_listen(address: str, error: OSError) -> PreconditionError:
    """What to tell a person whose address could not be bound."""
    if error.errno == errno.EADDRINUSE:
        return PortInUseError(
            f"another process listens on {address}; stop it or choose another port (0 = any)",
            metadata={"address": address},
        )
    return _refusal(address, f"cannot be listened on: {error.strerror or error}")


def _refusal(address: str, message: str) -> InvalidSettingsError:
    return InvalidSettingsError(f"{address} {message}", violations=[Violation(address, message)])
