"""Rows of dead letters: made when work is given up, gone once it is done or superseded."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, bindparam, delete, insert, select

from ragmesh.core.documents import Failure
from ragmesh.core.ids import new_uid
from ragmesh.core.mending import Origin
from ragmesh.indexing.adapters.catalog.store import row_of
from ragmesh.indexing.adapters.catalog.tables import dead_letters
from ragmesh.indexing.records import BuriedEvent, Work

_DROP_LETTERS = delete(dead_letters).where(
    dead_letters.c.document_uid == bindparam("of_document"),
    dead_letters.c.revision <= bindparam("up_to"),
)


@dataclass(frozen=True, slots=True)
class GivenUp:
    """Work that was given up, why and where."""

    work: Work
    failure: Failure
    origin: Origin
    attempts: int


def bury_work(connection: Connection, given_up: GivenUp, now: datetime) -> None:
    """Keep the dead letter of a document's work."""
    work = given_up.work
    row = {
        "tenant_uid": work.index.tenant_uid,
        "collection_uid": work.index.collection_uid,
        "document_uid": work.document_uid,
        "revision": work.revision,
        "index_version": work.index.name,
        **_why(given_up.failure, given_up.origin),
    }
    _bury(connection, row, given_up.attempts, now)


def bury_event(connection: Connection, buried: BuriedEvent, now: datetime) -> None:
    """Keep the dead letter of an event."""
    row = {
        "tenant_uid": buried.tenant_uid,
        "collection_uid": buried.collection_uid,
        "document_uid": buried.document_uid,
        "revision": buried.revision,
        "index_version": "",
        **_why(buried.failure, buried.origin),
    }
    _bury(connection, row, buried.attempts, now)


def drop_letters(connection: Connection, document_uid: str, revision: int) -> None:
    """Forget what was given up of the document, up to a revision that took its place."""
    connection.execute(_DROP_LETTERS, {"of_document": document_uid, "up_to": revision})


def _why(failure: Failure, origin: Origin) -> dict[str, Any]:
    return {
        "job_id": origin.job_id or None,
        "reason": failure.reason,
        "message": failure.message,
        "topic": origin.topic,
        "consumer_group": origin.consumer_group,
        "traceparent": origin.traceparent,
    }


def _bury(connection: Connection, row: dict[str, Any], attempts: int, now: datetime) -> None:
    """Write the row; what was tried again and failed again stays one dead letter."""
    same = and_(
        dead_letters.c.document_uid == row["document_uid"],
        dead_letters.c.revision == row["revision"],
        dead_letters.c.consumer_group == row["consumer_group"],
    )
    known = row_of(connection, select(dead_letters).where(same))
    connection.execute(delete(dead_letters).where(same))
    tried = 0 if known is None else known["attempts"]
    kept = {
        "uid": new_uid() if known is None else known["uid"],
        "attempts": tried + attempts,
        "replayed_at": None if known is None else known["replayed_at"],
        "created_at": now,
    }
    connection.execute(insert(dead_letters), row | kept)
