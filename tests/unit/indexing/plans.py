"""How SQLite finds what the catalog asks it for."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import event

from ragmesh.indexing.adapters.catalog.opening import SqlCatalog
from ragmesh.indexing.adapters.catalog.reader import ThreadReader


@contextmanager
def noted_plans(catalog: object, path: Path) -> Iterator[list[str]]:
    """The steps by which everything is read that is asked for within the block, after it."""
    assert isinstance(catalog, SqlCatalog)
    assert isinstance(catalog._reader, ThreadReader)
    engine = catalog._reader.engine
    asked: list[tuple[str, Any]] = []
    steps: list[str] = []

    def note(_1: object, _2: object, text: str, values: Any, *_more: object) -> None:
        asked.append((text, values))

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield steps
    finally:
        event.remove(engine, "before_cursor_execute", note)
    with closing(sqlite3.connect(path)) as file:
        for text, values in asked:
            if text.startswith("SELECT"):
                steps += [row[3] for row in file.execute(f"EXPLAIN QUERY PLAN {text}", values)]
