"""The file of the SQLite event log: events in order, and what each group has not finished.

A cursor says how far a group has taken events; what it took and did not finish has a row of its
own, so that a slow event holds up none behind it. Leases are not written: whoever holds the
store's lock is the only one who hands out events, and what it was handling when it died has its
row still.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw

from ragmesh.chassis.events.consuming import Lease
from ragmesh.chassis.events.port import DEAD_SUFFIX, Event
from ragmesh.chassis.sqlite_files import bring_to_format, sqlite_errors
from ragmesh.core.errors import StoreDamagedError

FORMAT_VERSION = 1
"""Counts up with every change of the schema."""
_BUSY_MILLISECONDS = 5_000
_REMOVED_AT_ONCE = 1_000
_SCHEMA = """
CREATE TABLE events (
    position INTEGER PRIMARY KEY AUTOINCREMENT, topic TEXT NOT NULL, key TEXT NOT NULL,
    payload BLOB NOT NULL, headers TEXT NOT NULL, appended_at REAL NOT NULL) STRICT;
CREATE INDEX events_by_topic ON events (topic, position);
CREATE INDEX events_by_age ON events (appended_at);
CREATE TABLE cursors (
    cursor INTEGER PRIMARY KEY, topic TEXT NOT NULL, consumer_group TEXT NOT NULL,
    next_position INTEGER NOT NULL, UNIQUE (topic, consumer_group)) STRICT;
CREATE TABLE unfinished (
    cursor INTEGER NOT NULL, position INTEGER NOT NULL, attempts INTEGER NOT NULL,
    strikes INTEGER NOT NULL, due_at REAL NOT NULL, PRIMARY KEY (cursor, position)
    ) STRICT, WITHOUT ROWID;
CREATE INDEX unfinished_by_due ON unfinished (cursor, due_at, position);
"""


@dataclass(frozen=True, slots=True)
class Due:
    """Events that a group may handle now, and when the next retry is due."""

    leases: tuple[Lease, ...]
    next_due_at: float | None


def store_errors(path: Path) -> AbstractContextManager[None]:
    """Map what SQLite says about the file into the project's errors."""
    return sqlite_errors(path, lambda: _damaged(path))


