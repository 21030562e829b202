"""Where a catalog is that several processes share, and how it is used."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

_DEFAULT_PORT = 5432
_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Tls:
    """How a connection is protected: who is believed, and what it proves itself with."""

    ca_file: Path | None = None
    """None = whom the system believes."""
    certificate_file: Path | None = None
    key_file: Path | None = None


@dataclass(frozen=True, slots=True)
class PostgresPlace:
    """A database of a PostgreSQL server."""

    url: str
    password_file: Path | None = None
    tls: Tls | None = None
    """None = in the clear."""
    connections: int = 10
    connect_seconds: float = 5.0
    statement_seconds: float = 5.0
    """Longest time of a statement, and of waiting for a connection or a lock."""
    application: str = "ragmesh"
    """How the server's administrator sees the process."""

    def __str__(self) -> str:
        return f"postgresql://{self.user}@{self.host}:{self.port}/{self.database}"

    @property
    def host(self) -> str:
        """The server."""
        return urlsplit(self.url).hostname or "localhost"

    @property
    def port(self) -> int:
        """Where the server listens."""
        return urlsplit(self.url).port or _DEFAULT_PORT

    @property
    def user(self) -> str:
        """Who logs in."""
        return unquote(urlsplit(self.url).username or "")

    @property
    def database(self) -> str:
        """The database's name."""
        return unquote(urlsplit(self.url).path.removeprefix("/"))

    @property
    def is_local(self) -> bool:
        """Whether nobody is in between."""
        return self.host in _LOCAL

    @property
    def transaction_seconds(self) -> float:
        """Longest time of a transaction, from waiting for its connection to its commit."""
        return 2 * self.statement_seconds
