"""The heads that one replica heard of an index version, and what a search sees by them.

Heads live in memory; a view keeps what they were in its moment, and costs only what changes while
it is open. A head is believed until the store is known to lack the revision that it names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain, islice

from ragmesh.core.callers import Access, Caller
from ragmesh.core.index import Head, HeadBatch
from ragmesh.retrieval.adapters.weaviate.revisions import Record

MOST_CHECKED = 500
"""Heads that one look at the store is about."""
_MOST_ACCESSES = 10_000
_AGAIN_SECONDS = 1.0
"""How soon a revision that was missing is looked for again."""


@dataclass(frozen=True, slots=True)
class Ruling:
    """What a head says of its document."""

    revision: int
    access: Access
    chunk_count: int


@dataclass(slots=True, eq=False)
class Moment:
    """The heads as they were when a view was opened; two of one sequence are still two."""

    sequence: int
    hidden: frozenset[str]
    """Documents whose published revision the store lacked."""
    _live: Mapping[str, Ruling]
    _before: dict[str, Ruling | None] = field(default_factory=dict)
    """What has changed since then, as it was."""

    def shows(self, caller: Caller, document_uid: str, revision: int) -> bool:
        """Whether the caller sees this revision of the document."""
        if document_uid in self._before:
            ruling = self._before[document_uid]
        else:
            ruling = self._live.get(document_uid)
        return (
            ruling is not None
            and ruling.revision == revision
            and document_uid not in self.hidden
            and ruling.access.admits(caller)
        )

    def remember(self, document_uid: str, ruling: Ruling | None) -> None:
        """Keep what is about to change; the first change counts."""
        self._before.setdefault(document_uid, ruling)


class Heads:
    """What is published in one index version; one event loop calls it."""

    def __init__(self) -> None:
        self.sequence = 0
        self.chunks = 0
        """Of the documents that are published and not known to be missing."""
        self._rulings: dict[str, Ruling] = {}
        self._accesses: dict[Access, Access] = {}
        self._unchecked: dict[str, None] = {}
        self._missing: dict[str, float] = {}
        """When each was last looked for."""
        self._hidden: frozenset[str] | None = None
        """The missing ones as views take them; made anew when they have changed."""
        self._moments: list[Moment] = []

    @property
    def missing(self) -> int:
        """How many documents are published, and the store is known to lack them."""
        return len(self._missing)

    @property
    def documents(self) -> int:
        """How many documents are published and not known to be missing."""
        return len(self._rulings) - len(self._missing)

    def hear(self, batch: HeadBatch) -> None:
        """Take over the heads that are new."""
        for head in batch.heads:
            if head.sequence > self.sequence:
                self._replace(head.document_uid, None if head.deleted else self._ruling(head))
        self.sequence = max(self.sequence, batch.sequence)

    def doubt(self, document_uid: str) -> None:
        """Look at the store before the next search: what it holds of the document has changed."""
        if document_uid in self._rulings:
            self._unchecked[document_uid] = None

    @contextmanager
    def moment(self) -> Iterator[Moment]:
        """The heads as they are now, for as long as the block lasts."""
        if self._hidden is None:
            self._hidden = frozenset(self._missing)
        moment = Moment(self.sequence, self._hidden, self._rulings)
        self._moments.append(moment)
        try:
            yield moment
        finally:
            self._moments.remove(moment)

    def to_check(self, now: float) -> list[tuple[str, int]]:
        """(document, revision) of heads that the store must be asked about; the newest first."""
        # Lazily: every search asks, and after a start as many wait as there are documents.
        again = (uid for uid in self._due(now) if uid not in self._unchecked)
        asked = islice(chain(reversed(self._unchecked), again), MOST_CHECKED)
        return [(uid, self._rulings[uid].revision) for uid in asked]

    def checked(
        self,
        asked: list[tuple[str, int]],
        records: Mapping[tuple[str, int], Record],
        now: float,
    ) -> None:
        """Take over what the store said; heads that have moved since then are asked about again."""
        for owner in asked:
            uid, revision = owner
            ruling = self._rulings.get(uid)
            if ruling is None or ruling.revision != revision:
                continue
            record = records.get(owner)
            self._count(uid, -1)
            self._unchecked.pop(uid, None)
            if record is not None and record.is_readable:
                self._known_missing(uid, None)
                self._rulings[uid] = Ruling(revision, ruling.access, record.chunk_count)
            else:
                self._known_missing(uid, now)
            self._count(uid, 1)

    def _replace(self, document_uid: str, ruling: Ruling | None) -> None:
        before = self._rulings.get(document_uid)
        for moment in self._moments:
            moment.remember(document_uid, before)
        self._count(document_uid, -1)
        if ruling is None or before is None or before.revision != ruling.revision:
            self._known_missing(document_uid, None)
            self._unchecked.pop(document_uid, None)
            if ruling is not None:
                self._unchecked[document_uid] = None
        if ruling is None:
            self._rulings.pop(document_uid, None)
        else:
            self._rulings[document_uid] = ruling
            self._count(document_uid, 1)

    def _known_missing(self, document_uid: str, at: float | None) -> None:
        """Note when the store was last seen to lack the document, or that it does not."""
        was = self._missing.pop(document_uid, None)
        if at is not None:
            self._missing[document_uid] = at
        if (was is None) is not (at is None):
            self._hidden = None

    def _due(self, now: float) -> Iterator[str]:
        """Those that are to be looked for again; who was looked for last stands last."""
        for uid, at in self._missing.items():
            if now - at < _AGAIN_SECONDS:
                return
            yield uid

    def _count(self, document_uid: str, sign: int) -> None:
        ruling = self._rulings.get(document_uid)
        if ruling is not None and document_uid not in self._missing:
            self.chunks += sign * ruling.chunk_count

    def _ruling(self, head: Head) -> Ruling:
        if len(self._accesses) > _MOST_ACCESSES:
            self._accesses.clear()
        access = self._accesses.setdefault(head.access, head.access)  # many share a few
        return Ruling(head.revision, access, head.chunk_count)
