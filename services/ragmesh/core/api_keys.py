"""What an API key looks like: a name that anybody may see, and a secret that nobody keeps.

The whole key is hashed once, with SHA-256: its 256 random bits need no slow hash, and every request
pays for the check.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field
from hashlib import sha256
from hmac import compare_digest

KEY_PREFIX = "rmk"
"""Tells a key of ours, for people and for whatever scans files for secrets."""
_ID_BYTES = 8
_SECRET_BYTES = 32
_KEY = re.compile(rf"{KEY_PREFIX}_([0-9a-f]{{{2 * _ID_BYTES}}})_[0-9a-f]{{{2 * _SECRET_BYTES}}}")
_IN_TEXT = re.compile(rf"{KEY_PREFIX}_[0-9a-f]{{{2 * _ID_BYTES}}}_[0-9a-f]+")


@dataclass(frozen=True, slots=True)
class KeyDigest:
    """What may be kept of a key."""

    key_id: str
    sha256: bytes = field(repr=False)

    def is_of(self, kept: bytes) -> bool:
        """Whether this is the digest that was kept; takes as long for a near miss as for none."""
        return compare_digest(self.sha256, kept)


@dataclass(frozen=True, slots=True)
class MintedKey:
    """A new key: for its user, once."""

    text: str = field(repr=False)
    digest: KeyDigest
    """What is kept of it."""


def mint_key() -> MintedKey:
    """A key that nobody has had before."""
    key_id = secrets.token_hex(_ID_BYTES)
    text = f"{KEY_PREFIX}_{key_id}_{secrets.token_hex(_SECRET_BYTES)}"
    return MintedKey(text, _digest(key_id, text))


def digest_of(text: str) -> KeyDigest | None:
    """The digest of a key; None when it has no key's form."""
    found = _KEY.fullmatch(text)
    return None if found is None else _digest(found[1], text)


def _digest(key_id: str, text: str) -> KeyDigest:
    return KeyDigest(key_id, sha256(text.encode()).digest())


def holds_key(text: str) -> bool:
    """Whether a key stands in the text, whole or cut off."""
    return _IN_TEXT.search(text) is not None
