"""Identifiers: time-ordered uids for what people make, derived ids for what is computed."""

from __future__ import annotations

import secrets
import time
import uuid


def new_uid() -> str:
    """A UUIDv7 (RFC 9562 §5.7): 48 bits of Unix milliseconds, then 74 random bits."""
    milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds & (1 << 48) - 1) << 80 | secrets.randbits(80)
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    digits = f"{value:032x}"  # not uuid.UUID: every call that brings no id of its own makes one
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def chunk_id(index_version_uid: str, document_uid: str, revision: int, ordinal: int) -> str:
    """The id of a chunk: a UUIDv5 in the namespace of its index version."""
    return str(uuid.uuid5(uuid.UUID(index_version_uid), f"{document_uid}/{revision}/{ordinal}"))
