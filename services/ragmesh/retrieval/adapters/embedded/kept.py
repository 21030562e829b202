"""A snapshot kept in a file, from which an index version opens without reading every write.

It is derived from the truth, like the keyword index, and says up to which version: what was
written after it is read from the truth. Its vectors are mapped, not read: a search touches them,
and the system may take their memory back. One that is missing, cut short, damaged or of another
format is no error: the truth is read instead.
"""

from __future__ import annotations

import json
import logging
import mmap
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ragmesh.chassis.files import write_durably
from ragmesh.retrieval.adapters.embedded.columns import Columns
from ragmesh.retrieval.adapters.embedded.segments import MAX_ROWS, Segment
from ragmesh.retrieval.adapters.embedded.snapshot import Snapshot

FORMAT_VERSION = 1
"""Counts up with every change of what the file holds."""
_VECTORS = "vectors"
_HEADER_BYTES = 4_096
_ALIGNED = 64
_CHECKED_AT_ONCE = 1 << 20
_log = logging.getLogger(__name__)

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Section:
    """Where a part of the file lies, and its checksum."""

    offset: int
    length: int
    crc: int


@dataclass(frozen=True, slots=True)
class KeptFile:
    """The file of one index version, mapped and found to be whole but for its vectors."""

    path: Path
    version: int
    """Of the truth that it shows."""
    dimension: int
    sections: dict[str, Section]
    content: mmap.mmap

    @property
    def writes(self) -> int:
        """How many writes it shows."""
        return len(self.numbers("keys", "<i8"))

    @property
    def last_attributes(self) -> int:
        """The highest number of attributes that it knows; later ones have higher ones."""
        return int(self.numbers("attribute_numbers", "<i8").max(initial=0))

    def numbers(self, name: str, kind: str) -> Array:
        """An array, as it lies in the file."""
        section = self.sections[name]
        count = section.length // np.dtype(kind).itemsize
        return np.frombuffer(self.content, kind, count, section.offset)

    def words(self, name: str) -> list[str]:
        """A list of strings."""
        found: list[str] = json.loads(self.part(name))
        return found

    def part(self, name: str) -> bytes:
        """The bytes of a part."""
        section = self.sections[name]
        return self.content[section.offset : section.offset + section.length]

    def segments(self) -> tuple[Segment, ...]:
        """The rows with their vectors, which stay in the file until they are looked at."""
        rows, entries = self.numbers("rows", "<i8"), self.numbers("entries", "<i4")
        vectors = self.numbers(_VECTORS, "<f4").reshape(-1, self.dimension)
        return tuple(
            Segment(rows[at : at + MAX_ROWS], entries[at : at + MAX_ROWS], vectors[at:][:MAX_ROWS])
            for at in range(0, len(rows), MAX_ROWS)
        )

    def fill(self, columns: Columns) -> None:
        """Let the columns hold what the file knows of writes and attributes."""
        columns.keys = self.numbers("keys", "<i8").tolist()
        columns.revisions = self.numbers("revisions", "<i8").tolist()
        columns.first_rows = self.numbers("first_rows", "<i8").tolist()
        columns.attribute_numbers = self.numbers("attribute_numbers", "<i8").tolist()
        columns.document_uids = self.words("document_uids")
        columns.document_ids = self.words("document_ids")
        columns.kept_postings = FilePostings(self)
        slots = self.numbers("slots", "<i8").tolist()
        positions = self.numbers("slot_positions", "<i4").tolist()
        values = self.numbers("slot_values", "<f8").tolist()
        for slot, position, value in zip(slots, positions, values, strict=True):
            columns.add_slot(slot, position, value)

    def is_sound(self) -> bool:
        """Whether the vectors are those that were kept; reads all of them, past the mapping."""
        section, crc = self.sections[_VECTORS], 0
        try:
            file = self.path.open("rb")
        except FileNotFoundError:  # something in it was deleted meanwhile, and the file with it
            return True
        with file:
            file.seek(section.offset)
            left = section.length
            while left:
                part = file.read(min(left, _CHECKED_AT_ONCE))
                if not part:
                    return False
                crc = zlib.crc32(part, crc)
                left -= len(part)
        return crc == section.crc


class FilePostings:
    """Where each token stands, read when the first filter asks."""

    def __init__(self, file: KeptFile) -> None:
        self._file = file

    def of(self, token: str) -> npt.NDArray[np.int32]:
        """The positions that have the token, rising."""
        place = self._places.get(token)
        if place is None:
            return np.zeros(0, np.int32)
        ends, positions = self._file.numbers("ends", "<i8"), self._file.numbers("postings", "<i4")
        return positions[ends[place - 1] if place else 0 : ends[place]]

    def tokens(self) -> Sequence[str]:
        """Every token of the file."""
        return tuple(self._places)

    @cached_property
    def _places(self) -> dict[str, int]:
        return {token: place for place, token in enumerate(self._file.words("tokens"))}


def read(path: Path, dimension: int) -> KeptFile | None:
    """The file, unless it is missing or not what was written."""
    try:
        return _read(path, dimension)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        # Only derived; the truth is read instead, and the next closing keeps another.
        _log.warning(
            "a kept snapshot cannot be read and is not used",
            extra={"path": str(path), "detail": str(error)},
        )
        return None


