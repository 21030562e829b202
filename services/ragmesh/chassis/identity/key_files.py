"""The two key files of a process: its own secret one, and the public one that all share.

Nothing here runs on the event loop: files are read and written by a thread.
"""

from __future__ import annotations

import base64
import binascii
import json
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_public_key,
    load_pem_private_key,
)
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ragmesh.chassis.files import make_folder_durably, write_durably
from ragmesh.chassis.identity.keys import KeyRing, PrivateKey, PublicKey, Speaker
from ragmesh.chassis.locks import turn
from ragmesh.chassis.secret_files import Mark, mark_of, read_bounded, read_secret, unusable
from ragmesh.core.errors import (
    KeyFileUnusableError,
    KeyNotListedError,
    PublicKeysUnusableError,
)

Marks = tuple[Mark, Mark]
_LARGEST_KEY_FILE = 16 * 1024
_LARGEST_PUBLIC_KEYS_FILE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class KeyFiles:
    """Where a process finds both."""

    key_file: Path
    public_keys_file: Path

    def read(self, speaker: Speaker) -> tuple[PrivateKey, KeyRing]:
        """Both, as they are now; KeyNotListedError when the one does not know the other."""
        key = read_private_key(self.key_file)
        ring = read_public_keys(self.public_keys_file)
        if not ring.lets_speak(key, speaker):
            entry = _entry_of(key.public(speaker)).model_dump_json()
            raise KeyNotListedError(
                f"{self.public_keys_file} does not list the key {key.key_id} of {self.key_file} "
                f"for all that this process speaks for; it needs {entry}",
                metadata={"path": str(self.public_keys_file), "key_id": key.key_id},
            )
        return key, ring

    def marks(self) -> Marks:
        """Equal to earlier ones as long as neither file has changed."""
        return mark_of(self.key_file), mark_of(self.public_keys_file)

    def make(self, speaker: Speaker) -> bool:
        """Make the key if there is none and list it if it is not; whether others must read it.

        Any number of processes may do so at once. Of keys that speak for the same, the public
        file keeps this one and the one before.
        """
        make_folder_durably(self.key_file.parent)
        with turn(self.public_keys_file):
            if self.key_file.exists():
                key = read_private_key(self.key_file)
            else:
                key = PrivateKey.make()
                write_durably(self.key_file, _pem(key), mode=0o600)
            listed = _listed(self.public_keys_file)
            ring = KeyRing.of(*listed)
            if ring.lets_speak(key, speaker):
                return False
            write_durably(
                self.public_keys_file, _json(_with(listed, key.public(speaker))), mode=0o600
            )
        return bool(listed)


def read_private_key(path: Path) -> PrivateKey:
    """The key of a PEM file that nobody else can read, or the reason why it cannot be used."""
    content = read_secret(path, _LARGEST_KEY_FILE, KeyFileUnusableError)
    try:
        key = load_pem_private_key(content, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise unusable(KeyFileUnusableError, path, "holds no unencrypted PEM key") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise unusable(KeyFileUnusableError, path, "holds a key of another kind than Ed25519")
    return PrivateKey.of(key)


def read_public_keys(path: Path) -> KeyRing:
    """The keys of the public file, or the reason why it cannot be used."""
    content, status = read_bounded(path, _LARGEST_PUBLIC_KEYS_FILE, PublicKeysUnusableError)
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise unusable(PublicKeysUnusableError, path, "can be written by others than its owner")
    keys = _parse(path, content)
    if not keys:
        raise unusable(PublicKeysUnusableError, path, "lists no key")
    return KeyRing.of(*keys)


class _Entry(BaseModel):
    """One public key of the file."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)

    public_key: str
    machines: tuple[str, ...] = Field(())
    users: bool = False


class _File(BaseModel):
    """The whole file."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)

    keys: tuple[_Entry, ...]


def _parse(path: Path, content: bytes) -> tuple[PublicKey, ...]:
    try:
        entries = _File.model_validate_json(content).keys
    except ValidationError as error:
        detail = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(map(str, detail["loc"])) or "it"
        raise unusable(
            PublicKeysUnusableError, path, f"is not as it must be: {place}: {detail['msg']}"
        ) from None
    keys = []
    for position, entry in enumerate(entries):
        try:
            key = load_der_public_key(base64.b64decode(entry.public_key, validate=True))
        except (ValueError, binascii.Error, UnsupportedAlgorithm):
            key = None
        if not isinstance(key, Ed25519PublicKey):
            raise unusable(
                PublicKeysUnusableError, path, f"holds no Ed25519 key at keys.{position}.public_key"
            )
        keys.append(PublicKey(key, Speaker(frozenset(entry.machines), entry.users)))
    if len({key.key_id for key in keys}) < len(keys):
        raise unusable(PublicKeysUnusableError, path, "lists a key twice")
    return tuple(keys)


def _listed(path: Path) -> tuple[PublicKey, ...]:
    if not path.exists():
        return ()
    return _parse(path, read_bounded(path, _LARGEST_PUBLIC_KEYS_FILE, PublicKeysUnusableError)[0])


def _with(listed: Sequence[PublicKey], new: PublicKey) -> list[PublicKey]:
    """The keys with a new one last. Of keys that speak for the same it leaves one before it,
    whose last tokens are still under way."""
    others = [key for key in listed if key.key_id != new.key_id]
    outdated = [key for key in others if key.speaker == new.speaker][:-1]
    return [*(key for key in others if key not in outdated), new]


def _entry_of(key: PublicKey) -> _Entry:
    der = key.key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return _Entry(
        public_key=base64.b64encode(der).decode("ascii"),
        machines=tuple(sorted(key.speaker.machines)),
        users=key.speaker.users,
    )


def _json(keys: Sequence[PublicKey]) -> bytes:
    file = _File(keys=tuple(map(_entry_of, keys)))
    return json.dumps(file.model_dump(), indent=2).encode() + b"\n"


def _pem(key: PrivateKey) -> bytes:
    return key.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
