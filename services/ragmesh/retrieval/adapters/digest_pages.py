"""Pages of what a store holds, by document uid and revision; a token names the last one shown."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence

from ragmesh.core.errors import InvalidPageTokenError, Violation
from ragmesh.core.index import DocumentDigest
from ragmesh.core.pages import Page


def page_of(found: Sequence[DocumentDigest], rows: int) -> Page[DocumentDigest]:
    """The first rows of what was found; one more than them says that there is another page."""
    items = tuple(found[:rows])
    return Page(items, _encode(items[-1]) if len(found) > rows else "")


def position_of(token: str) -> tuple[str, int]:
    """Document uid and revision after which a page begins; InvalidPageTokenError for a forged one.

    The first page begins after what is before everything.
    """
    if not token:
        return ("", 0)
    try:
        document_uid, revision = json.loads(base64.urlsafe_b64decode(token.encode()))
    except (ValueError, TypeError) as error:
        raise _bad_token() from error
    if not isinstance(document_uid, str) or not isinstance(revision, int):
        raise _bad_token()
    return document_uid, revision


def _encode(digest: DocumentDigest) -> str:
    token = json.dumps([digest.document_uid, digest.revision])
    return base64.urlsafe_b64encode(token.encode()).decode()


def _bad_token() -> InvalidPageTokenError:
    message = "was not made by this listing"
    return InvalidPageTokenError(
        f"page_token {message}", violations=[Violation("page_token", message)]
    )
