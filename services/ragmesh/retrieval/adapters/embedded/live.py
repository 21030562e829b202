"""What makes the next snapshot out of writes and heads: it knows documents by their uid."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
import tantivy

from ragmesh.core.callers import OPEN, Access
from ragmesh.core.index import HeadBatch, IndexSpec
from ragmesh.retrieval.adapters.embedded.columns import Columns, Mask
from ragmesh.retrieval.adapters.embedded.kept import KeptFile
from ragmesh.retrieval.adapters.embedded.records import Held
from ragmesh.retrieval.adapters.embedded.segments import MAX_ROWS, NewRows, build, tidy
from ragmesh.retrieval.adapters.embedded.snapshot import SelectionCache, Snapshot

_FEW_ENTRIES = 4_096


@dataclass(frozen=True, slots=True)
class Change:
    """What one write to the truth means for the snapshot."""

    added: tuple[tuple[Held, bytes], ...] = ()
    """Writes now in force, with their vectors."""
    retired: tuple[int, ...] = ()
    """Keys of writes no longer in force."""
    attributed: tuple[Held, ...] = ()
    """Writes with new attributes."""


Ruling = tuple[int, int]
"""What a head decides about the entries of its document: revision and number of the access."""
_NOTHING: Ruling = (-1, 0)
_NO_REVISIONS: Mapping[int, int] = MappingProxyType({})


class Rulings:
    """The heads of an index version; without one, a document is not visible."""

    def __init__(self) -> None:
        self.turn = threading.RLock()
        """Held while heads are heard or a snapshot is made by them."""
        self.sequence = 0
        self.accesses: dict[Access, int] = {OPEN: 0}
        self._by_document: dict[str, Ruling] = {}

    def of(self, document_uid: str) -> Ruling:
        """What is decided about a document; no revision has the number of one without a head."""
        return self._by_document.get(document_uid, _NOTHING)

    def documents(self) -> tuple[str, ...]:
        """Every document that a head decides about."""
        return tuple(self._by_document)

    def __len__(self) -> int:
        return len(self._by_document)

    def hear(self, batch: HeadBatch) -> list[str]:
        """Take over the heads that are new; the documents they are about.

        A start hears all heads there are: nothing is done twice here.
        """
        changed: list[str] = []
        known, accesses, by_document = self.sequence, self.accesses, self._by_document
        access, number = OPEN, accesses[OPEN]
        shared: dict[Ruling, Ruling] = {}
        for head in batch.heads:
            if head.sequence <= known:
                continue
            changed.append(head.document_uid)
            if head.deleted:
                by_document.pop(head.document_uid, None)
                continue
            if head.access is not access:
                access = head.access
                number = accesses.setdefault(access, len(accesses))
            ruling = (head.revision, number)
            by_document[head.document_uid] = shared.setdefault(ruling, ruling)
        self.sequence = max(known, batch.sequence)
        return changed

    def forget_unused(self) -> None:
        """Number the accesses anew that some head still has; snapshots keep their own numbers."""
        by_number = {number: access for access, number in self.accesses.items()}
        self.accesses = {OPEN: 0}
        for document_uid, (revision, old) in self._by_document.items():
            number = self.accesses.setdefault(by_number[old], len(self.accesses))
            self._by_document[document_uid] = (revision, number)


class LiveState:
    """Makes snapshots; one thread at a time calls it."""

    def __init__(self, spec: IndexSpec, rulings: Rulings) -> None:
        self._dimension = spec.fingerprint.dimension
        self._columns = Columns(spec.sortable)
        self._rulings = rulings
        self._entries: dict[str, dict[int, int]] = {}
        """Entry in force of each revision of each document."""
        self._owners: dict[int, tuple[int, str, int]] = {}
        """Entry, document and revision of each key in force."""
        self._alive: Mask = np.zeros(0, np.bool_)

    @property
    def is_littered(self) -> bool:
        """Whether most of what is kept is of writes long gone, so that loading anew pays."""
        kept = max(
            len(self._alive), len(self._columns.attribute_numbers), len(self._rulings.accesses)
        )
        return kept > max(_FEW_ENTRIES, 2 * len(self._owners))

    def load(
        self, held: Iterable[tuple[Held, bytes]], version: int, searcher: tantivy.Searcher
    ) -> Snapshot:
        """A snapshot of everything in force, seen by the heads heard so far."""
        self._rulings.forget_unused()
        snapshot = Snapshot(
            version=version,
            columns=self._columns,
            segments=(),
            attributes_of=np.zeros(0, np.int32),
            attribute_count=0,
            alive=self._alive,
            visible=np.zeros(0, np.bool_),
            access_of=np.zeros(0, np.int32),
            accesses=tuple(self._rulings.accesses),
            heads_sequence=self._rulings.sequence,
            searcher=searcher,
        )
        for batch in _batches(held):
            snapshot = self.change(snapshot, [Change(added=batch)], version, searcher)
        return snapshot

    def restore(self, kept: KeptFile, version: int, searcher: tantivy.Searcher) -> Snapshot:
        """The snapshot that was kept, seen by the heads heard so far."""
        columns = self._columns
        kept.fill(columns)
        count = len(columns.keys)
        for entry, (key, document_uid, revision) in enumerate(
            zip(columns.keys, columns.document_uids, columns.revisions, strict=True)
        ):
            self._entries.setdefault(document_uid, {})[revision] = entry
            self._owners[key] = (entry, document_uid, revision)
        self._alive = np.ones(count, np.bool_)
        self._rulings.forget_unused()
        bare = Snapshot(
            version=version,
            columns=columns,
            segments=kept.segments(),
            attributes_of=np.arange(count, dtype=np.int32),
            attribute_count=count,
            alive=self._alive,
            visible=np.zeros(count, np.bool_),
            access_of=np.zeros(count, np.int32),
            accesses=(),
            heads_sequence=0,
            searcher=searcher,
        )
        return self._seen(bare, self._rulings.documents())

    def catch_up(
        self,
        old: Snapshot,
        changed: Iterable[tuple[int, tuple[Held, bytes] | None]],
        attributed: Iterable[Held],
    ) -> Snapshot:
        """A restored snapshot after what happened to the truth since it was kept.

        A key that changed comes with its write, or with None when that is not in force.
        """
        added, retired = [], []
        for key, held in changed:
            if held is None and key in self._owners:
                retired.append(key)
            elif held is not None and key not in self._owners:
                added.append(held)
        known = tuple(held for held in attributed if held.key in self._owners)
        change = Change(tuple(added), tuple(retired), known)
        return self.change(old, [change], old.version, old.searcher)

    def change(
        self,
        old: Snapshot,
        changes: Iterable[Change],
        version: int,
        searcher: tantivy.Searcher,
    ) -> Snapshot:
        """The snapshot after these changes."""
        positions: list[int] = []
        reassigned: dict[int, int] = {}
        new_rows: list[NewRows] = []
        touched: set[str] = set()
        retired: list[int] = []
        known = len(self._alive)
        for change in changes:
            retired.extend(self._retire(key) for key in change.retired)
            for held, vectors in change.added:
                entry = self._add(held, known + len(positions))
                positions.append(self._columns.add_attributes(held))
                touched.add(held.document_uid)
                if held.chunk_count:
                    new_rows.append(NewRows(entry, held.first_row, held.chunk_count, vectors))
            for held in change.attributed:
                reassigned[self._owners[held.key][0]] = self._columns.add_attributes(held)
        self._alive = np.concatenate([self._alive, np.ones(len(positions), np.bool_)])
        self._alive[retired] = False
        grown = _grown(old, positions)
        grown.attributes_of[list(reassigned)] = list(reassigned.values())
        grown.visible[retired] = False
        fresh = replace(
            grown,
            version=version,
            segments=tidy([*old.segments, *build(new_rows, self._dimension)], self._alive),
            attribute_count=len(self._columns.attribute_numbers),
            alive=self._alive,
            searcher=searcher,
        )
        return self._seen(fresh, touched)

    def hear(self, old: Snapshot, batch: HeadBatch) -> Snapshot:
        """The snapshot seen by these heads."""
        changed = self._rulings.hear(batch)
        return self._seen(
            replace(old, visible=old.visible.copy(), access_of=old.access_of.copy()), changed
        )

    def _seen(self, fresh: Snapshot, documents: Iterable[str]) -> Snapshot:
        """Apply what heads say about these documents; the arrays must be the snapshot's own."""
        entries: list[int] = []
        heads: list[bool] = []
        accesses: list[int] = []
        for document_uid in documents:
            head, access = self._rulings.of(document_uid)
            for revision, entry in self._entries.get(document_uid, _NO_REVISIONS).items():
                entries.append(entry)
                heads.append(revision == head)
                accesses.append(access)
        fresh.visible[entries] = heads
        fresh.access_of[entries] = accesses
        return replace(
            fresh,
            accesses=tuple(self._rulings.accesses),
            heads_sequence=self._rulings.sequence,
            missing_documents=len(self._rulings) - int(np.count_nonzero(fresh.visible)),
            cache=SelectionCache(),
        )

    def _add(self, held: Held, entry: int) -> int:
        self._columns.add_entry(held)
        self._entries.setdefault(held.document_uid, {})[held.revision] = entry
        self._owners[held.key] = (entry, held.document_uid, held.revision)
        return entry

    def _retire(self, key: int) -> int:
        entry, document_uid, revision = self._owners.pop(key)
        revisions = self._entries[document_uid]
        if revisions.get(revision) == entry:
            del revisions[revision]
        if not revisions:
            del self._entries[document_uid]
        return entry


def _grown(old: Snapshot, positions: Sequence[int]) -> Snapshot:
    """The snapshot with arrays of its own that have room for these new entries."""
    count = len(positions)
    return replace(
        old,
        attributes_of=np.concatenate([old.attributes_of, np.array(positions, np.int32)]),
        visible=np.concatenate([old.visible, np.zeros(count, np.bool_)]),
        access_of=np.concatenate([old.access_of, np.zeros(count, np.int32)]),
    )


def _batches(held: Iterable[tuple[Held, bytes]]) -> Iterator[tuple[tuple[Held, bytes], ...]]:
    """Writes in portions of about a segment, so that their bytes are not all there at once."""
    batch: list[tuple[Held, bytes]] = []
    rows = 0
    for one in held:
        if batch and rows + one[0].chunk_count > MAX_ROWS:
            yield tuple(batch)
            batch, rows = [], 0
        batch.append(one)
        rows += one[0].chunk_count
    if batch:
        yield tuple(batch)
