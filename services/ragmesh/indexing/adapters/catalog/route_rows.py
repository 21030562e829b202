"""How the questions of collections are shared, as rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection, delete, select, update

from ragmesh.core.migrations import CollectionRoute, RouteShare
from ragmesh.indexing.adapters.catalog.follower_queries import primary_of
from ragmesh.indexing.adapters.catalog.key_changes import next_change
from ragmesh.indexing.adapters.catalog.selecting import collections_of, select_collections
from ragmesh.indexing.adapters.catalog.store import batches, insert_all, rows_of
from ragmesh.indexing.adapters.catalog.tables import collections, index_versions, routes
from ragmesh.indexing.rows import CollectionRow


def set_route(
    connection: Connection, collection_uid: str, weights: Mapping[str, int], now: datetime
) -> None:
    """Share the questions anew; the primary keeps its place also without any."""
    if not weights:
        return
    of_collection = routes.c.collection_uid == collection_uid
    before = rows_of(connection, select(routes).where(of_collection))
    epoch = max(row["epoch"] for row in before) + 1
    lost = [row["index_version_uid"] for row in before if row["weight"]]
    lost = [uid for uid in lost if not weights.get(uid)]
    connection.execute(delete(routes).where(of_collection))
    insert_all(
        connection,
        routes,
        [
            {
                "collection_uid": collection_uid,
                "index_version_uid": uid,
                "weight": weight,
                "epoch": epoch,
            }
            for uid, weight in weights.items()
        ],
    )
    for uids, since in ((lost, now), ([uid for uid, weight in weights.items() if weight], None)):
        connection.execute(
            update(index_versions)
            .where(index_versions.c.uid.in_(uids))
            .values(weightless_since=since)
        )
    _follow_primary(connection, collection_uid)
    note_route(connection, collection_uid)


def _follow_primary(connection: Connection, collection_uid: str) -> None:
    """The collection speaks the language that its primary was built for."""
    language = select(index_versions.c.language).where(
        index_versions.c.uid == primary_of(connection, collection_uid)
    )
    connection.execute(
        update(collections)
        .where(collections.c.uid == collection_uid)
        .values(language=language.scalar_subquery())
    )


def note_route(connection: Connection, collection_uid: str) -> None:
    """Whoever follows routes has something to hear of this collection."""
    change = next_change(connection)
    connection.execute(
        update(collections).where(collections.c.uid == collection_uid).values(changed=change)
    )


def routes_of(connection: Connection, uids: Sequence[str]) -> tuple[CollectionRoute, ...]:
    """The routes of these collections, as far as they are live."""
    found: list[CollectionRow] = []
    for part in batches(uids):
        statement = select_collections().where(collections.c.uid.in_(part))
        found += collections_of(rows_of(connection, statement))
    return tuple(
        CollectionRoute(
            tenant_uid=one.tenant_uid,
            collection_uid=one.uid,
            collection=one.name,
            shares=tuple(
                RouteShare(share.uid, share.name, share.weight, share.encoder, share.language)
                for share in one.serving
            ),
            epoch=one.epoch,
        )
        for one in found
    )
