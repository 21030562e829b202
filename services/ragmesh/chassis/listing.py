"""Pages of lists that are short enough to be at hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from ragmesh.core.errors import InvalidPageTokenError, Violation
from ragmesh.core.pages import Page, PageRequest

Item = TypeVar("Item")


def page_of_list(
    items: Sequence[Item], request: PageRequest, *, name: Callable[[Item], str]
) -> Page[Item]:
    """The page after the item that the token names; InvalidPageTokenError when none is."""
    start = _position_of(request.token, [name(item) for item in items]) if request.token else 0
    shown = tuple(items[start : start + request.rows])
    is_last = start + len(shown) == len(items)
    return Page(shown, "" if is_last else name(shown[-1]))


def _position_of(token: str, names: list[str]) -> int:
    if token not in names:
        message = "was not made by this listing"
        raise InvalidPageTokenError(
            f"page_token {message}", violations=[Violation("page_token", message)]
        )
    return names.index(token) + 1
