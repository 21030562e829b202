"""Which page a listing is asked for."""

from __future__ import annotations

from typing import Protocol

from ragmesh.core.pages import PageRequest


class Paged(Protocol):
    """Every list request of the contract."""

    @property
    def page_size(self) -> int:
        """Most items to answer."""

    @property
    def page_token(self) -> str:
        """Where the page begins."""


def page_request_from_message(message: Paged) -> PageRequest:
    """The page, or InvalidLimitError about `page_size`."""
    return PageRequest(message.page_size, message.page_token)
