"""Objects in S3, or what speaks like it, in Google's or Azure's store: asked within bounds."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    PermissionDeniedError,
    UnauthenticatedError,
)
from obstore.store import from_url

from ragmesh.chassis.breakers import Breaker
from ragmesh.core.clock import Clock
from ragmesh.core.errors import (
    RagmeshError,
    StorageFullError,
    StoreRefusedError,
    StoreUnavailableError,
)
from ragmesh.indexing.adapters.object_place import ObjectPlace

PART_BYTES = 8 * 1024 * 1024
"""What is larger is sent in parts of so many bytes."""
_PARTS_AT_ONCE = 2
_LISTED_AT_ONCE = 500
_DELETED_AT_ONCE = 1_000
_CONNECT_SECONDS = 2.0
_REST_SECONDS = 2.0
_CODE = re.compile(r"<Code>(\w+)</Code>")
_STATUS = re.compile(r"status code: (\d{3})")
_FULL = frozenset({"507", "InsufficientStorage", "QuotaExceeded", "XAdminQuotaExceeded"})
_REFUSED = frozenset({"400", "401", "403", "404", "405", "501"})


class ObjectStore:
    """What lies below one URL, by path; every error is one of ours."""

    conditional_bytes = PART_BYTES
    """What is larger is written over whatever is there."""

    def __init__(self, store: Any, place: ObjectPlace, clock: Clock) -> None:
        self._store = store
        self.url = place.url
        self._room = asyncio.Semaphore(place.requests)
        self._breaker = Breaker(clock, self._left_alone, rest_seconds=_REST_SECONDS)

    async def create(self, path: str, content: bytes) -> bool:
        """Write what is not there yet; False when something is, unless it is sent in parts."""
        try:
            async with self._asking():
                if len(content) > PART_BYTES:
                    # Parts cannot be written on condition: who sends them has a path of its own.
                    await obstore.put_async(
                        self._store,
                        path,
                        content,
                        use_multipart=True,
                        chunk_size=PART_BYTES,
                        max_concurrency=_PARTS_AT_ONCE,
                    )
                else:
                    await obstore.put_async(self._store, path, content, mode="create")
        except AlreadyExistsError:
            return False
        except FileNotFoundError as error:
            raise self._refusal(error) from error
        return True

    async def read(self, path: str) -> bytes | None:
        """What is there; None when the store says that nothing is."""
        try:
            async with self._asking():
                response = await obstore.get_async(self._store, path)
                return bytes(await response.bytes_async())
        except FileNotFoundError:
            return None

    async def has(self, path: str) -> bool:
        """Whether something is there, as far as the store says."""
        try:
            async with self._asking():
                await obstore.head_async(self._store, path)
        except FileNotFoundError:
            return False
        return True

    async def delete(self, paths: Sequence[str]) -> None:
        """Forget what is there; nothing is no error."""
        for start in range(0, len(paths), _DELETED_AT_ONCE):
            try:
                async with self._asking():
                    await obstore.delete_async(self._store, paths[start : start + _DELETED_AT_ONCE])
            except FileNotFoundError as error:
                raise self._refusal(error) from error

    async def look(self) -> None:
        """Return when the place can be read; unlike a read, this tells a place that is not there
        from one that is empty."""
        try:
            async with self._asking():
                await anext(aiter(obstore.list(self._store, chunk_size=1)), None)
        except FileNotFoundError as error:
            raise self._refusal(error) from error

    async def folders(self) -> list[str]:
        """Names of what is one step below and has something below itself."""
        try:
            async with self._asking():
                found = await obstore.list_with_delimiter_async(self._store)
        except FileNotFoundError as error:
            raise self._refusal(error) from error
        return [prefix.rstrip("/").rpartition("/")[2] for prefix in found["common_prefixes"]]

    async def list(self) -> AsyncIterator[Sequence[Any]]:
        """Everything, in bounded batches."""
        pages = aiter(obstore.list(self._store, chunk_size=_LISTED_AT_ONCE))
        while True:
            try:
                async with self._asking():
                    page = await anext(pages, None)
            except FileNotFoundError as error:
                raise self._refusal(error) from error
            if page is None:
                return
            yield page

    @asynccontextmanager
    async def _asking(self) -> AsyncIterator[None]:
        self._breaker.enter()
        async with self._room:
            try:
                yield
            except (FileNotFoundError, AlreadyExistsError):
                self._breaker.answered()
                raise
            except BaseError as error:
                told = self._told(error)
                if isinstance(told, StoreUnavailableError):
                    self._breaker.failed()
                else:
                    self._breaker.answered()
                raise told from error
            self._breaker.answered()

    def _told(self, error: BaseError) -> RagmeshError:
        """What the store's error means for us; it says its code only in words."""
        words = str(error)
        told = {*_CODE.findall(words), *_STATUS.findall(words)}
        if told & _FULL or "No space left" in words:
            return StorageFullError(
                f"{self.url} has no room left", retry_after_seconds=_REST_SECONDS
            )
        if told & _REFUSED or isinstance(error, (PermissionDeniedError, UnauthenticatedError)):
            return self._refusal(error)
        return StoreUnavailableError(
            f"{self.url} did not answer: {_short(words)}", retry_after_seconds=_REST_SECONDS
        )

    def _refusal(self, error: Exception) -> StoreRefusedError:
        words = str(error)
        code = next(iter((*_CODE.findall(words), *_STATUS.findall(words), _short(words))))
        return StoreRefusedError(
            f"{self.url} refuses ({code}); are bucket, region and credentials right?",
            retry_after_seconds=_REST_SECONDS,
        )

    def _left_alone(self, seconds: float) -> StoreUnavailableError:
        return StoreUnavailableError(
            f"{self.url} has failed too often and is left alone", retry_after_seconds=seconds
        )


def object_store(place: ObjectPlace, clock: Clock) -> ObjectStore:
    """The store at the place; nothing is asked of it yet."""
    seconds = timedelta(seconds=place.request_seconds)
    options: Any = dict(place.options)
    store = from_url(
        place.url,
        config=options,
        client_options={
            "allow_http": True,  # whoever names an endpoint says which protocol it speaks
            "connect_timeout": timedelta(seconds=_CONNECT_SECONDS),
            "timeout": seconds,
        },
        retry_config={
            "max_retries": 2,
            "retry_timeout": seconds,
            "backoff": {
                "init_backoff": timedelta(milliseconds=100),
                "max_backoff": timedelta(seconds=1),
                "base": 2,
            },
        },
    )
    return ObjectStore(store, place, clock)


def _short(words: str) -> str:
    """The reason, out of a first line that begins with what was asked."""
    return words.partition("\n")[0].rpartition(" - ")[2][:200]
