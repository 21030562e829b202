"""mTLS between services: each shows the certificate of its name, to whoever it may speak with."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import cast

import grpc

from ragmesh.chassis.tls.certificates import Certificate
from ragmesh.chassis.tls.diagnosis import Handshake, certificate_fault
from ragmesh.chassis.tls.following import FollowedCertificate, Listener
from ragmesh.core.errors import RagmeshError


@dataclass(frozen=True, slots=True)
class PeerSecurity:
    """Satisfies `ChannelSecurity` for calls to one service."""

    followed: FollowedCertificate
    server_name: str

    @property
    def version(self) -> int:
        """See `ChannelSecurity`."""
        return self.followed.version

    def credentials(self) -> grpc.ChannelCredentials:
        """See `ChannelSecurity`."""
        current = self.followed.current
        return grpc.ssl_channel_credentials(current.ca, current.key, current.chain)

    def following(self, listener: Listener) -> AbstractAsyncContextManager[None]:
        """See `ChannelSecurity`."""
        return self.followed.following(listener)

    async def fault(self, address: str) -> RagmeshError | None:
        """See `ChannelSecurity`."""
        files = self.followed.files
        handshake = Handshake(
            self.followed.current.ca, self.server_name, files.certificate_file, files.key_file
        )
        return await certificate_fault(address, handshake)


@dataclass(frozen=True, slots=True)
class ListenerSecurity:
    """Satisfies `ServerSecurity`; without clients it is a door, which anybody may knock at."""

    followed: FollowedCertificate
    clients: frozenset[str] = frozenset()

    def server_credentials(self) -> grpc.ServerCredentials:
        """See `ServerSecurity`."""
        # gRPC asks before every handshake, in a thread of its own: it must not wait for anything.
        shown = self.followed.current

        def changed() -> grpc.ServerCertificateConfiguration | None:
            nonlocal shown
            current = self.followed.current
            if current is shown:
                return None
            shown = current
            return _configuration(current)

        return grpc.dynamic_ssl_server_credentials(
            _configuration(shown),
            # Its published type does not know that None says "as before".
            cast("Callable[[], grpc.ServerCertificateConfiguration]", changed),
            require_client_authentication=bool(self.clients),
        )


def _configuration(certificate: Certificate) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration(
        [(certificate.key, certificate.chain)], root_certificates=certificate.ca
    )
