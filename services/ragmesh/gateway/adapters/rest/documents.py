"""Documents and their revisions over HTTP."""

from __future__ import annotations

import re
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import Path, Query, Request, Response

from ragmesh.chassis.callers import current_principal
from ragmesh.core.documents import DocumentContent
from ragmesh.core.errors import InvalidError, InvalidFilterError
from ragmesh.core.filters import parse_filter
from ragmesh.core.names import collection_name
from ragmesh.core.names import document_id as document_name
from ragmesh.core.questions import parse_limit
from ragmesh.gateway.adapters.rest.bodies import FILTER_TEXT, DocumentPatch
from ragmesh.gateway.adapters.rest.context import (
    CollectionName,
    Context,
    DocumentId,
    PageSize,
    PageToken,
    page_request,
    parse_json,
)
from ragmesh.gateway.adapters.rest.document_replies import (
    AcceptedReply,
    DocumentReply,
    DocumentsReply,
    OutcomeReply,
    RevisionReply,
    RevisionsReply,
    TextReply,
    UploadedReply,
)
from ragmesh.gateway.adapters.rest.shapes import COUNT
from ragmesh.gateway.adapters.rest.streams import while_connected
from ragmesh.gateway.adapters.rest.uploads import all_ended, read_uploads

RevisionQuery = Annotated[
    int | None, Query(ge=1, le=2**31, description="A revision; the current one when missing.")
]
RevisionPath = Annotated[int, Path(ge=1, le=2**31, description="The revision to restore.")]
FilterQuery = Annotated[str, Query(description=FILTER_TEXT + " As JSON.")]
Wait = Annotated[
    int,
    Query(
        description="Seconds to wait for the jobs, at most `gateway.wait_seconds`; 200 instead of "
        "202 when all ended.",
        json_schema_extra=COUNT,
    ),
]
_MEDIA_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+(; ?[\w-]+=[\w.+-]+)*", re.ASCII)
_ANY_BYTES = "application/octet-stream"


class DocumentEndpoints:
    """Translates calls about documents."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._catalog = context.service.catalog
        self._service = context.service

    async def create(
        self, collection: CollectionName, request: Request, response: Response, wait: Wait = 0
    ) -> Any:
        """Each document is accepted or refused by itself.

        What is accepted is durable when this answers; its job says when it can be found. When
        none is accepted, the answer is a problem. With an `Idempotency-Key` the same request is
        done once and answered the same for 24 hours.
        """
        caller = current_principal()
        service = self._context.service
        if wait:
            parse_limit(wait, field="wait", most=service.limits.wait_seconds)
        incoming = await read_uploads(request, pool=self._context.pool, limits=service.limits)
        outcomes = tuple(await service.upload_each(caller, collection, incoming.uploads))
        incoming.refuse_all_refused(outcomes)
        if wait:
            settling = service.settle(caller, outcomes, seconds=wait)
            outcomes = await while_connected(request, settling)
        response.status_code = 200 if all_ended(outcomes) else 202
        replies = [
            OutcomeReply.of(outcome, incoming.refused_id(position))
            for position, outcome in enumerate(outcomes)
        ]
        return UploadedReply(documents=replies)

    async def list(
        self,
        collection: CollectionName,
        filter: FilterQuery = "",
        page_size: PageSize = 0,
        page_token: PageToken = "",
    ) -> Any:
        """Those that the caller may see."""
        tree = _tree(filter) if filter else None
        page = await self._catalog.list_documents(
            current_principal(),
            collection_name(collection),
            filter=parse_filter(tree),
            page=page_request(page_size, page_token),
        )
        return DocumentsReply(
            documents=[DocumentReply.of(document) for document in page.items],
            next_page_token=page.next_token,
        )

    async def get(self, collection: CollectionName, document_id: DocumentId) -> Any:
        """One document without its content."""
        caller = current_principal()
        names = _names(collection, document_id)
        return DocumentReply.of(await self._catalog.get_document(caller, *names))

    async def update(
        self,
        collection: CollectionName,
        document_id: DocumentId,
        body: DocumentPatch,
    ) -> Any:
        """Title, metadata or access; what is missing stays. A tighter access holds at once."""
        caller = current_principal()
        names = _names(collection, document_id)
        accepted = await self._catalog.update_document(caller, *names, body.change())
        return AcceptedReply.of(accepted)

    async def delete(self, collection: CollectionName, document_id: DocumentId) -> Any:
        """It is not found any more once this answers; its job removes its remains."""
        caller = current_principal()
        names = _names(collection, document_id)
        return AcceptedReply.of(await self._catalog.delete_document(caller, *names))

    async def text(
        self,
        collection: CollectionName,
        document_id: DocumentId,
        revision: RevisionQuery = None,
    ) -> Any:
        """What was read out of the document; every span counts in it."""
        caller = current_principal()
        names = _names(collection, document_id)
        found = await self._service.get_document_text(caller, *names, revision=revision)
        return TextReply(text=found.text, revision=found.revision)

    async def content(
        self,
        collection: CollectionName,
        document_id: DocumentId,
        revision: RevisionQuery = None,
    ) -> Response:
        """The original bytes, as an attachment that browsers do not open by themselves."""
        caller = current_principal()
        names = _names(collection, document_id)
        found = await self._service.get_document_content(caller, *names, revision=revision)
        return Response(
            found.content,
            media_type=_media_type(found.content_type),
            headers={
                "Content-Disposition": _attachment(found),
                "Content-Security-Policy": "sandbox",
                "X-Content-Type-Options": "nosniff",
                "X-Ragmesh-Revision": str(found.revision),
            },
        )

    async def revisions(
        self,
        collection: CollectionName,
        document_id: DocumentId,
        page_size: PageSize = 0,
        page_token: PageToken = "",
    ) -> Any:
        """The newest first; a deleted one marks the document as deleted."""
        caller = current_principal()
        names = _names(collection, document_id)
        page = await self._catalog.list_revisions(
            caller, *names, page_request(page_size, page_token)
        )
        return RevisionsReply(
            revisions=[RevisionReply.of(revision) for revision in page.items],
            next_page_token=page.next_token,
        )

    async def restore(
        self,
        collection: CollectionName,
        document_id: DocumentId,
        revision: RevisionPath,
    ) -> Any:
        """Its content becomes a new revision."""
        caller = current_principal()
        names = _names(collection, document_id)
        return AcceptedReply.of(await self._catalog.restore_revision(caller, *names, revision))


def _names(collection: str, document_id: str) -> tuple[str, str]:
    return collection_name(collection), document_name(document_id)


def _tree(text: str) -> Any:
    try:
        return parse_json(text, field="filter")
    except InvalidError as error:
        raise InvalidFilterError(error.message, violations=error.violations) from None


def _media_type(claimed: str) -> str:
    """What the sender claimed, as long as it can stand in a header."""
    return claimed if _MEDIA_TYPE.fullmatch(claimed) else _ANY_BYTES


def _attachment(content: DocumentContent) -> str:
    return f"attachment; filename*=UTF-8''{quote(content.filename or content.document_id, safe='')}"