class EventFile:
    """One connection to the file; a single thread uses it."""

    def __init__(self, path: Path, db: apsw.Connection) -> None:
        self.path = path
        self._db = db

    @classmethod
    def open(cls, path: Path) -> EventFile:
        """The file, made when it is missing; NewerFormatError, StoreDamagedError."""
        with store_errors(path):
            db = apsw.Connection(str(path))
            try:
                db.set_busy_timeout(_BUSY_MILLISECONDS)
                _prepare(db, path)
            except BaseException:
                db.close()
                raise
        return cls(path, db)

    def close(self) -> None:
        """Fold the write-ahead log into the file and let go of it."""
        with store_errors(self.path):
            try:
                self._db.pragma("wal_checkpoint(TRUNCATE)")
            finally:
                self._db.close()

    def commit(self, units: Sequence[Callable[[], Any]]) -> list[Any]:
        """Run the units in one transaction; their results once all of it is durable."""
        with store_errors(self.path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                results = [unit() for unit in units]
                self._db.execute("COMMIT")
            except BaseException:
                # SQLite ends the transaction by itself when the disk is full.
                if not self._db.get_autocommit():
                    self._db.execute("ROLLBACK")
                raise
            return results

    # -- units: to be run by `commit` -------------------------------------------

    def append(self, events: Sequence[Event], now: float) -> None:
        """Add the events."""
        self._db.executemany(
            "INSERT INTO events (topic, key, payload, headers, appended_at) VALUES (?, ?, ?, ?, ?)",
            [
                (event.topic, event.key, event.payload, json.dumps(event.headers), now)
                for event in events
            ],
        )

    def cursor(self, topic: str, group: str) -> int:
        """The group's cursor on the topic; a new group begins with the earliest event."""
        self._db.execute(
            "INSERT INTO cursors (topic, consumer_group, next_position) VALUES (?, ?, 0)"
            " ON CONFLICT DO NOTHING",
            (topic, group),
        )
        ((cursor,),) = self._db.execute(
            "SELECT cursor FROM cursors WHERE topic = ? AND consumer_group = ?", (topic, group)
        )
        return int(cursor)

    def take(self, cursor: int, leased: frozenset[int], limit: int, now: float) -> Due:
        """At most so many events that are due and not leased: retries, then new ones."""
        due = self._retries(cursor, leased, limit, now)
        if len(due) < limit:
            due += self._fresh(cursor, limit - len(due))
        ((next_due_at,),) = self._db.execute(
            "SELECT min(due_at) FROM unfinished WHERE cursor = ? AND due_at > ?", (cursor, now)
        )
        return Due(tuple(due), next_due_at)

    def finish(self, cursor: int, position: int) -> None:
        """The group is done with the event."""
        self._db.execute(
            "DELETE FROM unfinished WHERE cursor = ? AND position = ?", (cursor, position)
        )

    def postpone(self, cursor: int, lease: Lease, strikes: int, due_at: float) -> None:
        """The event comes again at that moment."""
        self._db.execute(
            "UPDATE unfinished SET attempts = ?, strikes = ?, due_at = ?"
            " WHERE cursor = ? AND position = ?",
            (lease.attempts + 1, strikes, due_at, cursor, lease.position),
        )

    def remove_old(self, before: float, dead_before: float) -> int:
        """Remove a bounded number of events of that age that no group still needs."""
        self._db.execute(
            "DELETE FROM events WHERE position IN ("
            " SELECT e.position FROM events e WHERE e.appended_at < ?1"
            " AND (e.appended_at < ?2 OR substr(e.topic, -length(?3)) != ?3)"
            " AND NOT EXISTS (SELECT 1 FROM cursors c WHERE c.topic = e.topic AND ("
            "  c.next_position <= e.position OR EXISTS (SELECT 1 FROM unfinished u"
            "   WHERE u.cursor = c.cursor AND u.position = e.position)))"
            " LIMIT ?4)",
            (before, dead_before, DEAD_SUFFIX, _REMOVED_AT_ONCE),
        )
        return self._db.changes()

    def _retries(self, cursor: int, leased: frozenset[int], limit: int, now: float) -> list[Lease]:
        rows = self._db.execute(
            "SELECT u.position, e.topic, e.key, e.payload, e.headers, u.attempts, u.strikes"
            " FROM unfinished u JOIN events e ON e.position = u.position"
            " WHERE u.cursor = ? AND u.due_at <= ? ORDER BY u.due_at, u.position LIMIT ?",
            (cursor, now, limit + len(leased)),
        )
        return [_lease(*row) for row in rows if row[0] not in leased][:limit]

    def _fresh(self, cursor: int, limit: int) -> list[Lease]:
        rows = self._db.execute(
            "SELECT e.position, e.topic, e.key, e.payload, e.headers, 0, 0"
            " FROM events e JOIN cursors c ON c.topic = e.topic"
            " WHERE c.cursor = ? AND e.position >= c.next_position ORDER BY e.position LIMIT ?",
            (cursor, limit),
        )
        found = [_lease(*row) for row in rows]
        if found:
            self._db.executemany(
                "INSERT INTO unfinished VALUES (?, ?, 0, 0, 0)",
                [(cursor, lease.position) for lease in found],
            )
            self._db.execute(
                "UPDATE cursors SET next_position = ? WHERE cursor = ?",
                (found[-1].position + 1, cursor),
            )
        return found


def _prepare(db: apsw.Connection, path: Path) -> None:
    bring_to_format(db, path, version=FORMAT_VERSION, schema=_SCHEMA)
    # Retries wait for the clock of the process that set them; a new one tries at once.
    db.execute("UPDATE unfinished SET due_at = 0 WHERE due_at > 0")


def _lease(position: int, topic: str, key: str, payload: bytes, *rest: Any) -> Lease:
    headers, attempts, strikes = rest
    event = Event(topic, key, payload, tuple((name, value) for name, value in json.loads(headers)))
    return Lease(position, event, attempts, strikes)


def _damaged(path: Path) -> StoreDamagedError:
    return StoreDamagedError(
        f"{path} is damaged: it is not a database of this program; `ragmesh doctor --repair` sets"
        " it aside, and the catalog brings back every event that is still needed",
        metadata={"path": str(path)},
    )
