"""Opens what a process needs to prove who it is, and to know who calls it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from ragmesh.chassis.identity.guard import MeshGuard
from ragmesh.chassis.identity.key_files import (
    KeyFiles,
    Marks,
    read_private_key,
    read_public_keys,
)
from ragmesh.chassis.identity.keys import SPEAKERS, PrivateKey, Speaker
from ragmesh.chassis.identity.refusals import Refusals
from ragmesh.chassis.identity.settings import IdentitySettings
from ragmesh.chassis.identity.tokens import TokenSigner, TokenVerifier
from ragmesh.chassis.lifecycle import Tasks
from ragmesh.chassis.telemetry.metering import Meter
from ragmesh.core.clock import Clock
from ragmesh.core.errors import PreconditionError

FOLDER = "identity"
Read = TypeVar("Read")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Identity:
    """What proves this process to others, and others to it."""

    signer: TokenSigner
    """For every client that this process makes."""
    guard: MeshGuard
    """For the internal listener of this process."""


@asynccontextmanager
async def open_identity(
    settings: IdentitySettings,
    target: str,
    *,
    data_dir: Path,
    clock: Clock,
    tasks: Tasks,
    meter: Meter | None = None,
) -> AsyncIterator[Identity]:
    """The signer and the guard of a process that runs this single target.

    Hand `identity.signer` to each client and `identity.guard` to `serve(…)` of the internal
    listener; the public listener has no guard of this kind. The target `all` needs neither: it
    dials nobody and passes callers as values. Without paths in the settings, the key is made in
    the data directory, which must exist; a key that was made just now is used only once every
    process that runs already has had the time to read its public half. A loop in `tasks` looks
    for changed files; both go on with what they know while a file is damaged or missing. The
    meter counts what the guard refuses.
    """
    speaker, files = SPEAKERS[target], _files(settings, target, data_dir)
    if settings.key_file is None and await asyncio.to_thread(files.make, speaker):
        await clock.sleep(2 * settings.reread_seconds)
    marks = await asyncio.to_thread(files.marks)
    key, ring = await asyncio.to_thread(files.read, speaker)
    identity = Identity(
        TokenSigner(key, target, speaker, clock),
        MeshGuard(TokenVerifier(ring, clock), Refusals(clock, meter)),
    )
    following = _Following(identity, speaker, files, clock, marks)
    async with tasks.running("identity.keys", following.run(settings.reread_seconds)):
        yield identity


def _files(settings: IdentitySettings, target: str, data_dir: Path) -> KeyFiles:
    if settings.key_file is not None and settings.public_keys_file is not None:
        return KeyFiles(settings.key_file, settings.public_keys_file)
    folder = data_dir / FOLDER
    return KeyFiles(folder / f"{target}.key", folder / "public-keys.json")


@dataclass(slots=True)
class _Following:
    """Puts changed files in force; only this loop ever waits for the disk."""

    identity: Identity
    speaker: Speaker
    files: KeyFiles
    clock: Clock
    marks: Marks
    next_key: PrivateKey | None = None
    listed_since: float = 0.0
    """When the next key was first seen to be listed."""

    async def run(self, seconds: float) -> None:
        """Look at both files again and again."""
        while True:
            await self.clock.sleep(seconds)
            # Taken before the files are read: a change in between is seen the next time.
            marks = await asyncio.to_thread(self.files.marks)
            if marks != self.marks:
                self.marks = marks
                await self._read()
            if self.next_key and self.clock.monotonic() - self.listed_since >= 2 * seconds:
                self.identity.signer.use(self.next_key)
                _log.info("another key signs", extra={"key_id": self.next_key.key_id})
                self.next_key = None

    async def _read(self) -> None:
        guard = self.identity.guard
        ring = await _read_or_tell(read_public_keys, self.files.public_keys_file)
        if ring is not None and ring != guard.ring:
            guard.believe(TokenVerifier(ring, self.clock))
            _log.info("other public keys are in force", extra={"keys": len(ring.keys)})
        key = await _read_or_tell(read_private_key, self.files.key_file)
        if key is not None:
            self._prepare(key)

    def _prepare(self, key: PrivateKey) -> None:
        """Use the key once others, who look as often, have seen that it is listed."""
        if key.key_id == self.identity.signer.key_id:
            self.next_key = None
        elif not self.identity.guard.ring.lets_speak(key, self.speaker):
            self.next_key = None
            _log.warning("a key is not listed and is not used", extra={"key_id": key.key_id})
        elif self.next_key is None or self.next_key.key_id != key.key_id:
            self.next_key, self.listed_since = key, self.clock.monotonic()


async def _read_or_tell(read: Callable[[Path], Read], path: Path) -> Read | None:
    try:
        return await asyncio.to_thread(read, path)
    except PreconditionError as error:
        facts = {"reason": error.reason, "path": str(path)}
        _log.error("a key file cannot be used; the former keys stay in force", extra=facts)
        return None
