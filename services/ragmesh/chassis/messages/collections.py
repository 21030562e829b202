"""Collections: as they are asked for, as they are, and where their questions go."""

from __future__ import annotations

from collections.abc import Iterable

from ragmesh.api.indexing.v1 import catalog_pb2, catalog_service_pb2
from ragmesh.api.types.v1 import access_pb2, document_pb2
from ragmesh.chassis.messages.access import DEFAULT_ACCESS
from ragmesh.chassis.messages.enums import EnumNumbers
from ragmesh.chassis.messages.parts import moment_from_message, moment_to_message
from ragmesh.chassis.messages.texts import sendable
from ragmesh.core.documents import (
    Chunking,
    Collection,
    CollectionChange,
    DefaultAccess,
    NewCollection,
    Route,
)
from ragmesh.core.errors import InvalidError
from ragmesh.core.metadata import SortableField, SortKind, declare_sortable

_LARGEST = 2**32 - 1
SORT_KINDS = EnumNumbers(SortKind, document_pb2.SortKind)


def new_collection_to_message(new: NewCollection) -> catalog_service_pb2.CreateCollectionRequest:
    """A collection to make."""
    return catalog_service_pb2.CreateCollectionRequest(
        name=sendable(new.name, field="name"),
        description=sendable(new.description, field="description"),
        language=sendable(new.language, field="language"),
        encoder=sendable(new.encoder, field="encoder"),
        chunking=chunking_to_message(new.chunking),
        default_access=DEFAULT_ACCESS.number(new.default_access),
        sortable=[sortable_to_message(one) for one in new.sortable],
    )


def new_collection_from_message(
    message: catalog_service_pb2.CreateCollectionRequest,
) -> NewCollection:
    """A collection to make; open when nothing is said about access."""
    default = DefaultAccess.OPEN
    if message.default_access != access_pb2.DEFAULT_ACCESS_UNSPECIFIED:
        default = DEFAULT_ACCESS.member(message.default_access, field="default_access")
    return NewCollection(
        name=message.name,
        description=message.description,
        language=message.language,
        encoder=message.encoder,
        chunking=chunking_from_message(message.chunking),
        default_access=default,
        sortable=_declared(message.sortable),
    )


def collection_change_to_message(
    name: str, change: CollectionChange
) -> catalog_service_pb2.UpdateCollectionRequest:
    """What of a collection changes."""
    message = catalog_service_pb2.UpdateCollectionRequest(name=name)
    if change.description is not None:
        message.description = sendable(change.description, field="description")
    if change.default_access is not None:
        message.default_access = DEFAULT_ACCESS.number(change.default_access)
    return message


def collection_change_from_message(
    message: catalog_service_pb2.UpdateCollectionRequest,
) -> CollectionChange:
    """What of a collection changes."""
    access = None
    if message.default_access != access_pb2.DEFAULT_ACCESS_UNSPECIFIED:
        access = DEFAULT_ACCESS.member(message.default_access, field="default_access")
    described = message.description if message.HasField("description") else None
    return CollectionChange(described, access)


def collection_to_message(collection: Collection) -> catalog_pb2.Collection:
    """A collection."""
    return catalog_pb2.Collection(
        uid=collection.uid,
        tenant_uid=collection.tenant_uid,
        name=collection.name,
        description=collection.description,
        language=collection.language,
        encoder=collection.encoder,
        chunking=chunking_to_message(collection.chunking),
        default_access=DEFAULT_ACCESS.number(collection.default_access),
        sortable=[sortable_to_message(one) for one in collection.sortable],
        index_version=collection.index_version,
        documents=collection.documents,
        chunks=collection.chunks,
        created_at=moment_to_message(collection.created_at),
        updated_at=moment_to_message(collection.updated_at),
        warnings=collection.warnings,
        indexed_documents=collection.indexed_documents,
        pending_documents=collection.pending_documents,
        failed_documents=collection.failed_documents,
        dead_letters=collection.dead_letters,
        pending_since=None
        if collection.pending_since is None
        else moment_to_message(collection.pending_since),
    )


def collection_from_message(message: catalog_pb2.Collection) -> Collection:
    """A collection."""
    return Collection(
        uid=message.uid,
        tenant_uid=message.tenant_uid,
        name=message.name,
        description=message.description,
        language=message.language,
        encoder=message.encoder,
        chunking=chunking_from_message(message.chunking),
        default_access=DEFAULT_ACCESS.member(
            message.default_access, field="collection.default_access"
        ),
        sortable=tuple(sortable_from_message(one) for one in message.sortable),
        index_version=message.index_version,
        documents=message.documents,
        chunks=message.chunks,
        created_at=moment_from_message(message.created_at, field="collection.created_at"),
        updated_at=moment_from_message(message.updated_at, field="collection.updated_at"),
        warnings=tuple(message.warnings),
        indexed_documents=message.indexed_documents,
        pending_documents=message.pending_documents,
        failed_documents=message.failed_documents,
        dead_letters=message.dead_letters,
        pending_since=moment_from_message(message.pending_since, field="collection.pending_since")
        if message.HasField("pending_since")
        else None,
    )


def route_to_message(route: Route) -> catalog_pb2.Route:
    """Where a question goes."""
    return catalog_pb2.Route(
        tenant_uid=route.tenant_uid,
        collection_uid=route.collection_uid,
        collection=route.collection,
        language=route.language,
        encoder=route.encoder,
        index_version_uid=route.index_version_uid,
        index_version=route.index_version,
        epoch=route.epoch,
    )


def route_from_message(message: catalog_pb2.Route) -> Route:
    """Where a question goes."""
    return Route(
        tenant_uid=message.tenant_uid,
        collection_uid=message.collection_uid,
        collection=message.collection,
        language=message.language,
        encoder=message.encoder,
        index_version_uid=message.index_version_uid,
        index_version=message.index_version,
        epoch=message.epoch,
    )


def chunking_to_message(chunking: Chunking) -> document_pb2.Chunking:
    """How documents are split."""
    # A negative size, which the catalog refuses, has no place on the wire: it goes as too many.
    return document_pb2.Chunking(
        max_tokens=_sent(chunking.max_tokens), overlap_tokens=_sent(chunking.overlap_tokens)
    )


def chunking_from_message(message: document_pb2.Chunking) -> Chunking:
    """How documents are split."""
    return Chunking(message.max_tokens, message.overlap_tokens)


def sortable_to_message(field: SortableField) -> document_pb2.SortableField:
    """A field on which ranges work."""
    return document_pb2.SortableField(
        name=field.name, kind=SORT_KINDS.number(field.kind), slot=field.slot
    )


def sortable_from_message(message: document_pb2.SortableField) -> SortableField:
    """A field on which ranges work."""
    kind = SORT_KINDS.member(message.kind, field=f"sortable.{message.name}")
    return SortableField(message.name, kind, message.slot)


def _declared(messages: Iterable[document_pb2.SortableField]) -> tuple[SortableField, ...]:
    """The fields of a new collection, under the rules of those that a door declares."""
    sent = tuple(sortable_from_message(message) for message in messages)
    declared = declare_sortable({field.name: field.kind.value for field in sent})
    if declared != sent:
        raise InvalidError.of("sortable", "must name each field once, with slots from 0")
    return declared


def _sent(size: int) -> int:
    return size if 0 <= size <= _LARGEST else _LARGEST
