"""Rows that a transaction holds, so that what it read of them stays true until its commit.

SQLite's one writer holds everything, and these do nothing there. Elsewhere a transaction first
holds what it goes by, in this order: tenant, collection, documents by uid, the sequence of a
collection, the number of the last change of a key. Who keeps to it waits, and never for ever.

What was held is read after it was held: a statement sees what was committed before it began, not
what it waited for.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, select, text

from ragmesh.indexing.adapters.catalog.key_tables import key_changes
from ragmesh.indexing.adapters.catalog.tables import collections, documents, tenants

_LAST_CHANGE = select(key_changes.c.single).with_for_update(key_share=True)
_TENANT = select(tenants.c.uid).where(tenants.c.uid == bindparam("of_tenant"))
_KEPT_TENANT = _TENANT.with_for_update(read=True, key_share=True)
_WHOLE_TENANT = _TENANT.with_for_update()
_COLLECTION = select(collections.c.uid).where(collections.c.uid == bindparam("of_collection"))
_KEPT_COLLECTION_OF = (
    select(collections.c.uid)
    .join(documents, documents.c.collection_uid == collections.c.uid)
    .where(documents.c.uid == bindparam("of_document"))
    .with_for_update(read=True, key_share=True, of=collections)
)
_WHOLE_COLLECTION = _COLLECTION.with_for_update()
_IN_ORDER = select(documents.c.uid).order_by(documents.c.uid).with_for_update(key_share=True)
_DOCUMENTS = _IN_ORDER.where(documents.c.uid.in_(bindparam("of_documents", expanding=True)))
_NAMED_DOCUMENTS = _IN_ORDER.where(
    documents.c.collection_uid == bindparam("of_collection"),
    documents.c.document_id.in_(bindparam("of_ids", expanding=True)),
)


_QUEUE = text("SELECT pg_try_advisory_xact_lock(hashtextextended(:of_queue, 0))")


def has_one_writer(connection: Connection) -> bool:
    """Whether nothing can change under the transaction anyway."""
    return connection.dialect.name == "sqlite"


def keep_tenant(connection: Connection, tenant_uid: str) -> None:
    """Nobody deletes the tenant meanwhile."""
    if not has_one_writer(connection):
        connection.execute(_KEPT_TENANT, {"of_tenant": tenant_uid})


def hold_tenant(connection: Connection, tenant_uid: str) -> None:
    """Nobody else goes by the tenant meanwhile."""
    if not has_one_writer(connection):
        connection.execute(_WHOLE_TENANT, {"of_tenant": tenant_uid})


def keep_collection_of(connection: Connection, document_uid: str) -> None:
    """Nobody changes or deletes the document's collection meanwhile."""
    if not has_one_writer(connection):
        connection.execute(_KEPT_COLLECTION_OF, {"of_document": document_uid})


def hold_collection(connection: Connection, collection_uid: str) -> None:
    """Nobody else goes by the collection meanwhile."""
    if not has_one_writer(connection):
        connection.execute(_WHOLE_COLLECTION, {"of_collection": collection_uid})


def hold_documents(connection: Connection, uids: Sequence[str]) -> None:
    """Nobody else changes these documents meanwhile."""
    if uids and not has_one_writer(connection):
        connection.execute(_DOCUMENTS, {"of_documents": list(uids)})


def hold_named_documents(
    connection: Connection, collection_uid: str, document_ids: Sequence[str]
) -> bool:
    """Nobody else changes the documents of these ids meanwhile; whether there may be any."""
    if not document_ids or has_one_writer(connection):
        return bool(document_ids)
    values = {"of_collection": collection_uid, "of_ids": list(document_ids)}
    return connection.execute(_NAMED_DOCUMENTS, values).first() is not None


def hold_changes(connection: Connection) -> None:
    """Nobody else changes a key or tenant meanwhile: there are few who do."""
    if not has_one_writer(connection):
        connection.execute(_LAST_CHANGE)


def hold_queue(connection: Connection, name: str) -> bool:
    """Whether this transaction has the turn of a queue, so that no other one has it meanwhile."""
    if has_one_writer(connection):
        return True
    return bool(connection.execute(_QUEUE, {"of_queue": f"ragmesh outbox {name}"}).scalar())
