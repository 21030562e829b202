"""Pages of long lists: a size and an opaque token (AIP-158)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from ragmesh.core.questions import parse_limit

MAX_PAGE_SIZE = 1_000
DEFAULT_PAGE_SIZE = 100

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which page is asked for; size 0 means the default."""

    size: int = 0
    token: str = ""

    def __post_init__(self) -> None:
        if self.size != 0:
            parse_limit(self.size, field="page_size", most=MAX_PAGE_SIZE)

    @property
    def rows(self) -> int:
        """How many items the page holds at most."""
        return self.size or DEFAULT_PAGE_SIZE


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """One page; `next_token` is empty on the last one."""

    items: tuple[Item, ...]
    next_token: str = ""
