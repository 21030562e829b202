"""Puts changed certificates in force while a process runs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from ragmesh.chassis.lifecycle import Tasks
from ragmesh.chassis.tls.certificates import Certificate, CertificateFiles
from ragmesh.core.clock import Clock
from ragmesh.core.errors import RagmeshError

Listener = Callable[[], Awaitable[None]]

_log = logging.getLogger(__name__)


class FollowedCertificate:
    """The certificate of some files, as they were when they were last whole."""

    def __init__(
        self, files: CertificateFiles, current: Certificate, clock: Clock, *, name: str | None
    ) -> None:
        self.files = files
        self.current = current
        self.version = 0
        """Grows with every change."""
        self._clock = clock
        self._name = name
        self._listeners: list[Listener] = []

    @property
    def seconds_left(self) -> float:
        """How long it is valid; negative once it has ended."""
        return self.current.seconds_left(self._clock.now())

    @asynccontextmanager
    async def following(self, listener: Listener) -> AsyncIterator[None]:
        """Call the listener after every look at the files, for the time of a block."""
        self._listeners.append(listener)
        try:
            yield
        finally:
            self._listeners.remove(listener)

    async def run(self, seconds: float) -> None:
        """Look at the files again and again; only this loop ever waits for the disk."""
        marks = None
        while True:
            # Taken before the files are read: a change in between is seen the next time.
            found = await asyncio.to_thread(self.files.marks)
            if found != marks:
                marks = found
                await self._read()
            for listener in list(self._listeners):
                await listener()
            await self._clock.sleep(seconds)

    async def _read(self) -> None:
        facts = {"path": str(self.files.certificate_file)}
        try:
            read = await asyncio.to_thread(self.files.read, now=self._clock.now(), name=self._name)
        except RagmeshError as error:
            # Files that are put one after the other do not fit for a moment.
            _log.error(
                "a certificate cannot be used; the former stays in force",
                extra={**facts, "reason": error.reason},
            )
            return
        if read != self.current:
            self.current = read
            self.version += 1
            ends = read.expires.isoformat()
            _log.info("another certificate is in force", extra={**facts, "expires": ends})


@asynccontextmanager
async def followed(
    files: CertificateFiles, clock: Clock, tasks: Tasks, *, every_seconds: float, name: str | None
) -> AsyncIterator[FollowedCertificate]:
    """The certificate of these files, which is read anew when they change.

    `name` is what it has to hold. The reason why it cannot be used now is raised.
    """
    current = await asyncio.to_thread(files.read, now=clock.now(), name=name)
    made = FollowedCertificate(files, current, clock, name=name)
    loop = f"tls.{files.certificate_file.name}"
    async with tasks.running(loop, made.run(every_seconds)):
        yield made
