"""Blobs in an object store.

A bucket that is not there, a key that nobody knows and a blob that is lost look alike: stores say
"not found" to all of them. So the place has a mark, and nothing is believed to be missing unless
the mark is still there. It names the catalog that the blobs belong to: another one, which knows
none of them, would sweep them away. Nor is a place begun in while the catalog names blobs and
none of them is there.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from hashlib import sha256
from typing import Protocol

from ragmesh.core.errors import (
    RagmeshError,
    StoreDamagedError,
    StoreRefusedError,
    StoreUnavailableError,
)
from ragmesh.indexing.adapters.object_store import ObjectStore
from ragmesh.indexing.records import StoredBlob, StoredRevision

MARK = "ragmesh-blobs.json"
_KEY = re.compile(r"[0-9a-f]{32}")
_LOOKED_AT = 16
"""Blobs that the catalog names, one of which is enough to know a place by."""
_log = logging.getLogger(__name__)


class Owner(Protocol):
    """The catalog that names the blobs."""

    async def identify(self) -> str:
        """The same uid for as long as it lives."""

    async def list_stored(self, *, limit: int) -> Sequence[StoredRevision]:
        """Revisions that name blobs, if there are any."""


class ObjectBlobs:
    """The blob store below one URL, with the paths that a folder of blobs has.

    Unlike a disk, a store fails as a whole: then every method says so, and nothing about blobs.
    """

    def __init__(self, store: ObjectStore, owner: Owner) -> None:
        self._store = store
        self._owner = owner
        self._is_known = False

    async def write_blobs(self, contents: Sequence[bytes]) -> tuple[str, ...]:
        """Store the contents under new keys; StorageFullError keeps none of them."""
        keys = tuple(secrets.token_hex(16) for _ in contents)
        if keys:
            await self._require_known_place()
            pairs = zip(keys, contents, strict=True)
            writes = await asyncio.gather(
                *(self._write(key, content) for key, content in pairs), return_exceptions=True
            )
            failures = [one for one in writes if isinstance(one, BaseException)]
            if failures:
                if not any(isinstance(one, StoreUnavailableError) for one in failures):
                    await self._take_back(keys)  # else it would be waited for once more
                raise failures[0]
        return keys

    async def read_blob(self, key: str) -> bytes:
        """The bytes; StoreDamagedError when the key is unknown."""
        path = _path(key)
        content = await self._store.read(path)
        if content is None:
            await self.require_place()
            raise StoreDamagedError(
                "a blob that the catalog names is missing", metadata={"blob": key}
            )
        return content

    async def delete_blobs(self, keys: Sequence[str]) -> None:
        """Forget the blobs; unknown keys are no error."""
        if keys:
            await self._require_known_place()
            await self._store.delete([_path(key) for key in keys])

    async def missing_blobs(self, keys: Sequence[str]) -> frozenset[str]:
        """Those of the keys under which nothing is stored; what cannot be looked at is not."""
        looks = await asyncio.gather(*(self._store.has(_path(key)) for key in keys))
        missing = frozenset(key for key, there in zip(keys, looks, strict=True) if not there)
        if missing:
            await self.require_place()
        return missing

    async def digest_blobs(self, keys: Sequence[str]) -> tuple[str | None, ...]:
        """SHA-256 of each blob as it lies there; None of one that is missing or unreadable."""
        return tuple([await self._digest(key) if key else None for key in keys])

    async def list_blobs(self) -> AsyncIterator[Sequence[StoredBlob]]:
        """Every blob, in bounded batches, in no order."""
        await self._require_known_place()
        async for page in self._store.list():
            named = [(str(one["path"]).rpartition("/")[2], one["last_modified"]) for one in page]
            found = [StoredBlob(name, stored) for name, stored in named if _KEY.fullmatch(name)]
            if found:
                yield found

    async def require_place(self) -> None:
        """StoreRefusedError when this is not where the catalog's blobs are, or may begin to be."""
        uid = await self._owner.identify()
        found = await self._read_mark()
        if found is None:
            found = await self._begin(uid)
        if found != uid:
            raise StoreRefusedError(
                f"{self._store.url} holds blobs of another catalog, as {MARK} in it says; choose "
                "another prefix, or restore the catalog that they belong to",
                metadata={"catalog": found, "expected": uid},
            )
        self._is_known = True

    async def _require_known_place(self) -> None:
        if not self._is_known:
            await self.require_place()

    async def _read_mark(self) -> str | None:
        """Uid of the catalog; empty when the mark cannot be read, None when there is none."""
        content = await self._store.read(MARK)
        if content is None:
            await self._store.look()
            return None
        with suppress(ValueError, KeyError, TypeError):
            return str(json.loads(content)["catalog"])
        return ""

    async def _begin(self, uid: str) -> str:
        """Mark the place as this catalog's, unless blobs are expected of which none is there."""
        named = await self._owner.list_stored(limit=_LOOKED_AT)
        if named and not await self._has_any([one.source_blob for one in named]):
            raise StoreRefusedError(
                f"{self._store.url} holds no blobs of this mesh, but the catalog names some; are "
                "bucket, prefix and credentials right? If they are lost, restore a backup"
            )
        # Another process that begins at the same moment may be faster: then its mark holds.
        await self._store.create(MARK, json.dumps({"catalog": uid}).encode())
        return await self._read_mark() or ""

    async def _has_any(self, keys: Sequence[str]) -> bool:
        """Whether these are the blobs after all: nobody else has their keys."""
        paths = [_path(key) for key in keys]
        return any(await asyncio.gather(*(self._store.has(path) for path in paths)))

    async def _write(self, key: str, content: bytes) -> None:
        path = _path(key)
        # Nobody else has the key: what is there came of a request whose reply was lost.
        if not await self._store.create(path, content) and await self._store.read(path) != content:
            raise StoreDamagedError("another blob has the key of a new one", metadata={"blob": key})

    async def _take_back(self, keys: Sequence[str]) -> None:
        try:
            await self.delete_blobs(keys)
        except RagmeshError as error:
            _log.warning(
                "blobs that are not needed could not be removed", extra={"reason": error.reason}
            )

    async def _digest(self, key: str) -> str | None:
        content = await self._store.read(_path(key))
        return None if content is None else await asyncio.to_thread(_sha256, content)


def _path(key: str) -> str:
    if not _KEY.fullmatch(key):
        raise StoreDamagedError("a blob's key is malformed")
    return f"{key[:2]}/{key}"


def _sha256(content: bytes) -> str:
    return sha256(content).hexdigest()
