"""What aiokafka's errors mean to us."""

from __future__ import annotations

import ssl
from types import MappingProxyType

from aiokafka import errors as kafka
from aiokafka.conn import create_conn
from aiokafka.protocol.metadata import MetadataRequest

from ragmesh.chassis.events.kafka.address import KafkaAddress
from ragmesh.core.errors import (
    EventLogCredentialsError,
    EventLogDeniedError,
    EventLogUnreachableError,
    EventLogVersionError,
    RagmeshError,
    TopicMissingError,
    UnavailableError,
)

KAFKA_ERRORS = (kafka.KafkaError, kafka.IllegalOperation, OSError, TimeoutError)
"""Whatever an operation of aiokafka may raise; a certificate that is refused is an OSError."""

_MEANINGS = MappingProxyType(
    {
        kafka.AuthenticationFailedError: EventLogCredentialsError,
        kafka.AuthenticationMethodNotSupported: EventLogCredentialsError,
        kafka.SaslAuthenticationFailed: EventLogCredentialsError,
        kafka.UnsupportedSaslMechanismError: EventLogCredentialsError,
        kafka.IllegalSaslStateError: EventLogCredentialsError,
        ssl.SSLError: EventLogCredentialsError,
        kafka.TopicAuthorizationFailedError: EventLogDeniedError,
        kafka.GroupAuthorizationFailedError: EventLogDeniedError,
        kafka.ClusterAuthorizationFailedError: EventLogDeniedError,
        kafka.UnknownTopicOrPartitionError: TopicMissingError,
        kafka.UnsupportedVersionError: EventLogVersionError,
        kafka.IncompatibleBrokerVersion: EventLogVersionError,
        kafka.UnrecognizedBrokerVersion: EventLogVersionError,
    }
)
_SENTENCES: MappingProxyType[type[RagmeshError], str] = MappingProxyType(
    {
        EventLogCredentialsError: "does not accept our credentials or shows false ones",
        EventLogDeniedError: "does not let us do this",
        TopicMissingError: "does not have a topic; `ragmesh topics apply` makes what is missing",
        EventLogVersionError: "is no broker of a version that we can talk to",
        EventLogUnreachableError: "does not answer",
    }
)
_LOOK_MILLISECONDS = 3_000


def fault_of(error: BaseException, address: KafkaAddress) -> UnavailableError:
    """What an error of an operation means; the type of what happened goes along, no secret."""
    meaning: type[UnavailableError] = EventLogUnreachableError
    for kind, found in _MEANINGS.items():
        if isinstance(error, kind):
            meaning = found
    return meaning(
        f"{address} {_SENTENCES[meaning]} ({type(error).__name__})",
        metadata={"cause": type(error).__name__},
    )


async def diagnosed(error: BaseException, address: KafkaAddress) -> UnavailableError:
    """The same, when aiokafka only says that it cannot connect: why is looked up."""
    if isinstance(error, kafka.KafkaConnectionError | kafka.NodeNotReadyError | TimeoutError):
        return await look(address) or fault_of(error, address)
    return fault_of(error, address)


async def look(address: KafkaAddress) -> UnavailableError | None:
    """Why the first brokers cannot be talked to; None when one of them can."""
    from ragmesh.chassis.events.kafka.clients import connection_options

    fault: UnavailableError | None = None
    for server in address.servers:
        host, _, port = server.rpartition(":")
        try:
            options = {**connection_options(address), "request_timeout_ms": _LOOK_MILLISECONDS}
            made = await create_conn(host.strip("[]"), int(port), **options)
            try:
                await made.send(MetadataRequest([]))
            finally:
                made.close()
        except KAFKA_ERRORS as error:
            fault = fault_of(error, address)
        else:
            return None
    return fault
