# Generated from ragmesh/sdk/aio/collections.py by tools/generate_blocking.py; edit that instead.
"""Collections: what there is to ask."""

from __future__ import annotations

from collections.abc import Generator, Mapping

from ragmesh.core.documents import (
    WHOLE_WINDOW,
    Chunking,
    Collection,
    CollectionChange,
    DefaultAccess,
    NewCollection,
)
from ragmesh.core.metadata import declare_sortable
from ragmesh.core.names import collection_name
from ragmesh.sdk.arguments import member_of
from ragmesh.sdk.blocking.connection import Connection

_NOTHING_SORTABLE: Mapping[str, str] = {}


class Collections(Connection):
    """Makes, lists, changes and deletes collections."""

    def create_collection(  # noqa: PLR0913 - one a field of the request
        self,
        name: str,
        *,
        description: str = "",
        language: str = "",
        encoder: str = "",
        chunking: Chunking = WHOLE_WINDOW,
        default_access: DefaultAccess | str = DefaultAccess.OPEN,
        sortable: Mapping[str, str] = _NOTHING_SORTABLE,
    ) -> Collection:
        """Make an empty collection; empty strings mean what the mesh does by default.

        `sortable` names the metadata fields on which ranges work, each with `number` or
        `datetime`. Raises CollectionExistsError, InvalidError.
        """
        new = NewCollection(
            name=collection_name(name),
            description=description,
            language=language,
            encoder=encoder,
            chunking=chunking,
            default_access=member_of(DefaultAccess, default_access, field="default_access"),
            sortable=declare_sortable(sortable),
        )
        return self._calls.change(lambda: self._gateway.create_collection(new))

    def get_collection(self, name: str) -> Collection:
        """One collection with its counts. Raises CollectionNotFoundError."""
        checked = collection_name(name)
        return self._calls.read(lambda: self._gateway.get_collection(checked))

    def list_collections(self) -> Generator[Collection, None, None]:
        """Every collection, by name; pages are read as they are needed."""
        return self._calls.each(lambda page: self._gateway.list_collections(page))

    def update_collection(
        self,
        name: str,
        *,
        description: str | None = None,
        default_access: DefaultAccess | str | None = None,
    ) -> Collection:
        """Change what needs no new index version; None leaves a field as it is.

        A tighter default access is in force when this returns. Raises CollectionNotFoundError.
        """
        checked = collection_name(name)
        access = (
            None
            if default_access is None
            else member_of(DefaultAccess, default_access, field="default_access")
        )
        change = CollectionChange(description, access)
        return self._calls.change(lambda: self._gateway.update_collection(checked, change))

    def delete_collection(self, name: str) -> None:
        """Delete a collection with all its documents; its name is free at once.

        Raises CollectionNotFoundError.
        """
        checked = collection_name(name)
        self._calls.change(lambda: self._gateway.delete_collection(checked))
