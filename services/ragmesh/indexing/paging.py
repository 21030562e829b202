"""Page tokens: opaque to callers, bound to the listing that made them."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import TypeVar

from ragmesh.core.errors import InvalidPageTokenError, Violation
from ragmesh.core.pages import Page, PageRequest

Item = TypeVar("Item")


def token_of(listing: str, key: str) -> str:
    """The token of the page that begins after the key."""
    text = json.dumps([_mark(listing), key], ensure_ascii=False, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def key_of(listing: str, token: str) -> str:
    """The key after which the page begins, "" for the first; else InvalidPageTokenError."""
    if not token:
        return ""
    try:
        padded = token + "=" * (-len(token) % 4)
        parts = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (binascii.Error, UnicodeError, ValueError) as error:
        raise _refusal() from error
    match parts:
        case [str(mark), str(key)] if mark == _mark(listing) and key:
            return key
        case _:
            raise _refusal()


def number_of(listing: str, token: str) -> int:
    """The same for listings whose keys are positive numbers; 0 for the first page."""
    key = key_of(listing, token)
    if key and not (key.isascii() and key.isdigit() and len(key) < 10):
        raise _refusal()
    return int(key or "0")


def page_of(
    listing: str, request: PageRequest, found: Sequence[Item], key: Callable[[Item], str]
) -> Page[Item]:
    """The page of what was found, one row more than asked for when there is a next page."""
    items = tuple(found[: request.rows])
    is_last = len(found) <= request.rows
    return Page(items, "" if is_last else token_of(listing, key(items[-1])))


def _mark(listing: str) -> str:
    return sha256(listing.encode()).hexdigest()[:12]


def _refusal() -> InvalidPageTokenError:
    return InvalidPageTokenError(
        "page_token was not made by this listing",
        violations=[Violation("page_token", "was not made by this listing")],
    )
