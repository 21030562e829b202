"""Makes the clients of aiokafka, whose own defaults would lose events."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from types import MappingProxyType
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient

from ragmesh.chassis.events.kafka import connections
from ragmesh.chassis.events.kafka.address import Encryption, KafkaAddress

connections.install()

PRODUCER = MappingProxyType(
    {
        "acks": "all",
        "enable_idempotence": True,
        "linger_ms": 2,
        "request_timeout_ms": 10_000,
        "metadata_max_age_ms": 30_000,
    }
)
CONSUMER: Mapping[str, Any] = MappingProxyType(
    {
        "enable_auto_commit": False,
        "auto_offset_reset": "earliest",
        "session_timeout_ms": 45_000,
        "heartbeat_interval_ms": 3_000,
        "max_poll_interval_ms": 600_000,
        # Longer than a member may take to let go of its partitions.
        "rebalance_timeout_ms": 45_000,
        "request_timeout_ms": 30_000,
        "metadata_max_age_ms": 30_000,
        # What is fetched and not taken is thrown away when a partition is paused.
        "max_partition_fetch_bytes": 65_536,
        "retry_backoff_ms": 250,
    }
)
_BEATS_IN_A_SESSION = 15
ADMIN = MappingProxyType({"request_timeout_ms": 10_000})
_CLIENT_ID = "ragmesh"


def producer(address: KafkaAddress) -> AIOKafkaProducer:
    """A producer that is not connected yet."""
    return AIOKafkaProducer(**_options(address), **PRODUCER)


def consumer(address: KafkaAddress, group: str, **changes: Any) -> AIOKafkaConsumer:
    """A consumer that is not connected yet; only tests and lookouts change what is pinned."""
    return AIOKafkaConsumer(**_options(address), group_id=group, **{**CONSUMER, **changes})


def consumers_missed_after(seconds: float) -> Callable[[KafkaAddress, str], AIOKafkaConsumer]:
    """Makes consumers whose partitions go to others once they have said nothing for so long."""
    session = round(1_000 * seconds)
    beat = min(CONSUMER["heartbeat_interval_ms"], session // _BEATS_IN_A_SESSION)
    return partial(consumer, session_timeout_ms=session, heartbeat_interval_ms=beat)


def admin(address: KafkaAddress, **changes: Any) -> AIOKafkaAdminClient:
    """A client for topics and groups that is not connected yet."""
    return AIOKafkaAdminClient(**_options(address), **{**ADMIN, **changes})


def connection_options(address: KafkaAddress) -> dict[str, Any]:
    """How a connection is made to a broker of this address."""
    options: dict[str, Any] = {"client_id": _CLIENT_ID}
    protocol = "PLAINTEXT"
    if address.encryption is not None:
        options["ssl_context"] = _context(address.encryption)
        protocol = "SSL"
    if address.credentials is not None:
        known = address.credentials
        options |= {
            "sasl_mechanism": known.mechanism,
            "sasl_plain_username": known.username,
            "sasl_plain_password": known.password,
        }
        protocol = "SASL_SSL" if protocol == "SSL" else "SASL_PLAINTEXT"
    return {**options, "security_protocol": protocol}


def _options(address: KafkaAddress) -> dict[str, Any]:
    return {"bootstrap_servers": list(address.servers), **connection_options(address)}


def _context(encryption: Encryption) -> ssl.SSLContext:
    context = _FreshContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if encryption.ca_file is None:
        context.load_default_certs()
    context.encryption = encryption
    context.read()
    return context


class _FreshContext(ssl.SSLContext):
    """Reads its files for every connection: a client keeps one context for as long as it lives,
    and certificates are renewed meanwhile."""

    encryption = Encryption()

    def read(self) -> None:
        """Take authorities and certificate from their files."""
        files = self.encryption
        if files.ca_file is not None:
            self.load_verify_locations(files.ca_file)
        if files.certificate_file is not None:
            self.load_cert_chain(files.certificate_file, files.key_file)

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """Begin a connection, which is how an event loop does."""
        with suppress(OSError):  # files that are being replaced; the handshake tells
            self.read()
        return super().wrap_bio(incoming, outgoing, server_side, server_hostname, session)
