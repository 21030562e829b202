"""Where a Kafka is, what it is told about us, and how our topics and groups are called there."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Self

SCHEME = "kafka://"
Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]
_SERVER = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}")
_PREFIX = re.compile(r"[A-Za-z0-9._-]{0,100}")


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who we are, for brokers that want to know."""

    username: str
    password: str = field(repr=False)
    mechanism: Mechanism


@dataclass(frozen=True, slots=True)
class Encryption:
    """What an encrypted connection is checked with; the system's authorities without a file."""

    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None


@dataclass(frozen=True, slots=True)
class KafkaAddress:
    """One Kafka, and the share of it that is ours."""

    servers: tuple[str, ...]
    """Brokers to ask first, as HOST:PORT; they name the others."""
    prefix: str = ""
    """What every topic and group of ours begins with, so that meshes can share brokers."""
    credentials: Credentials | None = None
    encryption: Encryption | None = None

    @classmethod
    def parse(
        cls,
        url: str,
        *,
        credentials: Credentials | None = None,
        encryption: Encryption | None = None,
    ) -> Self:
        """The address in `kafka://HOST:PORT[,HOST:PORT…][/PREFIX]`; else ValueError."""
        place, _, prefix = url.removeprefix(SCHEME).partition("/")
        servers = tuple(place.split(","))
        whole = url.startswith(SCHEME) and all(map(_SERVER.fullmatch, servers))
        if not whole or not _PREFIX.fullmatch(prefix):
            raise ValueError(
                "events.url must be kafka://HOST:PORT[,HOST:PORT…][/PREFIX]; user and password"
                " are set in events.kafka"
            )
        return cls(servers, prefix, credentials, encryption)

    def topic(self, name: str) -> str:
        """What a topic of ours is called there."""
        return self.prefix + name

    def name_of(self, topic: str) -> str:
        """What a topic there is called here."""
        return topic.removeprefix(self.prefix)

    def group(self, group: str, topic: str) -> str:
        """The consumer group of one of our groups on one topic.

        Members of a Kafka group stop one another whenever one comes or goes, whatever topic it
        reads: a group of its own for each topic keeps the lanes apart.
        """
        return f"{self.prefix}{group}:{topic}"

    def __str__(self) -> str:
        """The URL, which holds no secret."""
        tail = f"/{self.prefix}" if self.prefix else ""
        return f"{SCHEME}{','.join(self.servers)}{tail}"
