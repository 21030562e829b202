"""Keys and for whom each may speak: the private one of this process, the public ones of all."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ragmesh.core.callers import Caller, Machine

KEY_ID_LENGTH = 16


@dataclass(frozen=True, slots=True)
class Speaker:
    """For whom a key may speak."""

    machines: frozenset[str] = frozenset()
    users: bool = False

    def may_speak_for(self, caller: Caller) -> bool:
        """Whether a token of the key may name this caller."""
        return caller.name in self.machines if isinstance(caller, Machine) else self.users

    def covers(self, other: Speaker) -> bool:
        """Whether whoever `other` may speak for is among those that this one may."""
        return self.machines >= other.machines and self.users >= other.users


SPEAKERS: Mapping[str, Speaker] = MappingProxyType(
    {
        "gateway": Speaker(frozenset({"gateway"}), users=True),
        "embedding": Speaker(frozenset({"embedding"})),
        "retrieval": Speaker(frozenset({"retrieval"})),
        "generation": Speaker(frozenset({"generation"})),
        "cache": Speaker(frozenset({"cache"})),
        # Its reconciler repairs in the indexer's name, and with SQLite it runs the indexer too.
        "indexing": Speaker(frozenset({"indexing", "indexer"})),
        "indexer": Speaker(frozenset({"indexer"})),
        "operator": Speaker(frozenset({"operator"})),
    }
)
"""For whom the key of each target speaks; its own machine has the name of the target."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that checks tokens, and for whom these may speak."""

    key: Ed25519PublicKey
    speaker: Speaker

    @property
    def key_id(self) -> str:
        """How tokens name the key."""
        return key_id_of(self.key)

    def has_signed(self, content: bytes, signature: bytes) -> bool:
        """Whether the signature is the key's, over exactly this content."""
        try:
            self.key.verify(signature, content)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """The key a process signs with; its secret never leaves this object."""

    key: Ed25519PrivateKey
    key_id: str

    @classmethod
    def of(cls, key: Ed25519PrivateKey) -> PrivateKey:
        """The key under the id of its public half."""
        return cls(key, key_id_of(key.public_key()))

    @classmethod
    def make(cls) -> PrivateKey:
        """A new key."""
        return cls.of(Ed25519PrivateKey.generate())

    def public(self, speaker: Speaker) -> PublicKey:
        """The half that others check with."""
        return PublicKey(self.key.public_key(), speaker)

    def __repr__(self) -> str:
        return f"PrivateKey({self.key_id})"


@dataclass(frozen=True, slots=True)
class KeyRing:
    """Every public key that is believed, by its id."""

    keys: Mapping[str, PublicKey]

    @classmethod
    def of(cls, *keys: PublicKey) -> KeyRing:
        """The ring of these keys."""
        return cls(MappingProxyType({key.key_id: key for key in keys}))

    def lets_speak(self, key: PrivateKey, speaker: Speaker) -> bool:
        """Whether tokens of the private key would be believed for all of these."""
        public = self.keys.get(key.key_id)
        return public is not None and public.speaker.covers(speaker)


def key_id_of(key: Ed25519PublicKey) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of the raw key: nobody has to choose ids."""
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()[:KEY_ID_LENGTH]
