"""The SQLite file of one index version: what it says is the index, the rest is derived from it.

A *write* is one revision of one document as it was written once; writing it again makes another
write and retires the first. Retired rows stay until no search that began before can ask for
them, so that a search never mixes two moments. The log names every write that changed, so that
the keyword index can be brought up to date after a kill at any point.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw

from ragmesh.chassis.files import make_folder_durably
from ragmesh.core.index import Chunk, DocumentDigest, IndexSpec
from ragmesh.retrieval.adapters.embedded.records import (
    ChunkRow,
    Held,
    UnanalysedRow,
    chunks_of,
)
from ragmesh.retrieval.adapters.embedded.schema import (
    FORMAT_VERSION,
    SCHEMA,
    checked_spec,
    connect,
    damaged,
    migrate,
    store_errors,
)
from ragmesh.retrieval.adapters.spec_text import encode_spec

_KEPT_LOG = 10_000
"""Changes kept beyond what is needed, for a keyword index whose mark is older than thought."""
_ANALYSED_AT_ONCE = 500
_HELD = (
    "SELECT w.key, w.document_uid, w.revision, w.first_row, w.chunk_count, a.number,"
    " a.generation, a.document_id, a.title, a.tokens, a.slots"
    " FROM writes w JOIN attributes a ON a.key = w.key AND a.retired_at IS NULL"
)
ALL_HELD = (
    _HELD.replace("SELECT ", "SELECT w.vectors, ").replace(" JOIN ", " CROSS JOIN ")
    + " WHERE w.retired_at IS NULL ORDER BY w.key"
)
"""By key, which is by row too; without CROSS, SQLite sorts all vectors through files of its own."""
_HELD_AFTER = (
    _HELD.replace("FROM writes w JOIN attributes a", "FROM attributes a CROSS JOIN writes w")
    + " WHERE w.retired_at IS NULL AND a.number > ?"
)
"""From the end of the attributes; without CROSS, SQLite goes through all writes."""
_HELD_BY_KEY = (
    _HELD.replace("SELECT ", "SELECT w.vectors, ") + " WHERE w.retired_at IS NULL AND w.key = ?"
)
_CHUNKS = (
    "SELECT c.row, w.document_uid, w.revision, c.ordinal, c.text, c.span_start, c.span_end,"
    " c.headings, c.page, c.token_count, c.sentences, c.words, c.sentence_dimension,"
    " c.sentence_vectors, c.gap FROM chunks c JOIN writes w ON w.key = c.key"
)
_TITLES = "SELECT number, document_id, title, metadata FROM attributes"


@dataclass(frozen=True, slots=True)
class KeywordRow:
    """What the keyword index keeps of a chunk."""

    row: int
    words: str
    heading_words: str


class Truth:
    """One connection to the file; a single thread at a time uses it."""

    def __init__(self, path: Path, connection: apsw.Connection, spec: IndexSpec) -> None:
        self.path = path
        self.spec = spec
        self._db = connection

    @classmethod
    def create(cls, path: Path, spec: IndexSpec) -> None:
        """Make the file with its schema and spec, all of it or nothing."""
        make_folder_durably(path.parent)
        with store_errors(path):
            db = connect(path)
            try:
                with db:
                    db.execute(SCHEMA)
                    db.execute(
                        "INSERT INTO state VALUES (1, ?, 0, 1, 0, 0, '')", (encode_spec(spec),)
                    )
                    db.pragma("user_version", FORMAT_VERSION)
            finally:
                db.close()

    @classmethod
    def open(cls, path: Path, *, read_only: bool = False) -> Truth:
        """The file as it is; NewerFormatError or StoreDamagedError when it cannot be read."""
        if not path.exists():
            raise damaged(path, "it is missing")
        with store_errors(path):
            db = connect(path)
            try:
                spec = checked_spec(db, path)
                if not read_only:
                    migrate(db)
                db.pragma("query_only", int(read_only))
            except BaseException:
                db.close()
                raise
            return cls(path, db, spec)

    def close(self) -> None:
        """Close the connection; the last one folds the write-ahead log into the file."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside is durable when the block ends, or none of it."""
        with store_errors(self.path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
            try:
                self._db.execute("COMMIT")
            except apsw.Error:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """One unit of work inside a transaction, undone alone when it fails."""
        self._db.execute("SAVEPOINT unit")
        try:
            yield
        except BaseException:
            if self._db.in_transaction:  # a full disk has undone the whole transaction already
                self._db.execute("ROLLBACK TO unit")
                self._db.execute("RELEASE unit")
            raise
        self._db.execute("RELEASE unit")

    # -- versions and the log --------------------------------------------------

    def version(self) -> int:
        """Counts the transactions that changed something."""
        return int(self._db.execute("SELECT version FROM state").get)

    def next_version(self) -> int:
        """The version of the transaction under way."""
        return int(self._db.execute("UPDATE state SET version = version + 1 RETURNING version").get)

    def log(self, version: int, key: int) -> None:
        """Say that a write changed."""
        self._db.execute("INSERT OR IGNORE INTO log VALUES (?, ?)", (version, key))

    def changed_since(self, version: int) -> list[int] | None:
        """The writes that changed after a version; None when the log does not reach back."""
        if version < self._db.execute("SELECT log_start FROM state").get:
            return None
        rows = self._db.execute("SELECT DISTINCT key FROM log WHERE version > ?", (version,))
        return [key for (key,) in rows]

    def forget_log(self, applied: int) -> None:
        """Drop what the keyword index has long since applied."""
        start = applied - _KEPT_LOG
        if start > self._db.execute("SELECT log_start FROM state").get + _KEPT_LOG:
            self._db.execute("DELETE FROM log WHERE version <= ?", (start,))
            self._db.execute("UPDATE state SET log_start = ?", (start,))

    # -- writing ---------------------------------------------------------------

    def claim_rows(self, count: int) -> int:
        """The first of so many row numbers that were never used and never will be again."""
        return int(
            self._db.execute(
                "UPDATE state SET next_row = next_row + ? RETURNING next_row", (count,)
            ).get
            - count
        )

    def insert_write(self, values: Sequence[Any]) -> int:
        """Keep a write without its chunks and attributes; its key."""
        self._db.execute(
            "INSERT INTO writes (document_uid, revision, first_row, chunk_count, digest, vectors)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            tuple(values),
        )
        key = self._db.last_insert_rowid()
        self._count(key, 1)
        return key

    def insert_chunks(self, rows: Iterable[tuple[Any, ...]]) -> None:
        """Keep chunks; the values stand in the order of the table."""
        self._db.executemany(
            "INSERT INTO chunks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows
        )

    def insert_attributes(self, key: int, values: Sequence[Any]) -> int:
        """Put attributes in force for a write; their number."""
        self._db.execute(
            "INSERT INTO attributes (key, generation, document_id, title, content_type, metadata,"
            " tokens, slots) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (key, *values),
        )
        return self._db.last_insert_rowid()

    def retire_attributes(self, key: int, version: int) -> None:
        """Take a write's attributes out of force."""
        self._db.execute(
            "UPDATE attributes SET retired_at = ? WHERE key = ? AND retired_at IS NULL",
            (version, key),
        )

    def retire_write(self, key: int, version: int) -> None:
        """Take a write out of force; its rows go when no search can ask for them any more."""
        self._db.execute("UPDATE writes SET retired_at = ? WHERE key = ?", (version, key))
        self._count(key, -1)

    def _count(self, key: int, sign: int) -> None:
        """Add a write's chunks to those in force, or take them away."""
        self._db.execute(
            "UPDATE state SET chunks = chunks + ? * (SELECT chunk_count FROM writes WHERE key = ?)",
            (sign, key),
        )

    def purge(self, up_to: int) -> int:
        """Remove for good what was retired at or before a version; how many writes went."""
        gone = "SELECT key FROM writes WHERE retired_at IS NOT NULL AND retired_at <= ?"
        self._db.execute(f"DELETE FROM chunks WHERE key IN ({gone})", (up_to,))  # noqa: S608
        self._db.execute(f"DELETE FROM attributes WHERE key IN ({gone})", (up_to,))  # noqa: S608
        self._db.execute(
            "DELETE FROM attributes WHERE retired_at IS NOT NULL AND retired_at <= ?", (up_to,)
        )
        self._db.execute(
            "DELETE FROM writes WHERE retired_at IS NOT NULL AND retired_at <= ?", (up_to,)
        )
        return self._db.changes()

    def analyse_anew(self, name: str, analyse: Callable[[UnanalysedRow], tuple[str, str]]) -> int:
        """Keep other words of every chunk, unless they are of that analysis; how many there were.

        All of it or nothing, and only then is the analysis the one that is named.
        """
        if self._db.execute("SELECT analysis FROM state").get == name:
            return 0
        count = 0
        with self.transaction():
            rows = self._unanalysed(0)
            while rows:
                self._db.executemany(
                    "UPDATE chunks SET words = ?, heading_words = ? WHERE row = ?",
                    [(*analyse(row), row.row) for row in rows],
                )
                count += len(rows)
                rows = self._unanalysed(rows[-1].row)
            self._db.execute("UPDATE state SET analysis = ?", (name,))
        return count

    def _unanalysed(self, after: int) -> list[UnanalysedRow]:
        """The next chunks after a row."""
        rows = self._db.execute(
            "SELECT row, text, headings, sentences FROM chunks WHERE row > ? ORDER BY row LIMIT ?",
            (after, _ANALYSED_AT_ONCE),
        )
        return [UnanalysedRow(*row) for row in rows]

    # -- reading ---------------------------------------------------------------

    def chunks(self, document_uid: str, revision: int) -> tuple[Chunk, ...]:
        """The chunks of the write in force of a revision, with their vectors, by ordinal.

        ValueError when they are not all there: the vectors of all lie side by side.
        """
        found = self._db.execute(
            "SELECT key, chunk_count, vectors FROM writes"
            " WHERE retired_at IS NULL AND document_uid = ? AND revision = ?",
            (document_uid, revision),
        ).get
        if found is None:
            return ()
        key, count, vectors = found
        stored = self._db.execute(f"{_CHUNKS} WHERE c.key = ? ORDER BY c.ordinal", (key,))
        rows = [ChunkRow(*row) for row in stored]
        if len(rows) != count:
            raise ValueError(f"{len(rows)} of {count} chunks are there")
        return chunks_of(rows, vectors)

    def held(self, document_uid: str, revision: int) -> Held | None:
        """The write in force of a revision."""
        rows = self._db.execute(
            f"{_HELD} WHERE w.retired_at IS NULL AND w.document_uid = ? AND w.revision = ?",
            (document_uid, revision),
        )
        return next((Held.of(row) for row in rows), None)

    def require_held(self, document_uid: str, revision: int) -> Held:
        """The write in force of a revision, which must be there."""
        held = self.held(document_uid, revision)
        if held is None:
            raise damaged(self.path, "what was written is not there")
        return held

    def attributes_values(self, key: int) -> tuple[Any, ...]:
        """The attributes in force of a write, as `insert_attributes` takes them."""
        return tuple(
            self._db.execute(
                "SELECT generation, document_id, title, content_type, metadata, tokens, slots"
                " FROM attributes WHERE key = ? AND retired_at IS NULL",
                (key,),
            ).get
        )

    def held_below(self, document_uid: str, revision: int) -> list[tuple[int, int]]:
        """(key, chunk count) of every write in force of a lower revision."""
        return list(
            self._db.execute(
                "SELECT key, chunk_count FROM writes"
                " WHERE retired_at IS NULL AND document_uid = ? AND revision < ?",
                (document_uid, revision),
            )
        )

    def all_held(self) -> Iterator[tuple[Held, bytes]]:
        """Every write in force with its vectors, in the order in which they were written."""
        for vectors, *row in self._db.execute(ALL_HELD):
            yield Held.of(row), vectors

    def held_by_key(self, keys: Iterable[int]) -> Iterator[tuple[int, tuple[Held, bytes] | None]]:
        """Each of these writes with its vectors; None for one that is not in force."""
        for key in keys:
            rows = self._db.execute(_HELD_BY_KEY, (key,))
            yield key, next(((Held.of(row), vectors) for vectors, *row in rows), None)

    def attributed_after(self, number: int) -> list[Held]:
        """The writes in force whose attributes came later than these."""
        rows = self._db.execute(_HELD_AFTER, (number,))
        return [Held.of(row) for row in rows]

    def count_chunks(self) -> int:
        """Chunks of all writes in force."""
        # Kept as a number: adding it up would read past the vectors of every write.
        return int(self._db.execute("SELECT chunks FROM state").get)

    def keys_in_force(self) -> list[int]:
        """The key of every write in force."""
        rows = self._db.execute("SELECT key FROM writes WHERE retired_at IS NULL ORDER BY key")
        return [key for (key,) in rows]

    def keyword_rows(self, key: int) -> tuple[str, list[KeywordRow]] | None:
        """The title and the analysed chunks of a write; None when it is not in force."""
        title = self._db.execute(
            "SELECT a.title FROM writes w JOIN attributes a ON a.key = w.key"
            " WHERE w.key = ? AND w.retired_at IS NULL AND a.retired_at IS NULL",
            (key,),
        ).get
        if title is None:
            return None
        rows = self._db.execute(
            "SELECT row, words, heading_words FROM chunks WHERE key = ? ORDER BY row", (key,)
        )
        return title, [KeywordRow(*row) for row in rows]

    def digests(self, after: tuple[str, int], count: int) -> list[DocumentDigest]:
        """Writes in force after (document uid, revision), in that order."""
        rows = self._db.execute(
            "SELECT w.document_uid, w.revision, a.generation, w.chunk_count, w.digest"
            " FROM writes w JOIN attributes a ON a.key = w.key AND a.retired_at IS NULL"
            " WHERE w.retired_at IS NULL AND (w.document_uid, w.revision) > (?, ?)"
            " ORDER BY w.document_uid, w.revision LIMIT ?",
            (*after, count),
        )
        return [DocumentDigest(*row) for row in rows]

    def chunk_rows(self, rows: Sequence[int]) -> dict[int, ChunkRow]:
        """Chunks by row, also retired ones that are not purged yet."""
        marks = ",".join("?" * len(rows))
        found = self._db.execute(f"{_CHUNKS} WHERE c.row IN ({marks})", tuple(rows))
        return {row[0]: ChunkRow(*row) for row in found}

    def titles(self, numbers: Sequence[int]) -> dict[int, tuple[str, str, str]]:
        """(document id, title, metadata) of attributes by number."""
        marks = ",".join("?" * len(numbers))
        rows = self._db.execute(f"{_TITLES} WHERE number IN ({marks})", tuple(numbers))
        return {number: (document_id, title, rest) for number, document_id, title, rest in rows}
