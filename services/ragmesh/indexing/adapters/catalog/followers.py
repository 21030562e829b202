"""Versions that follow the primary: what they are given to do, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, and_, bindparam, delete, func, insert, select

from ragmesh.core.documents import Failure
from ragmesh.core.errors import SupersededError
from ragmesh.core.ids import new_uid
from ragmesh.core.index import Head
from ragmesh.indexing.adapters.catalog.follower_queries import (
    FOLLOWS,
    OWN_WORK,
    Pair,
    following,
    lagging_rows,
    primary_of,
    progress_of,
    settle,
    work_row,
)
from ragmesh.indexing.adapters.catalog.locking import hold_documents, keep_collection_of
from ragmesh.indexing.adapters.catalog.migration_tables import follower_work
from ragmesh.indexing.adapters.catalog.outbox import OVERDUE
from ragmesh.indexing.adapters.catalog.publishing import put_head
from ragmesh.indexing.adapters.catalog.saving import announce, take_sequences
from ragmesh.indexing.adapters.catalog.store import Store, batches, insert_all, row_of, rows_of
from ragmesh.indexing.adapters.catalog.tables import (
    documents,
    heads,
    index_versions,
    outbox,
    routes,
)
from ragmesh.indexing.migration_state import FollowerProgress
from ragmesh.indexing.records import IndexState, Publication, Topic, Work, WorkLane
from ragmesh.indexing.rows import Move, Outcome

_LONGEST_PAUSE = timedelta(minutes=5)
_MOST_DOUBLED = 9
"""By then it is the longest; what fails for hours would not fit into a time any more."""
_HISTORY = ("attempts", "reason", "retry_at", "failed_at")
"""What is kept of work that failed while it is under way once more."""
_UNDER_WAY = select(func.count()).where(
    follower_work.c.index_version_uid == bindparam("of_version"),
    follower_work.c.relayed_at >= bindparam("since"),
)
_REMOVALS = (
    select(follower_work, documents.c.tenant_uid, documents.c.collection_uid)
    .join(documents, documents.c.uid == follower_work.c.document_uid)
    .where(
        follower_work.c.index_version_uid == bindparam("of_version"),
        follower_work.c.removal.is_(True),
        (follower_work.c.relayed_at.is_(None)) | (follower_work.c.relayed_at < bindparam("since")),
        (follower_work.c.retry_at.is_(None)) | (follower_work.c.retry_at <= bindparam("until")),
    )
    .limit(bindparam("most"))
)
_FENCE = (
    select(
        documents,
        index_versions.c.state.label("version_state"),
        index_versions.c.role.label("version_role"),
        heads.c.revision.label("head_revision"),
        heads.c.generation.label("head_generation"),
        heads.c.damaged.label("head_damaged"),
        routes.c.weight.label("version_weight"),
        index_versions.c.weightless_since,
    )
    .join(index_versions, index_versions.c.collection_uid == documents.c.collection_uid)
    .outerjoin(
        heads,
        and_(
            heads.c.index_version_uid == index_versions.c.uid,
            heads.c.document_uid == documents.c.uid,
        ),
    )
    .outerjoin(routes, routes.c.index_version_uid == index_versions.c.uid)
    .where(
        documents.c.uid == bindparam("of_document"),
        index_versions.c.uid == bindparam("of_version"),
    )
)


class SqlFollowers(Store):
    """Candidates and retained versions, behind the primary."""

    async def follower_progress(self, collection_uid: str) -> dict[str, FollowerProgress]:
        """How far each version that follows is behind, by its uid."""

        now = self._clock.now()

        def unit(connection: Connection) -> dict[str, FollowerProgress]:
            primary = primary_of(connection, collection_uid)
            return {
                uid: progress_of(connection, Pair(uid, primary), now)
                for uid in following(connection, collection_uid)
            }

        return await self._read(unit)

    async def feed_follower(
        self, index_version_uid: str, *, after: str, limit: int, window: int
    ) -> tuple[int, str]:
        """Hand the next lagging documents to the workers; how many, and where to go on from.

        Never more than `window` are under way; the place is empty once the end was reached.
        """
        now = self._clock.now()

        def unit(connection: Connection) -> tuple[int, str]:
            version = row_of(
                connection,
                select(index_versions).where(
                    index_versions.c.uid == index_version_uid, _is_fed(index_versions)
                ),
            )
            if version is None:
                return 0, ""
            room = min(limit, window - _under_way(connection, index_version_uid, now))
            if room <= 0:
                return 0, after
            removals = _removals(connection, index_version_uid, now, room)
            pair = Pair(index_version_uid, primary_of(connection, version["collection_uid"]))
            found = lagging_rows(
                connection, pair, after=after, overdue=now - OVERDUE, now=now, most=room
            )
            wishes = {one["document_uid"]: one for one in removals}
            # A document that came back is written, which removes what was there before.
            wishes |= {row["uid"]: _wish(row) for row in found}
            _hand_out(connection, index_version_uid, list(wishes.values()), now)
            is_end = len(found) < room
            return len(wishes), "" if is_end else found[-1]["uid"]

        return await self._write(unit, fills_outbox=True)

    async def settle_follower(self, work: Work) -> None:
        """There is nothing more to be done of it."""
        await self._write(lambda connection: settle(connection, work.index.uid, work.document_uid))

    async def fail_follower(
        self, work: Work, failure: Failure, *, most_attempts: int | None
    ) -> None:
        """Keep why the version does not hold the document, and whether it is tried again."""
        now = self._clock.now()

        def unit(connection: Connection) -> None:
            places = {"of_version": work.index.uid, "of_document": work.document_uid}
            known = row_of(connection, select(follower_work).where(OWN_WORK), **places)
            # What another cause took says nothing of how long this one is to be borne.
            is_new = known is None or known["reason"] != failure.reason
            attempts = 1 if is_new else known["attempts"] + 1
            is_final = _is_final(attempts, most_attempts)
            row = work_row(work.index.uid, work.document_uid, work.revision, work.generation) | {
                "removal": work.deleted,
                "attempts": attempts,
                "retry_at": None if is_final else now + _pause(attempts, known),
                "refused": is_final,
                "reason": failure.reason,
                "message": failure.message,
                "failed_at": now,
            }
            settle(connection, work.index.uid, work.document_uid)
            connection.execute(insert(follower_work), row)

        await self._write(unit)

    async def publish_follower(self, publication: Publication) -> tuple[Head, Outcome]:
        """Move the head of a version that follows, or SupersededError; no job ends."""
        now = self._clock.now()

        def unit(connection: Connection) -> tuple[Head, Outcome]:
            fenced = _fence(connection, publication)
            collection_uid = fenced["collection_uid"]
            sequence = take_sequences(connection, collection_uid, 1)
            head = put_head(connection, publication, fenced, sequence)
            uid, document_uid = publication.index_version_uid, publication.document_uid
            settle(connection, uid, document_uid)
            is_quiet = not (fenced["version_weight"] or fenced["weightless_since"])
            move = Move(uid, collection_uid, document_uid, sequence, is_quiet)
            if not is_quiet:
                announce(connection, fenced["tenant_uid"], [move], now)
            return head, Outcome(moves=(move,))

        return await self._write(unit, fills_outbox=True)


def _is_final(attempts: int, most: int | None) -> bool:
    return most is not None and attempts >= most


def _pause(attempts: int, known: Any) -> timedelta:
    """Twice the last one, whatever the causes: those that alternate last as long as one does."""
    seconds = 2.0 ** min(attempts, _MOST_DOUBLED)
    if known is not None and known["retry_at"] is not None and known["failed_at"] is not None:
        last = known["retry_at"] - known["failed_at"]
        seconds = max(seconds, 2 * last.total_seconds())
    return min(timedelta(seconds=seconds), _LONGEST_PAUSE)


def _is_fed(table: Any) -> Any:
    return and_(table.c.role.in_(FOLLOWS), table.c.state == IndexState.SERVING.value)


def _under_way(connection: Connection, uid: str, now: datetime) -> int:
    values = {"of_version": uid, "since": now - OVERDUE}
    return int(connection.execute(_UNDER_WAY, values).scalar_one())


def _removals(connection: Connection, uid: str, now: datetime, most: int) -> list[dict[str, Any]]:
    rows = rows_of(connection, _REMOVALS, of_version=uid, since=now - OVERDUE, until=now, most=most)
    return [dict(row) for row in rows]


def _wish(row: Any) -> dict[str, Any]:
    return {
        "document_uid": row["uid"],
        "tenant_uid": row["tenant_uid"],
        "collection_uid": row["collection_uid"],
        "revision": row["wanted_revision"],
        "generation": row["generation"],
        "removal": False,
    }


def _hand_out(
    connection: Connection, uid: str, wishes: Sequence[dict[str, Any]], now: datetime
) -> None:
    """Put the documents into the outbox, in the bulk lane, and note that they are under way."""
    known: dict[str, Any] = {}
    for part in batches([wish["document_uid"] for wish in wishes]):
        mine = and_(
            follower_work.c.index_version_uid == uid, follower_work.c.document_uid.in_(part)
        )
        for row in rows_of(connection, select(follower_work).where(mine)):
            known[row["document_uid"]] = {one: row[one] for one in _HISTORY}
        connection.execute(delete(follower_work).where(mine))
    insert_all(
        connection,
        follower_work,
        [
            work_row(uid, wish["document_uid"], wish["revision"], wish["generation"])
            | {"removal": wish["removal"], "relayed_at": now}
            | known.get(wish["document_uid"], {})
            for wish in wishes
        ],
    )
    insert_all(connection, outbox, [_outbox_row(uid, wish, now) for wish in wishes])


def _outbox_row(uid: str, wish: dict[str, Any], now: datetime) -> dict[str, Any]:
    return {
        "event_uid": new_uid(),
        "topic": Topic.DOCUMENT_CHANGED.value,
        "lane": WorkLane.BULK.value,
        "occurred_at": now,
        "tenant_uid": wish["tenant_uid"],
        "collection_uid": wish["collection_uid"],
        "document_uid": wish["document_uid"],
        "revision": wish["revision"],
        "generation": wish["generation"],
        "sequence": 0,
        "index_version_uid": uid,
    }


def _fence(connection: Connection, publication: Publication) -> Any:
    """The document's row, or SupersededError: what may be published follows the primary."""
    uid, document_uid = publication.index_version_uid, publication.document_uid
    keep_collection_of(connection, document_uid)
    hold_documents(connection, [document_uid])
    row = row_of(connection, _FENCE, of_document=document_uid, of_version=uid)
    if row is None or row["version_state"] == IndexState.DROPPING.value or row["deleted"]:
        raise SupersededError("the document or the index version was deleted meanwhile")
    if row["version_role"] not in FOLLOWS:
        raise SupersededError("the index version does not follow another any more")
    if row["generation"] != publication.generation:
        raise SupersededError("newer attributes of the document are wanted")
    primary = row_of(
        connection,
        select(heads).where(
            heads.c.index_version_uid == primary_of(connection, row["collection_uid"]),
            heads.c.document_uid == document_uid,
        ),
    )
    if primary is None or primary["deleted"] or primary["revision"] != publication.revision:
        raise SupersededError("another revision of the document is published")
    if row["head_revision"] is not None and not row["head_damaged"]:
        present = (row["head_revision"], row["head_generation"])
        if (publication.revision, publication.generation) <= present:
            raise SupersededError("an equal or newer revision is already published")
    return row
