"""Stores in memory that others change whenever a backup waits for something."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from ragmesh.core.errors import StorageFullError
from ragmesh.indexing.backups.packing import digest_of
from ragmesh.indexing.backups.ports import NamedFile, Row

COLUMNS = (
    *("document_uid", "revision", "content_sha256", "source_blob"),
    *("text_blob", "text_sha256", "size_bytes"),
)
HEADS = ("document_uid", "revision", "deleted")


@dataclass(slots=True)
class Mesh:
    """A catalog and its blobs; a file is stored before its row, and swept after it."""

    chance: random.Random
    revisions: dict[tuple[str, int], tuple[str, str]] = field(default_factory=dict)
    """(document, revision) → key and SHA-256."""
    blobs: dict[str, bytes] = field(default_factory=dict)
    acknowledged: list[str] = field(default_factory=list)
    moves: int = 0
    """How much may still happen while somebody waits."""

    def upload(self, content: bytes) -> None:
        key, uid = f"{self.chance.getrandbits(128):032x}", f"d{len(self.acknowledged):05}"
        self.blobs[key] = content
        self.revisions[uid, 1] = key, digest_of(content)
        self.acknowledged.append(uid)

    def erase(self) -> None:
        """Forget any document, and sweep its file at once: no mesh is as quick."""
        if self.revisions:
            place = self.chance.choice(sorted(self.revisions))
            del self.blobs[self.revisions.pop(place)[0]]

    async def pass_by(self) -> None:
        """What happens while a backup waits."""
        await asyncio.sleep(0)
        happens = self.chance.random()
        if self.moves and happens < 0.6:
            self.moves -= 1
            if happens < 0.3:
                self.upload(self.chance.randbytes(20))
            else:
                self.erase()


@dataclass(slots=True)
class FakeMoment:
    """The rows as they were."""

    mesh: Mesh
    kept: list[Row]
    schema: str = "0015"
    uid: str = "catalog"
    audit_entry: int = 7
    tables: Sequence[tuple[str, Sequence[str]]] = (("revisions", COLUMNS), ("heads", HEADS))

    async def rows(self, table: str) -> AsyncIterator[Sequence[Row]]:
        for start in range(0, len(self.kept), 3):
            page = self.kept[start : start + 3]
            await self.mesh.pass_by()
            yield page if table == "revisions" else [(row[0], row[1], False) for row in page]


@dataclass(slots=True)
class FakeCatalog:
    """A source that is read while the mesh changes."""

    mesh: Mesh

    def _rows(self) -> list[Row]:
        return [
            (uid, revision, digest, key, None, "", 20)
            for (uid, revision), (key, digest) in sorted(self.mesh.revisions.items())
        ]

    async def named_files(self) -> AsyncIterator[Sequence[NamedFile]]:
        after, last = "", max((row[0] for row in self._rows()), default="")
        while page := [row for row in self._rows() if after < row[0] <= last][:3]:
            yield [NamedFile(row[3], row[2], 20) for row in page]
            after = page[-1][0]
            await self.mesh.pass_by()

    async def still_named(self, keys: Sequence[str]) -> frozenset[str]:
        return frozenset(keys) & {key for key, _ in self.mesh.revisions.values()}

    @asynccontextmanager
    async def moment(self) -> AsyncIterator[FakeMoment]:
        yield FakeMoment(self.mesh, self._rows())


@dataclass(slots=True)
class FakeFiles:
    """The blobs of the mesh."""

    mesh: Mesh

    async def read(self, key: str) -> bytes | None:
        await self.mesh.pass_by()
        return self.mesh.blobs.get(key)


@dataclass(slots=True)
class MemoryPlace:
    """A place for a backup, full after so many parts."""

    files: dict[str, bytes] = field(default_factory=dict)
    room: int = 1_000_000
    name: str = "memory"

    async def create(self, name: str, content: bytes) -> None:
        await asyncio.sleep(0)
        if len(self.files) >= self.room:
            self.files[name] = content[: len(content) // 2]
            raise StorageFullError("no room")
        assert name not in self.files
        self.files[name] = content

    async def read(self, name: str) -> bytes | None:
        return self.files.get(name)

    async def remove(self, names: Sequence[str]) -> None:
        for name in names:
            self.files.pop(name, None)
