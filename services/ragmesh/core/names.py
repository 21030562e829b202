"""Names as they stand at the doors; inside, everything goes by uid."""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import PurePath

from ragmesh.core.errors import InvalidNameError, Violation

_COLLECTION = re.compile(r"[a-z][a-z0-9-]{0,62}")
_DOCUMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@-]{0,199}")
_LONGEST_ID = 200
_DIGEST = 12
_FOREIGN = re.compile(r"[^A-Za-z0-9._:@-]+")


def collection_name(value: str, *, field: str = "collection") -> str:
    """The name itself when it is one, else InvalidNameError; tenants follow the same rule."""
    if not _COLLECTION.fullmatch(value):
        raise _refusal(field, "a lower-case letter, then up to 62 lower-case letters, digits or -")
    return value


def document_id(value: str, *, field: str = "document_id") -> str:
    """The id itself when it is one, else InvalidNameError."""
    if not _DOCUMENT.fullmatch(value):
        raise _refusal(
            field, "a letter or digit, then up to 199 letters, digits or one of . _ : @ -"
        )
    return value


def document_id_of(path: PurePath) -> str:
    """The id the command line gives a relative path: `/` becomes `:`.

    A path with characters that no id may have keeps what it can and gets a digest of the whole,
    so that two paths never share an id.
    """
    exact = ":".join(path.parts)
    if _DOCUMENT.fullmatch(exact) and all(":" not in part for part in path.parts):
        return exact
    digest = sha256(str(path).encode("utf-8", "surrogateescape")).hexdigest()[:_DIGEST]
    kept = _FOREIGN.sub("-", exact)[-(_LONGEST_ID - _DIGEST - 1) :].strip("._:@-")
    return f"{kept}-{digest}" if kept else digest


def _refusal(field: str, rule: str) -> InvalidNameError:
    return InvalidNameError(
        f"{field} must be {rule}", violations=[Violation(field, f"must be {rule}")]
    )
