"""What making and restoring a backup needs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol

Row = Sequence[Any]
"""Values of one row as JSON can say them, in the order of the table's columns."""


def characters_of(rows: Sequence[Row]) -> int:
    """How much text they hold: some rows are as long as golden questions are many."""
    return sum(len(value) for row in rows for value in row if isinstance(value, str))


@dataclass(frozen=True, slots=True)
class NamedFile:
    """A blob that the catalog names."""

    key: str
    sha256: str
    """Of its content; empty where the catalog does not know."""
    size_bytes: int
    """As large as it is at least about."""


class CatalogMoment(Protocol):
    """The catalog as it was at one moment, however long it is read."""

    schema: str
    """Which one it has; the one of this version."""
    uid: str
    """What tells it from every other catalog; empty when nobody has asked yet."""
    audit_entry: int
    """Number of its newest audit entry."""

    @property
    def tables(self) -> Sequence[tuple[str, Sequence[str]]]:
        """Every table that is copied, with its columns."""

    def rows(self, table: str) -> AsyncIterator[Sequence[Row]]:
        """All rows of the table, in bounded pages."""


class CatalogSource(Protocol):
    """A catalog that is read while others write it."""

    def named_files(self) -> AsyncIterator[Sequence[NamedFile]]:
        """The blobs that revisions name, each page as it is when it is read."""

    async def still_named(self, keys: Sequence[str]) -> frozenset[str]:
        """Those of the keys that a revision names now."""

    def moment(self) -> AbstractAsyncContextManager[CatalogMoment]:
        """The catalog as it is when the block begins."""


class FileSource(Protocol):
    """The blobs of a mesh."""

    async def read(self, key: str) -> bytes | None:
        """The bytes; None when the store is there and the blob is not."""


class CatalogFilling(Protocol):
    """A catalog in the making, which nobody sees before it is whole."""

    async def insert(self, table: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
        """Add rows to a table."""


class CatalogTarget(Protocol):
    """Where a catalog is restored."""

    async def require_empty(self) -> None:
        """RestoreRefusedError where anything is in it."""

    def filling(self, schema: str) -> AbstractAsyncContextManager[CatalogFilling]:
        """A catalog of that schema; brought to this version's and seen once the block ends well."""


class FileTarget(Protocol):
    """Where blobs are restored."""

    async def require_fit(self, catalog_uid: str) -> None:
        """RestoreRefusedError where another catalog's blobs are."""

    async def begin(self, catalog_uid: str) -> None:
        """Make the place ready, and that catalog's."""

    def keys(self) -> AsyncIterator[Sequence[str]]:
        """What is there already."""

    async def put_back(self, key: str, content: bytes) -> bool:
        """Have the blob there under its key; whether it was not."""


class BackupPlace(Protocol):
    """Where one backup is: a few files under plain names."""

    @property
    def name(self) -> str:
        """The place as a person names it."""

    async def create(self, name: str, content: bytes) -> None:
        """Write what is not there yet; durable when this returns."""

    async def read(self, name: str) -> bytes | None:
        """What is there; None when nothing is."""

    async def remove(self, names: Sequence[str]) -> None:
        """Forget what is there; nothing is no error."""