def _read(path: Path, dimension: int) -> KeptFile:
    with path.open("rb") as file:
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    crc, _, rest = content[:_HEADER_BYTES].partition(b" ")
    if zlib.crc32(rest) != int(crc, 16):
        raise ValueError("its head is not what was written")
    head = json.loads(rest)
    if (head["format"], head["dimension"]) != (FORMAT_VERSION, dimension):
        raise ValueError("it is of another format")
    if head["bytes"] != len(content):
        raise ValueError(f"it has {len(content)} of {head['bytes']} bytes")
    sections = {name: Section(*section) for name, section in head["sections"].items()}
    kept = KeptFile(path, head["version"], dimension, sections, content)
    for name, section in sections.items():
        if name != _VECTORS and zlib.crc32(kept.part(name)) != section.crc:
            raise ValueError(f"its {name} are not what was written")
    return kept


def write(path: Path, snapshot: Snapshot, dimension: int) -> None:
    """Keep what the snapshot shows of the truth; heads come anew with every start."""
    parts = _parts(snapshot)
    sections: dict[str, Section] = {}
    at = _HEADER_BYTES
    for name, pieces in parts.items():
        crc = length = 0
        for piece in pieces:
            crc, length = zlib.crc32(piece, crc), length + memoryview(piece).nbytes
        sections[name] = Section(at, length, crc)
        at += -(-length // _ALIGNED) * _ALIGNED
    head = {
        "format": FORMAT_VERSION,
        "version": snapshot.version,
        "dimension": dimension,
        "bytes": at,
        "sections": {name: [s.offset, s.length, s.crc] for name, s in sections.items()},
    }
    rest = json.dumps(head).encode().ljust(_HEADER_BYTES - 9)
    write_durably(path, _pieces(b"%08x %b" % (zlib.crc32(rest), rest), parts, sections))


def _pieces(
    head: bytes, parts: dict[str, Sequence[Any]], sections: dict[str, Section]
) -> Iterator[Any]:
    yield head
    for name, pieces in parts.items():
        yield from pieces
        yield bytes(-sections[name].length % _ALIGNED)


def _parts(snapshot: Snapshot) -> dict[str, Sequence[Any]]:
    """Everything in force, numbered anew; vectors as they are, without a copy where that can be."""
    columns, alive = snapshot.columns, snapshot.alive
    entries = np.flatnonzero(alive)
    numbers = np.full(len(alive), -1, np.int32)
    numbers[entries] = np.arange(len(entries), dtype=np.int32)
    positions = snapshot.attributes_of[entries]
    renumbered = np.full(snapshot.attribute_count, -1, np.int32)
    renumbered[positions] = np.arange(len(entries), dtype=np.int32)
    segments = [segment.only(alive[segment.entries]) for segment in snapshot.segments]

    def of_entries(values: Sequence[Any]) -> list[Any]:
        return [values[entry] for entry in entries.tolist()]

    def of_attributes(values: Sequence[Any]) -> list[Any]:
        return [values[position] for position in positions.tolist()]

    return {
        _VECTORS: [np.ascontiguousarray(segment.vectors, "<f4") for segment in segments],
        "rows": [np.ascontiguousarray(segment.rows, "<i8") for segment in segments],
        "entries": [np.ascontiguousarray(numbers[s.entries], "<i4") for s in segments],
        "keys": [np.array(of_entries(columns.keys), "<i8")],
        "revisions": [np.array(of_entries(columns.revisions), "<i8")],
        "first_rows": [np.array(of_entries(columns.first_rows), "<i8")],
        "attribute_numbers": [np.array(of_attributes(columns.attribute_numbers), "<i8")],
        "document_uids": [_json(of_entries(columns.document_uids))],
        "document_ids": [_json(of_attributes(columns.document_ids))],
        **_token_parts(columns.postings(), renumbered),
        **_slot_parts(columns, renumbered),
    }


def _token_parts(postings: Iterator[tuple[str, Array]], renumbered: Array) -> dict[str, list[Any]]:
    tokens, found = [], []
    for token, positions in postings:
        fresh = _in_force(positions, renumbered)
        if len(fresh):
            tokens.append(token)
            found.append(np.sort(fresh))
    ends = np.cumsum([len(one) for one in found], dtype="<i8")
    together = np.concatenate(found) if found else np.zeros(0, "<i4")
    return {"tokens": [_json(tokens)], "ends": [ends], "postings": [together.astype("<i4")]}


def _slot_parts(columns: Columns, renumbered: Array) -> dict[str, list[Any]]:
    slots, positions, values = [], [], []
    for slot, filled, numbers in columns.slots():
        fresh = renumbered[filled[filled < len(renumbered)]]
        chosen = np.flatnonzero(fresh >= 0)
        chosen = chosen[np.argsort(fresh[chosen])]
        slots.append(np.full(len(chosen), slot, "<i8"))
        positions.append(fresh[chosen].astype("<i4"))
        values.append(np.array(numbers, "<f8")[chosen])
    return {"slots": slots, "slot_positions": positions, "slot_values": values}


def _in_force(positions: Array, renumbered: Array) -> Array:
    """New numbers of those positions that are in force."""
    fresh: Array = renumbered[positions[positions < len(renumbered)]]
    return fresh[fresh >= 0]


def _json(values: Sequence[str]) -> bytes:
    return json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode()
