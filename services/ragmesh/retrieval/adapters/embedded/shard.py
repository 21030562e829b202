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
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ragmesh.chassis.files import storage_errors, sync_folder
from ragmesh.core.errors import (
    IndexVersionGoneError,
    NewerFormatError,
    RagmeshError,
    StorageFullError,
    UnavailableError,
)
from ragmesh.core.index import Chunk, DocumentDigest, HeadBatch, IndexDescription, IndexSpec
from ragmesh.core.search import QueryTerm
from ragmesh.retrieval.adapters.embedded.analysis import Analyzer
from ragmesh.retrieval.adapters.embedded.live import Change, LiveState, Rulings
from ragmesh.retrieval.adapters.embedded.ranking import Ranker
from ragmesh.retrieval.adapters.embedded.records import analysed_anew
from ragmesh.retrieval.adapters.embedded.schema import damaged, store_errors
from ragmesh.retrieval.adapters.embedded.snapshot import Snapshot
from ragmesh.retrieval.adapters.embedded.truth import Truth
from ragmesh.retrieval.adapters.embedded.words import Words
from ragmesh.retrieval.adapters.embedded.writing import Outcome, Work
from ragmesh.retrieval.ports import StoredChunk

_TRUTH = "truth.db"
_WORDS = "words"
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Ticket:
    """A unit of work that waits for a commit, and then its outcome."""

    work: Work
    outcome: Outcome | None = None
    error: BaseException | None = None

    @property
    def settled(self) -> bool:
        """Whether a commit has taken it, with whatever outcome."""
        return self.outcome is not None or self.error is not None

    def result(self) -> Outcome:
        """The outcome, or what went wrong."""
        if self.error is not None:
            raise self.error
        if self.outcome is None:
            raise UnavailableError("the write was not taken up", retry_after_seconds=1.0)
        return self.outcome


class Shard:
    """Keeps one index version; `commit` has a single caller at a time, the rest any number."""

    def __init__(self, folder: Path, truth: Truth) -> None:
        self.folder = folder
        self.spec = truth.spec
        self.analyzer = Analyzer(truth.spec.language)
        self._truth = truth
        self._words = Words(folder / _WORDS, self.analyzer)
        self._waiting: deque[Ticket] = deque()
        self._unseen: list[Change] = []
        """Changes that the truth has and the snapshot does not, after the words failed."""
        self._idle: deque[Truth] = deque()
        """Connections for reading that nobody uses."""
        self._reading: Counter[int] = Counter()
        """Searches under way, by the version that they read."""
        self._making = threading.Lock()
        """Held while the next snapshot is made: by a write or by heads, never by readers."""
        self._turn = threading.Lock()
        """Held for an instant: to swap the snapshot, count readers or take a connection."""
        self._closed = False
        self._rulings = Rulings()
        self._live: LiveState
        self._snapshot: Snapshot
        with suppress(StorageFullError), truth.transaction():  # what is retired can wait for room
            truth.purge(truth.version())
        self._analyse_anew(truth)
        self._words.catch_up(truth)
        self._words.check(truth)
        self._load()

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
    def open(cls, folder: Path) -> Shard:
        """The index in the folder, its derived parts brought up to date."""
        path = folder / _TRUTH
        if not path.exists():
            raise damaged(path, "it is missing")
        truth = Truth.open(path)
        try:
            with store_errors(path):
                return cls(folder, truth)
        except (ValueError, KeyError, TypeError) as error:
            truth.close()
            raise damaged(path, "what it holds cannot be read") from error
        except BaseException:
            truth.close()
            raise

    @classmethod
    def refuse_newer(cls, folder: Path) -> None:
        """NewerFormatError when a newer version wrote the folder; damage is found on opening."""
        path = folder / _TRUTH
        if not path.exists():
            return
        try:
            Truth.open(path, read_only=True).close()
        except NewerFormatError:
            raise
        except RagmeshError as error:
            # It keeps nobody else from starting; whoever opens it is told.
            _log.debug("a format cannot be looked at", extra={"reason": error.reason})

    def close(self) -> None:
        """Let go of all files; a search under way fails."""
        with self._turn:
            self._closed = True
            idle, self._idle = list(self._idle), deque()
        self._words.close()
        for connection in (*idle, self._truth):
            connection.close()

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
        if any(outcome.change.retired for outcome in outcomes.values()):
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
                raise _gone(self.spec.index_version_uid)
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
            raise _gone(self.spec.index_version_uid)


def _gone(index_version_uid: str) -> IndexVersionGoneError:
    return IndexVersionGoneError(
        "there is no such index version", metadata={"index_version": index_version_uid}
    )
