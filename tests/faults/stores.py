"""What lies in the files of a mesh that has stopped: every row, whether anybody asks for it or not.

The files are read with SQLite alone, so that nothing the program filters is left out.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw

from ragmesh.retrieval.adapters.embedded.shard import Shard

LEAST_COSINE = 0.99999
Key = tuple[str, int, int]
"""(document id, revision, ordinal)."""


@dataclass(frozen=True, slots=True)
class Row:
    """A chunk as the index keeps it, with the access of its document's head."""

    span: tuple[int, int]
    text: str
    title: str
    metadata: str
    generation: int
    access: str | None
    vector: tuple[float, ...]

    @property
    def told(self) -> tuple[object, ...]:
        """All that has to be equal to the letter."""
        return (self.span, self.text, self.title, self.metadata, self.generation, self.access)


@dataclass(frozen=True, slots=True)
class Remains:
    """The files of one collection of a stopped mesh."""

    rows: dict[Key, Row]
    strays: list[str]
    """What should not be there, or should have ended."""


def remains_of(data_dir: Path) -> Remains:
    """Everything, once what is retired has been cleared as every start does."""
    (folder,) = [path for path in (data_dir / "index").iterdir() if path.is_dir()]
    Shard.open(folder).close()
    with _opened(data_dir / "catalog.db") as catalog, _opened(folder / "truth.db") as truth:
        heads = dict(
            (uid, (revision, generation, access, chunks))
            for uid, revision, generation, access, chunks in catalog.execute(
                "SELECT document_uid, revision, generation, access, chunk_count FROM heads"
                " WHERE NOT deleted"
            )
        )
        rows, strays = _rows(truth, heads)
        strays += _unended(catalog)
        strays += _lost_blobs(catalog, data_dir / "blobs")
    return Remains(rows, strays)


def is_swept(data_dir: Path) -> bool:
    """Whether the index of a mesh that runs holds just what its heads name."""
    (folder,) = [path for path in (data_dir / "index").iterdir() if path.is_dir()]
    with _opened(data_dir / "catalog.db") as catalog, _opened(folder / "truth.db") as truth:
        published = "SELECT document_uid, revision FROM heads WHERE NOT deleted"
        held = "SELECT document_uid, revision FROM writes WHERE retired_at IS NULL"
        return set(catalog.execute(published)) == set(truth.execute(held))


def differences(found: Remains, wanted: Remains) -> list[str]:
    """What is not the same in both; vectors may differ by less than anybody could tell."""
    told = [*found.strays, *(f"clean run: {stray}" for stray in wanted.strays)]
    for key in sorted(found.rows.keys() | wanted.rows.keys()):
        one, other = found.rows.get(key), wanted.rows.get(key)
        if one is None or other is None:
            told.append(f"{key} is {'missing' if one is None else 'too much'}")
        elif one.told != other.told:
            told.append(f"{key}: {one.told} instead of {other.told}")
        elif _cosine(one.vector, other.vector) < LEAST_COSINE:
            told.append(f"{key}: the vectors differ, {_cosine(one.vector, other.vector)}")
    return told


def _rows(
    truth: apsw.Connection, heads: dict[str, tuple[int, int, str | None, int]]
) -> tuple[dict[Key, Row], list[str]]:
    rows: dict[Key, Row] = {}
    strays: list[str] = []
    published: dict[str, int] = {}
    (dimension,) = {
        json.loads(spec)["fingerprint"]["dimension"]
        for (spec,) in truth.execute("SELECT spec FROM state")
    }
    for uid, revision, vectors, retired, *chunk in truth.execute(
        "SELECT w.document_uid, w.revision, w.vectors, w.retired_at, a.document_id, a.title,"
        " a.metadata, a.generation, a.retired_at, c.ordinal, c.span_start, c.span_end, c.text"
        " FROM chunks c LEFT JOIN writes w ON w.key = c.key LEFT JOIN attributes a ON a.key = c.key"
    ):
        name, title, metadata, generation, replaced, ordinal, start, end, text = chunk
        head = heads.get(uid)
        if retired is not None or replaced is not None or head is None or head[0] != revision:
            strays.append(f"a chunk of {name} in revision {revision}, head {head}")
            continue
        if head[1] != generation:
            strays.append(f"{name} has generation {generation}, its head {head[1]}")
        published[uid] = published.get(uid, 0) + 1
        vector = struct.unpack_from(f"<{dimension}f", vectors, 4 * dimension * ordinal)
        rows[name, revision, ordinal] = Row(
            (start, end), text, title, metadata, generation, head[2], vector
        )
    strays += [
        f"document {uid} has {published.get(uid, 0)} chunks, its head tells of {head[3]}"
        for uid, head in heads.items()
        if published.get(uid, 0) != head[3]
    ]
    strays += _unowned(truth)
    return rows, strays


def _unowned(truth: apsw.Connection) -> list[str]:
    """Rows beside chunks that belong to no write in force."""
    counts = {
        "writes": "SELECT count(*) FROM writes WHERE retired_at IS NOT NULL"
        " OR key NOT IN (SELECT key FROM chunks)",
        "attributes": "SELECT count(*) FROM attributes WHERE retired_at IS NOT NULL"
        " OR key NOT IN (SELECT key FROM writes)",
        "chunks": "SELECT count(*) FROM chunks WHERE key NOT IN (SELECT key FROM writes)",
    }
    found = {name: truth.execute(query).get for name, query in counts.items()}
    return [f"{count} {name} that nobody owns" for name, count in found.items() if count]


def _unended(catalog: apsw.Connection) -> list[str]:
    """Work that was lost, or given up although nothing was wrong with it."""
    jobs = catalog.execute(
        "SELECT d.document_id, j.revision, j.state, j.error_reason FROM jobs j"
        " JOIN documents d ON d.uid = j.document_uid"
        " WHERE j.state NOT IN ('SUCCEEDED', 'CANCELLED')"
    )
    told = [f"a job is {state} ({reason}): {name}, {n}" for name, n, state, reason in jobs]
    waiting = catalog.execute(
        "SELECT document_id, state FROM documents WHERE pending"
        " OR state NOT IN (CASE WHEN deleted THEN state ELSE 'INDEXED' END)"
    )
    return told + [f"{name} is still {state}" for name, state in waiting]


def _lost_blobs(catalog: apsw.Connection, folder: Path) -> list[str]:
    named = catalog.execute(
        "SELECT source_blob FROM revisions WHERE source_blob IS NOT NULL"
        " UNION SELECT text_blob FROM revisions WHERE text_blob IS NOT NULL"
    )
    return [f"blob {key} is lost" for (key,) in named if not (folder / key[:2] / key).is_file()]


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        yield connection
    finally:
        connection.close()


def _cosine(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    product = sum(a * b for a, b in zip(one, other, strict=True))
    return product / (math.hypot(*one) * math.hypot(*other))
