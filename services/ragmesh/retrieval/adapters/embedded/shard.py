"""One index version: a folder with the truth, the words derived from it, and a snapshot.

Writes are units of work that share a transaction and a commit of the keyword index. Only when
both are done does the next snapshot appear, by one assignment. Heads change the snapshot alone.
"""

from __future__ import annotations

import logging
import shutil
import threading
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from ragmesh.chassis.files import storage_errors, sync_folder
from ragmesh.core.errors import (
    IndexVersionGoneError,
    NewerFormatError,
    RagmeshError,
    StorageFullError,
)
from ragmesh.core.index import Chunk, DocumentDigest, HeadBatch, IndexDescription, IndexSpec
from ragmesh.core.search import QueryTerm
from ragmesh.retrieval.adapters.analysis import Analyzer
from ragmesh.retrieval.adapters.embedded.keeper import KEPT_FROM_CHUNKS, Keeper
from ragmesh.retrieval.adapters.embedded.kept import KeptFile
from ragmesh.retrieval.adapters.embedded.live import Change, LiveState, Rulings
from ragmesh.retrieval.adapters.embedded.ranking import Ranker
from ragmesh.retrieval.adapters.embedded.records import analysed_anew
from ragmesh.retrieval.adapters.embedded.schema import damaged, refuse_newer, store_errors
from ragmesh.retrieval.adapters.embedded.snapshot import Snapshot
from ragmesh.retrieval.adapters.embedded.truth import Truth
from ragmesh.retrieval.adapters.embedded.words import WRITER_BYTES, Words
from ragmesh.retrieval.adapters.embedded.writing import Outcome, Ticket, Work
from ragmesh.retrieval.ports import StoredChunk

_TRUTH = "truth.db"
_WORDS = "words"
_KEPT = "snapshot"
_OPEN_BYTES, _ENTRY_BYTES = 600_000, 1_000
"""Connections, keyword index and columns of an open index version, as measured."""
_log = logging.getLogger(__name__)


