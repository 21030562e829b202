"""What indexing takes in at most, as plain values for the use cases."""

from __future__ import annotations

from dataclasses import dataclass

DEFAULT_FILE_BYTES = 10 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class UploadLimits:
    """Bounds of one upload request."""

    file_bytes: int
    documents: int
    title_characters: int = 1_000
    filename_characters: int = 1_000
    groups: int = 64
    group_characters: int = 200
