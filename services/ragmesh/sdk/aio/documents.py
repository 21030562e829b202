"""Documents: in, what there is, and out again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from typing import Any

from ragmesh.core import names
from ragmesh.core.callers import Access
from ragmesh.core.documents import (
    Accepted,
    Document,
    DocumentContent,
    DocumentText,
    Revision,
    Upload,
    UploadOutcome,
)
from ragmesh.core.errors import InvalidError
from ragmesh.core.metadata import Metadata
from ragmesh.sdk.aio.connection import AsyncConnection
from ragmesh.sdk.arguments import (
    BATCH_BYTES,
    FilterTree,
    Source,
    batched,
    change_of,
    filter_of,
    size_of,
    upload_of,
    upload_or_error,
)


class AsyncDocuments(AsyncConnection):
    """Sends, reads, changes and deletes documents."""

    async def create_document(
        self,
        collection: str,
        source: Source,
        *,
        document_id: str | None = None,
        title: str = "",
        metadata: Metadata | Mapping[str, Any] | None = None,
        access: Access | Iterable[str] | None = None,
    ) -> Accepted:
        """Send one document; its job indexes it, and `wait` returns when it can be found.

        `source` is a file by its `Path`, bytes, a text, or an Upload that says everything. More
        than a megabyte is streamed. A file gets its name as its id, the rest one from the mesh
        unless `document_id` is given; the same id again makes a new revision, or nothing when
        nothing is new. `access` names the groups that may see it; None = the collection's default.

        Raises PathUnreadableError, EmptyFileError, FileTooLargeError, CollectionNotFoundError,
        InvalidError, ExhaustedError.
        """
        name = names.collection_name(collection)
        upload = await asyncio.to_thread(upload_of, source, document_id, title, metadata, access)
        return await self._calls.change(lambda: self._gateway.create_document(name, upload))

    async def create_documents(
        self, collection: str, sources: Iterable[Source]
    ) -> AsyncGenerator[UploadOutcome, None]:
        """What becomes of each document, in order: Accepted, or the error that refuses it alone.

        They are read and sent in requests of a megabyte, as the outcomes are asked for, however
        many there are. Raises what concerns all of them, such as CollectionNotFoundError.
        """
        name = names.collection_name(collection)
        batches = batched(map(upload_or_error, sources), size_of)
        while (batch := await asyncio.to_thread(next, batches, None)) is not None:
            uploads = tuple(one for one in batch if isinstance(one, Upload))
            sent = iter(await self._send(name, uploads))
            for one in batch:
                yield next(sent) if isinstance(one, Upload) else one

    async def _send(self, name: str, uploads: Sequence[Upload]) -> Sequence[UploadOutcome]:
        if not uploads:
            return ()
        if size_of(uploads[0]) <= BATCH_BYTES:
            return await self._calls.change(lambda: self._gateway.create_documents(name, uploads))
        (large,) = uploads
        try:
            return (await self.create_document(name, large),)
        except InvalidError as error:  # as in a batch, where it refuses this document alone
            return (error,)

    async def get_document(self, collection: str, document_id: str) -> Document:
        """One document without its content. Raises DocumentNotFoundError."""
        where = _named(collection, document_id)
        return await self._calls.read(lambda: self._gateway.get_document(*where))

    async def get_document_text(
        self, collection: str, document_id: str, *, revision: int | None = None
    ) -> DocumentText:
        """The text that spans count in, in Unicode code points; None = of the current revision.

        Raises DocumentNotFoundError, RevisionNotFoundError.
        """
        where = _named(collection, document_id)
        return await self._calls.read(
            lambda: self._gateway.get_document_text(*where, revision=revision)
        )

    async def get_document_content(
        self, collection: str, document_id: str, *, revision: int | None = None
    ) -> DocumentContent:
        """The bytes that were sent. Raises DocumentNotFoundError, RevisionNotFoundError."""
        where = _named(collection, document_id)
        return await self._calls.read(
            lambda: self._gateway.get_document_content(*where, revision=revision)
        )

    def list_documents(
        self, collection: str, *, filter: FilterTree | None = None
    ) -> AsyncGenerator[Document, None]:
        """Every document that the caller may see; pages are read as they are needed."""
        name, wanted = names.collection_name(collection), filter_of(filter)
        return self._calls.each(
            lambda page: self._gateway.list_documents(name, filter=wanted, page=page)
        )

    async def update_document(
        self,
        collection: str,
        document_id: str,
        *,
        title: str | None = None,
        metadata: Metadata | Mapping[str, Any] | None = None,
        access: Access | Iterable[str] | None = None,
        reset_access: bool = False,
    ) -> Accepted:
        """Change attributes without embedding anything; None leaves one, metadata is replaced.

        A tighter access is in force when this returns; `reset_access` gives the document the
        collection's default. Raises DocumentNotFoundError, InvalidError.
        """
        where = _named(collection, document_id)
        change = change_of(title, metadata, access, reset_access=reset_access)
        return await self._calls.change(lambda: self._gateway.update_document(*where, change))

    async def delete_document(self, collection: str, document_id: str) -> Accepted:
        """Delete a document; no question finds it when this returns. Raises DocumentNotFoundError.

        Its job erases what is stored of it.
        """
        where = _named(collection, document_id)
        return await self._calls.change(lambda: self._gateway.delete_document(*where))

    def list_revisions(self, collection: str, document_id: str) -> AsyncGenerator[Revision, None]:
        """What a document has held, the newest first; deletes are revisions, too."""
        where = _named(collection, document_id)
        return self._calls.each(lambda page: self._gateway.list_revisions(*where, page))

    async def restore_revision(self, collection: str, document_id: str, revision: int) -> Accepted:
        """Make an earlier content the newest revision, also of a deleted document.

        Raises DocumentNotFoundError, RevisionNotFoundError.
        """
        where = _named(collection, document_id)
        return await self._calls.change(lambda: self._gateway.restore_revision(*where, revision))


def _named(collection: str, document_id: str) -> tuple[str, str]:
    return names.collection_name(collection), names.document_id(document_id)