class Shard:
    """Keeps one index version; `commit` has a single caller at a time, the rest any number."""

    def __init__(self, folder: Path, truth: Truth, rulings: Rulings, kept_from: int) -> None:
        self.folder = folder
        self.spec = truth.spec
        self.analyzer = Analyzer(truth.spec.language)
        self._truth = truth
        self._words = Words(folder / _WORDS, self.analyzer)
        self._keeper = Keeper(folder / _KEPT, truth.spec.fingerprint.dimension, kept_from)
        self._restored: KeptFile | None = None
        """What the snapshot was made of, if not of the truth."""
        self._waiting: deque[Ticket] = deque()
        self._unseen: list[Change] = []
        """Changes that the truth has and the snapshot does not, after the words failed."""
        self._idle: deque[Truth] = deque()
        """Connections for reading that nobody uses."""
        self._reading: Counter[int] = Counter()
        """Searches under way, by the version that they read."""
        self._making = rulings.turn
        """Held while the next snapshot is made: by a write or by heads, never by readers."""
        self._turn = threading.Lock()
        """Held for an instant: to swap the snapshot, count readers or take a connection."""
        self._closed = False
        self._rulings = rulings
        self._live: LiveState
        self._snapshot: Snapshot
        with suppress(StorageFullError), truth.transaction():  # what is retired can wait for room
            truth.purge(truth.version())
        self._analyse_anew(truth)
        self._words.catch_up(truth)
        self._words.check(truth)
        if not self._restore():
            self._load()
        self._is_settled = False
        self._keeps_soon = self._keeper.wants(self._snapshot, truth)

    def _analyse_anew(self, truth: Truth) -> None:
        """Let the truth hold the words of this analysis; the keyword index follows by its mark."""
        analyzer = self.analyzer
        count = truth.analyse_anew(analyzer.name, lambda row: analysed_anew(row, analyzer))
        if count:
            _log.warning(
                "an index version was analysed anew",
                extra={"index_version": self.spec.index_version_uid, "chunks": count},
            )

    @classmethod
    def create(cls, folder: Path, spec: IndexSpec) -> None:
        """Make the folder with an empty index, all of it or nothing."""
        draft = folder.with_name(f".{folder.name}.new")
        shutil.rmtree(draft, ignore_errors=True)
        try:
            Truth.create(draft / _TRUTH, spec)
            with storage_errors(folder):
                draft.rename(folder)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise
        with storage_errors(folder):
            sync_folder(folder.parent)

    @classmethod
    def open(
        cls, folder: Path, rulings: Rulings | None = None, *, kept_from: int = KEPT_FROM_CHUNKS
    ) -> Shard:
        """The index in the folder, its derived parts brought up to date, seen by these rulings."""
        path, heard = folder / _TRUTH, Rulings() if rulings is None else rulings
        truth = Truth.open(path)
        try:
            with store_errors(path):
                return cls(folder, truth, heard, kept_from)
        except (ValueError, KeyError, TypeError) as error:
            truth.close()
            raise damaged(path, "what it holds cannot be read") from error
        except BaseException:
            truth.close()
            raise

    @classmethod
    def read_spec(cls, folder: Path) -> IndexSpec:
        """The spec of the index in the folder, which is not opened for it."""
        with closing(Truth.open(folder / _TRUTH, read_only=True)) as truth:
            return truth.spec

    @classmethod
    def read_digests(cls, folder: Path, after: tuple[str, int], count: int) -> list[DocumentDigest]:
        """The same as `digests` of the index in the folder, which is not opened for it."""
        with (
            closing(Truth.open(folder / _TRUTH, read_only=True)) as truth,
            store_errors(truth.path),
        ):
            return truth.digests(after, count)

    @classmethod
    def refuse_newer(cls, folder: Path) -> None:
        """NewerFormatError when a newer version wrote the folder; damage is found on opening."""
        path = folder / _TRUTH
        if not path.exists():
            return
        log = folder / f"{_TRUTH}-wal"
        if not log.exists() or not log.stat().st_size:
            refuse_newer(path)  # as it does for each of hundreds at a start
            return
        try:
            Truth.open(path, read_only=True).close()  # the format may still be in the log
        except NewerFormatError:
            raise
        except RagmeshError as error:
            # It keeps nobody else from starting; whoever opens it is told.
            _log.debug("a format cannot be looked at", extra={"reason": error.reason})

    def begin_to_settle(self) -> bool:
        """True for the first that asks: `settle` is due, behind the first search."""
        due, self._is_settled = not self._is_settled, True
        return due

    def settle(self) -> bool:
        """See that the next opening is fast, too; False when what was kept is damaged."""
        if self._restored is not None and not self._restored.is_sound():
            return False
        if self._keeps_soon:
            self._keeper.keep(self._snapshot)
        return True

    def load_anew(self) -> None:
        """Make the snapshot of the truth: what was kept is damaged."""
        self._refuse_closed()
        self._keeper.forget()
        self._load()

    def close(self) -> None:
        """Let go of all files; a search under way fails."""
        if not self._closed and self._keeper.wants(self._snapshot, self._truth):
            self._keeper.keep(self._snapshot)
        with self._turn:
            self._closed = True
            idle, self._idle = list(self._idle), deque()
        self._words.close()
        for connection in (*idle, self._truth):
            connection.close()

    @property
    def memory_bytes(self) -> int:
        """About what it takes while it is open; what is mapped counts as if all were read."""
        snapshot = self._snapshot
        arrays = sum(s.rows.nbytes + s.entries.nbytes + s.vectors.nbytes for s in snapshot.segments)
        arrays += sum(segment.coarse.nbytes for segment in snapshot.segments)
        writer = WRITER_BYTES if self._words.is_written else 0
        return _OPEN_BYTES + arrays + _ENTRY_BYTES * len(snapshot.alive) + writer

    # -- writing ---------------------------------------------------------------

    def enter(self, work: Work) -> Ticket:
        """Let a unit of work wait for the next commit."""
        ticket = Ticket(work)
        self._waiting.append(ticket)
        return ticket

    def commit(self, ticket: Ticket) -> Outcome:
        """Commit all that waits, unless an earlier commit has taken this one along."""
        if not ticket.settled:
            self._commit([self._waiting.popleft() for _ in range(len(self._waiting))])
        return ticket.result()

    def _commit(self, tickets: Sequence[Ticket]) -> None:
        outcomes: dict[int, Outcome] = {}
        try:
            self._refuse_closed()
            with self._truth.transaction():
                version = self._truth.next_version()
                for number, ticket in enumerate(tickets):
                    outcome = self._apply(ticket, version)
                    if outcome is not None:
                        outcomes[number] = outcome
                self._truth.forget_log(self._words.applied)
                self._truth.purge(self._oldest_read())
            self._unseen.extend(outcome.change for outcome in outcomes.values())
            self._show(version)
        except BaseException as error:
            for ticket in tickets:
                if not ticket.settled:
                    ticket.error = error
            raise
        for number, outcome in outcomes.items():
            tickets[number].outcome = outcome
        changes = [outcome.change for outcome in outcomes.values()]
        if any(change.retired or change.attributed for change in changes):
            self._keeper.forget()
        if any(change.retired for change in changes):
            self._purge()

    def _apply(self, ticket: Ticket, version: int) -> Outcome | None:
        try:
            with self._truth.savepoint():
                return ticket.work.apply(self._truth, version)
        except RagmeshError as error:  # it alone is undone; the others of the commit go on
            ticket.error = error
            return None

    def _show(self, version: int) -> None:
        """Make the words searchable, then everything visible in one assignment."""
        with store_errors(self._truth.path):
            self._words.catch_up(self._truth)
        searcher = self._words.searcher()
        with self._making:
            self._swap(self._live.change(self._snapshot, self._unseen, version, searcher))
            self._unseen = []
        if self._live.is_littered:
            self._load()

    def _purge(self) -> None:
        """Remove for good what is retired, as far as no search can still ask for it."""
        with self._truth.transaction():
            self._truth.purge(self._oldest_read())

    def _load(self) -> None:
        """Build the snapshot from the truth; the heads heard so far stay in force."""
        live = LiveState(self.spec, self._rulings)
        version, searcher = self._truth.version(), self._words.searcher()
        with self._making, store_errors(self._truth.path):
            self._swap(live.load(self._truth.all_held(), version, searcher))
            self._live = live

    def _restore(self) -> bool:
        """Make the snapshot of one that was kept and of what was written since, if that pays."""
        truth = self._truth
        usable = self._keeper.usable(truth)
        if usable is None:
            return False
        kept, changed = usable
        live = LiveState(self.spec, self._rulings)
        with self._making, store_errors(truth.path):
            snapshot = live.restore(kept, truth.version(), self._words.searcher())
            attributed = truth.attributed_after(kept.last_attributes)
            if changed or attributed:
                snapshot = live.catch_up(snapshot, truth.held_by_key(changed), attributed)
            self._swap(snapshot)
            self._live, self._restored = live, kept
        return True

    def _swap(self, snapshot: Snapshot) -> None:
        with self._turn:
            self._snapshot = snapshot

    def _oldest_read(self) -> int:
        with self._turn:
            return min(self._reading, default=self._snapshot.version)

    # -- heads -----------------------------------------------------------------

    def hear(self, batch: HeadBatch) -> None:
        """Let the next search see by these heads."""
        with self._making:
            self._swap(self._live.hear(self._snapshot, batch))

    # -- reading ---------------------------------------------------------------

    def begin_read(self) -> Snapshot:
        """The snapshot of this moment; what it shows stays readable until `end_read`."""
        with self._turn:
            if self._closed:
                raise IndexVersionGoneError.of(self.spec.index_version_uid)
            snapshot = self._snapshot
            self._reading[snapshot.version] += 1
            return snapshot

    def end_read(self, snapshot: Snapshot) -> None:
        """Say that the snapshot is not read any more."""
        with self._turn:
            self._reading[snapshot.version] -= 1
            if not self._reading[snapshot.version]:
                del self._reading[snapshot.version]

    def ranker(self, snapshot: Snapshot) -> Ranker:
        """What ranks the rows of a snapshot."""
        return Ranker(snapshot, self.analyzer, self._words.schema)

    def load(
        self, snapshot: Snapshot, rows: Sequence[int], terms: Sequence[QueryTerm]
    ) -> tuple[StoredChunk, ...]:
        """The chunks of these rows of the snapshot, in the order asked for."""
        if not rows:
            return ()
        numbers = snapshot.attribute_numbers(rows)
        with self._connection() as truth, store_errors(truth.path):
            chunks = truth.chunk_rows(rows)
            titles = truth.titles(sorted(set(numbers)))
        uid = self.spec.index_version_uid
        try:
            return tuple(
                chunks[row].stored(uid, titles[number], terms)
                for row, number in zip(rows, numbers, strict=True)
            )
        except KeyError as error:
            raise damaged(self._truth.path, "a chunk in force is missing") from error
        except (ValueError, TypeError) as error:
            raise damaged(self._truth.path, "a chunk cannot be read") from error

    def digests(self, after: tuple[str, int], count: int) -> list[DocumentDigest]:
        """What is held after (document uid, revision), in that order."""
        with self._connection() as truth, store_errors(truth.path):
            return truth.digests(after, count)

    def chunks(self, document_uid: str, revision: int) -> tuple[Chunk, ...]:
        """What is held of a revision, with its vectors."""
        with self._connection() as truth, store_errors(truth.path):
            try:
                return truth.chunks(document_uid, revision)
            except (ValueError, TypeError) as error:
                raise damaged(truth.path, "a chunk cannot be read") from error

    def describe(self) -> IndexDescription:
        """The index version as it stands."""
        snapshot = self._snapshot
        documents, chunks = snapshot.count_visible()
        return IndexDescription(
            index_version_uid=self.spec.index_version_uid,
            fingerprint=self.spec.fingerprint,
            documents=documents,
            chunks=chunks,
            heads_sequence=snapshot.heads_sequence,
        )

    @contextmanager
    def _connection(self) -> Iterator[Truth]:
        with self._turn:
            self._refuse_closed()
            truth = self._idle.pop() if self._idle else None
        if truth is None:
            truth = Truth.open(self._truth.path, read_only=True)
        try:
            yield truth
        finally:
            with self._turn:
                keep = not self._closed
                if keep:
                    self._idle.append(truth)
            if not keep:
                truth.close()

    def _refuse_closed(self) -> None:
        if self._closed:
            raise IndexVersionGoneError.of(self.spec.index_version_uid)
