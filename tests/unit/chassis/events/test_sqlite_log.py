"""The SQLite event log keeps every promise of an event log, and those of a store."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import apsw
import pytest

from ragmesh.chassis.events import Event, EventLog
from ragmesh.chassis.events.sqlite_log import Retention, open_sqlite_event_log
from ragmesh.core.clock import Clock
from ragmesh.core.errors import NewerFormatError, StoreDamagedError, StoreInUseError
from ragmesh.testing.clocks import ManualClock
from ragmesh.testing.events import TOPIC, Inbox, consuming, happened
from ragmesh.testing.events_contract import EventLogContract, OpenLog


class TestSqliteEventLog(EventLogContract):
    @pytest.fixture(autouse=True)
    def _place(self, tmp_path: Path) -> None:
        self._path = tmp_path / "events.db"

    def opener(self) -> OpenLog:
        @asynccontextmanager
        async def opened(clock: Clock) -> AsyncIterator[EventLog]:
            async with open_sqlite_event_log(self._path, clock) as log:
                yield log

        return opened


def positions(path: Path) -> list[str]:
    with apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY) as db:
        rows = list(db.execute("SELECT key FROM events ORDER BY position"))
    return [key for (key,) in rows]


async def test_appends_that_wait_together_share_one_commit(tmp_path: Path) -> None:
    async with open_sqlite_event_log(tmp_path / "events.db", ManualClock()) as log:
        await asyncio.gather(*(log.append([happened(str(n))]) for n in range(200)))
        assert log.commits < 100
    assert len(positions(tmp_path / "events.db")) == 200


async def test_the_events_of_one_append_are_kept_in_order(tmp_path: Path) -> None:
    async with open_sqlite_event_log(tmp_path / "events.db", ManualClock()) as log:
        await log.append([happened("a"), happened("b"), happened("c")])
    assert positions(tmp_path / "events.db") == ["a", "b", "c"]


async def test_a_commit_waits_for_the_disk(tmp_path: Path) -> None:
    async with open_sqlite_event_log(tmp_path / "events.db", ManualClock()) as log:
        assert log._file._db.pragma("synchronous") == 2
        assert log._file._db.pragma("journal_mode") == "wal"


async def test_a_second_process_is_refused_while_the_first_holds_the_log(tmp_path: Path) -> None:
    async with open_sqlite_event_log(tmp_path / "events.db", ManualClock()):
        with pytest.raises(StoreInUseError):
            async with open_sqlite_event_log(tmp_path / "events.db", ManualClock()):
                pass


async def test_a_log_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    async with open_sqlite_event_log(path, ManualClock()) as log:
        await log.append([happened("a")])
    with apsw.Connection(str(path)) as db:
        db.pragma("user_version", 99)
    with pytest.raises(NewerFormatError):
        async with open_sqlite_event_log(path, ManualClock()):
            pass
    assert positions(path) == ["a"]


async def test_a_file_that_is_no_event_log_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    path.write_bytes(b"not a database at all, but long enough to be looked at" * 20)
    with pytest.raises(StoreDamagedError):
        async with open_sqlite_event_log(path, ManualClock()):
            pass


async def test_a_kill_between_taking_and_finishing_brings_the_event_again(tmp_path: Path) -> None:
    """The files as they lie while an event is being handled are what a kill leaves behind."""
    path, grave = tmp_path / "alive" / "events.db", tmp_path / "killed" / "events.db"
    inbox, after = Inbox(), Inbox()
    inbox.gate.clear()
    async with open_sqlite_event_log(path, ManualClock()) as log, consuming(log, inbox):
        await log.append([happened("a"), happened("b")])
        await inbox.until(2)
        shutil.copytree(path.parent, grave.parent)
    async with open_sqlite_event_log(grave, ManualClock()) as log, consuming(log, after):
        await after.until(2)
    assert sorted(after.keys) == ["a", "b"]


async def test_handled_events_go_after_their_retention_and_others_stay(tmp_path: Path) -> None:
    path, clock, inbox = tmp_path / "events.db", ManualClock(), Inbox()
    retention = Retention(seconds=3_600, dead_seconds=7_200)
    async with open_sqlite_event_log(path, clock, retention=retention) as log:
        async with consuming(log, inbox, max_in_flight=1):
            await log.append([happened("old"), happened("taken")])
            await inbox.until(2)
        # A group that exists and has not taken them keeps events alive.
        await log.append([happened("waiting"), Event(TOPIC + ".dead", "dead", b"")])
        await clock.advance(4_000)
        await log.append([happened("later")])
        assert "old" not in positions(path)
        assert {"waiting", "dead", "later"} <= set(positions(path))
        await clock.advance(4_000)
        await log.append([happened("latest")])
        assert "dead" not in positions(path)
        assert {"waiting", "later", "latest"} <= set(positions(path))


async def test_sweeping_goes_on_with_every_append_until_nothing_is_left(tmp_path: Path) -> None:
    path, clock = tmp_path / "events.db", ManualClock()
    async with open_sqlite_event_log(path, clock, retention=Retention(seconds=60)) as log:
        await log.append([Event("nobody's", str(number), b"") for number in range(2_500)])
        await clock.advance(700)
        for _ in range(3):
            await log.append([happened("new")])
    assert set(positions(path)) == {"new"}
