"""What a version that follows the primary lacks, as conditions and counts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Connection,
    Select,
    and_,
    bindparam,
    case,
    delete,
    false,
    func,
    insert,
    or_,
    select,
)

from ragmesh.indexing.adapters.catalog.migration_tables import follower_work
from ragmesh.indexing.adapters.catalog.store import row_of
from ragmesh.indexing.adapters.catalog.tables import documents, heads, index_versions
from ragmesh.indexing.migration_state import FollowerProgress, Role
from ragmesh.indexing.records import IndexState

_LONG_AGO = timedelta(seconds=60)
"""What was published before should have been brought to every version that follows."""
FOLLOWS = [role.value for role in Role if role.follows]
OWN_WORK = and_(
    follower_work.c.index_version_uid == bindparam("of_version"),
    follower_work.c.document_uid == bindparam("of_document"),
)
PRIMARY_HEADS = heads.alias("primary_heads")
OWN_HEADS = heads.alias("own_heads")
_LAGS: ColumnElement[bool] = or_(
    OWN_HEADS.c.document_uid.is_(None),
    OWN_HEADS.c.revision < PRIMARY_HEADS.c.revision,
    OWN_HEADS.c.generation < PRIMARY_HEADS.c.generation,
    OWN_HEADS.c.damaged.is_(True),
)
_SAME_WISH = and_(
    follower_work.c.revision == PRIMARY_HEADS.c.revision,
    follower_work.c.generation == documents.c.generation,
)
_REFUSED = and_(follower_work.c.refused.is_(True), _SAME_WISH)


def _published(*columns: Any) -> Select[Any]:
    """Documents published in the primary, beside their head and work in `of_version`."""
    return (
        select(*columns)
        .select_from(PRIMARY_HEADS)
        .join(documents, documents.c.uid == PRIMARY_HEADS.c.document_uid)
        .outerjoin(
            OWN_HEADS,
            and_(
                OWN_HEADS.c.document_uid == PRIMARY_HEADS.c.document_uid,
                OWN_HEADS.c.index_version_uid == bindparam("of_version"),
            ),
        )
        .outerjoin(
            follower_work,
            and_(
                follower_work.c.document_uid == PRIMARY_HEADS.c.document_uid,
                follower_work.c.index_version_uid == bindparam("of_version"),
            ),
        )
        .where(
            PRIMARY_HEADS.c.index_version_uid == bindparam("of_primary"),
            PRIMARY_HEADS.c.deleted.is_(False),
        )
    )


def _counted(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)


_PROGRESS = _published(
    func.count().label("documents"),
    _counted(_LAGS).label("lagging"),
    _counted(and_(_LAGS, _REFUSED)).label("failed"),
    _counted(
        and_(
            _LAGS,
            func.coalesce(_REFUSED, false()).is_(False),
            or_(
                documents.c.updated_at <= bindparam("of_birth"),
                documents.c.updated_at <= bindparam("long_ago"),
            ),
        )
    ).label("old"),
)
_BIRTH = select(index_versions.c.created_at).where(index_versions.c.uid == bindparam("of_version"))
_LAGGING = (
    _published(
        documents.c.uid,
        documents.c.tenant_uid,
        documents.c.collection_uid,
        documents.c.generation,
        PRIMARY_HEADS.c.revision.label("wanted_revision"),
    )
    .where(
        _LAGS,
        PRIMARY_HEADS.c.document_uid > bindparam("after"),
        or_(
            follower_work.c.document_uid.is_(None),
            and_(
                or_(
                    follower_work.c.relayed_at.is_(None),
                    follower_work.c.relayed_at < bindparam("overdue"),
                ),
                or_(
                    follower_work.c.retry_at.is_(None), follower_work.c.retry_at <= bindparam("now")
                ),
                ~_REFUSED,
            ),
        ),
    )
    .order_by(PRIMARY_HEADS.c.document_uid)
    .limit(bindparam("most"))
)
_LACKS = _published(documents.c.uid).where(_LAGS).limit(1)
_LACKING = _published(documents.c.uid, documents.c.state).where(_LAGS)
_REMOVALS = select(func.count()).where(
    follower_work.c.index_version_uid == bindparam("of_version"),
    follower_work.c.removal == bindparam("is_removal", True, type_=Boolean),
)
_TROUBLE = (
    select(follower_work.c.reason)
    .where(
        follower_work.c.index_version_uid == bindparam("of_version"),
        follower_work.c.reason != "",
    )
    .order_by(follower_work.c.failed_at.desc())
    .limit(1)
)
_PRIMARY = select(index_versions.c.uid).where(
    index_versions.c.collection_uid == bindparam("of_collection"),
    index_versions.c.role == Role.PRIMARY.value,
    index_versions.c.state != IndexState.DROPPING.value,
)


@dataclass(frozen=True, slots=True)
class Pair:
    """A version that follows, and the primary that it follows."""

    version_uid: str
    primary_uid: str

    @property
    def places(self) -> dict[str, str]:
        """The parameters of the statements."""
        return {"of_version": self.version_uid, "of_primary": self.primary_uid}


def primary_of(connection: Connection, collection_uid: str) -> str:
    """Uid of the primary; empty for a collection that has none any more."""
    return str(connection.execute(_PRIMARY, {"of_collection": collection_uid}).scalar() or "")


def progress_of(connection: Connection, pair: Pair, now: datetime) -> FollowerProgress:
    """How far the version is behind."""
    birth = connection.execute(_BIRTH, {"of_version": pair.version_uid}).scalar_one()
    ages = {"of_birth": birth, "long_ago": now - _LONG_AGO}
    counts = row_of(connection, _PROGRESS, **pair.places, **ages)
    removals = connection.execute(_REMOVALS, {"of_version": pair.version_uid}).scalar_one()
    trouble = connection.execute(_TROUBLE, {"of_version": pair.version_uid}).scalar()
    return FollowerProgress(
        documents=int(counts["documents"]),
        lagging=int(counts["lagging"]),
        failed=int(counts["failed"]),
        removals=int(removals),
        trouble=str(trouble or ""),
        old=int(counts["old"]),
    )


def is_caught_up(connection: Connection, pair: Pair) -> bool:
    """Whether the version holds exactly what the primary shows."""
    if connection.execute(_LACKS, pair.places).first() is not None:
        return False
    return not connection.execute(_REMOVALS, {"of_version": pair.version_uid}).scalar_one()


def lacking_documents(connection: Connection, pair: Pair) -> list[str]:
    """Uids of the documents that the version does not hold as the primary shows them."""
    return list(connection.execute(_LACKING, pair.places).scalars())


def lagging_rows(connection: Connection, pair: Pair, **values: Any) -> list[Any]:
    """The next documents to be handed out, in order of uid."""
    return list(connection.execute(_LAGGING, pair.places | values).mappings())


def owe_removals(
    connection: Connection, collection_uid: str, document_uid: str, revision: int
) -> None:
    """The chunks of a deleted document are still to be removed from every version that follows."""
    for uid in following(connection, collection_uid):
        settle(connection, uid, document_uid)
        connection.execute(
            insert(follower_work), work_row(uid, document_uid, revision, 0) | {"removal": True}
        )


def following(connection: Connection, collection_uid: str) -> list[str]:
    """Uids of the versions of a collection that follow its primary."""
    statement = select(index_versions.c.uid).where(
        index_versions.c.collection_uid == collection_uid,
        index_versions.c.role.in_(FOLLOWS),
        index_versions.c.state != IndexState.DROPPING.value,
    )
    return list(connection.execute(statement).scalars())


def work_row(uid: str, document_uid: str, revision: int, generation: int) -> dict[str, Any]:
    """A row of work that nobody is at."""
    return {
        "index_version_uid": uid,
        "document_uid": document_uid,
        "revision": revision,
        "generation": generation,
        "removal": False,
        "relayed_at": None,
        "attempts": 0,
        "retry_at": None,
        "refused": False,
        "reason": "",
        "message": "",
        "failed_at": None,
    }


def settle(connection: Connection, uid: str, document_uid: str) -> None:
    """The version owes nothing of the document any more."""
    places = {"of_version": uid, "of_document": document_uid}
    connection.execute(delete(follower_work).where(OWN_WORK), places)
