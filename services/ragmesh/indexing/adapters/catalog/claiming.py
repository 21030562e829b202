"""Idempotency keys in the catalog: claimed, answered and forgotten within transactions."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, delete, insert, select

from ragmesh.core.documents import Accepted, JobState, UploadOutcome
from ragmesh.core.errors import RagmeshError, Violation, error_classes
from ragmesh.indexing.adapters.catalog.tables import idempotency_keys
from ragmesh.indexing.claims import KEPT, Claim, KnownAnswer, in_use
from ragmesh.indexing.rows import CollectionRow, Outcome

_keys = idempotency_keys.c


def find(connection: Connection, claim: Claim, now: datetime) -> KnownAnswer | None:
    """The answer under the claim's key that is not too old."""
    statement = select(_keys.fingerprint, _keys.answer).where(
        _at(claim), _keys.created_at > now - KEPT
    )
    row = connection.execute(statement).first()
    return None if row is None else KnownAnswer(row[0], _outcomes_of(row[1]))


def take(connection: Connection, claim: Claim, now: datetime) -> None:
    """Refuse a key that another process has just used; forget those whose time is over."""
    if find(connection, claim, now) is not None:
        raise in_use()
    connection.execute(delete(idempotency_keys).where(_keys.created_at <= now - KEPT))


def settle(connection: Connection, claim: Claim, result: object, now: datetime) -> None:
    """Write the key with the answer; where everything was refused, it stays unused.

    What became of uploads is kept; anything else is read anew when it is asked for again.
    """
    if _is_refusal(result):
        return
    tenant_uid, route, key = claim.place
    row = {
        "tenant_uid": tenant_uid,
        "route": route,
        "key": key,
        "collection": claim.target.collection,
        "fingerprint": claim.fingerprint,
        "answer": _answer_of(result),
        "created_at": now,
    }
    connection.execute(insert(idempotency_keys), row)


def forget_collection(connection: Connection, collection: CollectionRow) -> None:
    """Free the keys of a collection that goes: one of its name later is another one."""
    connection.execute(
        delete(idempotency_keys).where(
            _keys.tenant_uid == collection.tenant_uid, _keys.collection == collection.name
        )
    )


def _at(claim: Claim) -> ColumnElement[bool]:
    tenant_uid, route, key = claim.place
    return and_(_keys.tenant_uid == tenant_uid, _keys.route == route, _keys.key == key)


def _is_refusal(result: object) -> bool:
    outcomes = result.outcomes if isinstance(result, Outcome) else ()
    return bool(outcomes) and not any(isinstance(one, Accepted) for one in outcomes)


def _answer_of(result: object) -> str:
    outcomes: tuple[UploadOutcome, ...] = ()
    if isinstance(result, Outcome):
        outcomes = result.outcomes or result.accepted
    return json.dumps([_plain(one) for one in outcomes])


def _plain(outcome: UploadOutcome) -> dict[str, Any]:
    if isinstance(outcome, Accepted):
        return {
            "document_id": outcome.document_id,
            "revision": outcome.revision,
            "job_id": outcome.job_id,
            "state": outcome.state.value,
        }
    return {
        "reason": outcome.reason,
        "message": outcome.message,
        "metadata": dict(outcome.metadata),
        "violations": [[one.field, one.message] for one in outcome.violations],
    }


def _outcomes_of(answer: str) -> tuple[UploadOutcome, ...]:
    return tuple(_outcome_of(plain) for plain in json.loads(answer))


def _outcome_of(plain: dict[str, Any]) -> UploadOutcome:
    if "reason" not in plain:
        return Accepted(
            plain["document_id"], plain["revision"], plain["job_id"], JobState(plain["state"])
        )
    return error_classes().get(plain["reason"], RagmeshError)(
        plain["message"],
        metadata=plain["metadata"],
        violations=[Violation(field, message) for field, message in plain["violations"]],
    )
