"""What tells a catalog from any other, also once it was moved or restored."""

from __future__ import annotations

from uuid import uuid4

from sqlalchemy import Connection, select, text

from ragmesh.indexing.adapters.catalog.store import Store
from ragmesh.indexing.adapters.catalog.tables import identities

_KNOWN = select(identities.c.uid)
_MAKE = text("INSERT INTO identities (single, uid) VALUES (1, :uid) ON CONFLICT DO NOTHING")


class SqlIdentity(Store):
    """The catalog's own uid."""

    async def identify(self) -> str:
        """The same uid for as long as the catalog lives, in every process that uses it."""
        found = await self._read(_known)
        if not found:
            await self._write(_make)
            found = await self._read(_known)
        return found


def _known(connection: Connection) -> str:
    return str(connection.execute(_KNOWN).scalar() or "")


def _make(connection: Connection) -> None:
    connection.execute(_MAKE, {"uid": uuid4().hex})
