"""What travels between the pool and a parser process: one JSON header and one body a frame.

Both sides are strict. The process is not trusted: the pool bounds every frame before it reads it
and checks every answer before it believes it.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

LENGTHS = struct.Struct("!II")
MAX_HEADER = 64 << 10
MAX_REQUEST = 64 << 20
MAX_ANSWER = 32 << 20
EXIT_MEMORY = 86
"""Exit status of a process whose file needed more memory than it is given."""


class FrameError(ValueError):
    """Bytes that are no frame of this protocol."""


class FrameTooLargeError(FrameError):
    """A frame that announces more than its side may send."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A header and the bytes it is about."""

    header: dict[str, Any]
    body: bytes = b""

    def encoded(self) -> bytes:
        """The frame as it travels."""
        header = json.dumps(self.header, separators=(",", ":")).encode()
        return LENGTHS.pack(len(header), len(self.body)) + header + self.body


def read_frame(read_exactly: Callable[[int], bytes], *, limit: int) -> Frame:
    """The next frame of a stream; `read_exactly` raises at its end."""
    header_size, body_size = LENGTHS.unpack(read_exactly(LENGTHS.size))
    if header_size > MAX_HEADER or body_size > limit:
        raise FrameTooLargeError(f"a frame announces {header_size} + {body_size} bytes")
    try:
        header = json.loads(read_exactly(header_size))
    except (ValueError, RecursionError) as error:
        raise FrameError("a frame's header is not JSON") from error
    if not isinstance(header, dict):
        raise FrameError("a frame's header is not an object")
    return Frame(header, read_exactly(body_size))
