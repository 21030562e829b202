"""What the gateway takes and how long it waits."""

from __future__ import annotations

from dataclasses import dataclass

MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class GatewayLimits:
    """Bounds of one request; the settings fill them in."""

    question_seconds: float = 60.0
    """How long one question may take from end to end."""
    cache_seconds: float = 0.5
    """How long the answer cache is waited for before it is passed by."""
    context_tokens: int = 3_000
    """Most tokens of all chunks that an engine is given."""
    file_bytes: int = 10 * MEBIBYTE
    """Size of the largest document taken."""
    body_bytes: int = 32 * MEBIBYTE
    """Size of the largest HTTP body that brings documents."""
    upload_bytes: int = 128 * MEBIBYTE
    """Bytes of all uploads together that are being received or stored."""
    body_pause_seconds: float = 30.0
    """How long the next piece of a body or of a streamed upload may take."""
    reader_pause_seconds: float = 30.0
    """How long a reader may take nothing of what it is sent."""
    json_bytes: int = 4 * MEBIBYTE
    """Size of the largest HTTP body of every other request."""
    wait_seconds: int = 300
    """Longest time that an upload may ask to wait for its jobs."""
