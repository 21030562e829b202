from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from ragmesh.chassis.locks import StoreLock, turn
from ragmesh.core.errors import StoreInUseError, StoreUnusableError


def test_a_store_is_locked_once(tmp_path: Path) -> None:
    path = tmp_path / "new" / "catalog.db"
    with StoreLock(path), pytest.raises(StoreInUseError) as caught:
        StoreLock(path).take()
    assert caught.value.metadata == {"path": str(path), "pid": str(os.getpid())}
    with StoreLock(path):
        pass


def test_a_refused_lock_does_not_disturb_the_holder(tmp_path: Path) -> None:
    path = tmp_path / "catalog.db"
    with StoreLock(path):
        for _ in range(2):
            refused = StoreLock(path)
            with pytest.raises(StoreInUseError):
                refused.take()
            refused.release()


def test_stores_side_by_side_have_locks_of_their_own(tmp_path: Path) -> None:
    with StoreLock(tmp_path / "catalog.db"), StoreLock(tmp_path / "events.db"):
        pass


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreUnusableError, match="cannot be opened"):
        StoreLock(tmp_path / "file" / "catalog.db").take()


def test_one_turn_begins_when_the_other_has_ended(tmp_path: Path) -> None:
    path, order, inside = tmp_path / "shared", [], threading.Event()

    def second() -> None:
        inside.wait()
        with turn(path):
            order.append("second")

    thread = threading.Thread(target=second)
    thread.start()
    with turn(path):
        inside.set()
        thread.join(0.2)  # it waits
        order.append("first")
    thread.join()
    assert order == ["first", "second"]
