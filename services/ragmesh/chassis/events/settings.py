"""Settings of the event log."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, model_validator

from ragmesh.chassis.events.kafka.address import (
    SCHEME,
    Credentials,
    Encryption,
    KafkaAddress,
    Mechanism,
)
from ragmesh.chassis.settings import Section


class KafkaSettings(Section):
    """How a Kafka is entered, and how large topics are made there."""

    tls: bool = Field(
        False,
        description="Whether connections are encrypted; a file of certificates says so, too.",
    )
    ca_file: Path | None = Field(
        None,
        description="PEM file of the authorities that brokers are checked against; by default the "
        "system's.",
    )
    certificate_file: Path | None = Field(
        None, description="PEM file of the certificate that we show, if brokers ask for one."
    )
    key_file: Path | None = Field(None, description="PEM file of its key.")
    username: str | None = Field(None, description="Who we are, if brokers ask by SASL.")
    password: SecretStr | None = Field(None, description="Password of the username.")
    password_file: Path | None = Field(None, description="File of the password.")
    mechanism: Mechanism = Field(
        "SCRAM-SHA-512",
        description="How the password is proved. PLAIN sends it: only with tls.",
    )
    partitions: int = Field(
        12,
        ge=1,
        le=1_000,
        description="Partitions of a topic that `ragmesh topics apply` makes: so many indexers can "
        "share it. Never fewer than a topic has.",
    )
    replication: int = Field(
        3, ge=1, le=10, description="Brokers that hold each event of a topic that is made."
    )
    session_seconds: float = Field(
        45.0,
        ge=6.0,
        le=300.0,
        description="How long a process that consumes may say nothing before others get its "
        "events: after a kill they wait so long. Brokers allow 6 to 1800.",
    )

    @model_validator(mode="after")
    def _refuse_halves(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise ValueError("set username and password (or password_file), or neither")
        if (self.certificate_file is None) != (self.key_file is None):
            raise ValueError("set certificate_file and key_file, or neither")
        if self.username is not None and self.mechanism == "PLAIN" and self.encryption is None:
            raise ValueError("mechanism PLAIN sends the password as it is: set tls or ca_file")
        return self

    @property
    def credentials(self) -> Credentials | None:
        """Who we are; None = nobody asks."""
        if self.username is None or self.password is None:
            return None
        return Credentials(self.username, self.password.get_secret_value(), self.mechanism)

    @property
    def encryption(self) -> Encryption | None:
        """What connections are checked with; None = they are not encrypted."""
        files = (self.ca_file, self.certificate_file, self.key_file)
        return Encryption(*files) if self.tls or any(files) else None


class EventSettings(Section):
    """Where the event log lives."""

    url: str | None = Field(
        None,
        pattern=r"^(sqlite:///.+|kafka://.+)$",
        description="sqlite:///PATH, by default events.db in the data directory; or "
        "kafka://HOST:PORT[,HOST:PORT…][/PREFIX], where PREFIX begins the name of every topic and "
        "group.",
    )
    kafka: KafkaSettings = Field(KafkaSettings(), description="Of a URL of Kafka.")

    @model_validator(mode="after")
    def _refuse_what_is_no_address(self) -> Self:
        address = self.kafka_address
        if self.kafka != KafkaSettings() and address is None:
            raise ValueError("events.kafka is set, and events.url names no Kafka")
        return self

    @property
    def kafka_address(self) -> KafkaAddress | None:
        """The Kafka that keeps the log; None = a file does."""
        if self.url is None or not self.url.startswith(SCHEME):
            return None
        return KafkaAddress.parse(
            self.url, credentials=self.kafka.credentials, encryption=self.kafka.encryption
        )
