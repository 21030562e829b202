"""Reads one answer to its end, as every command that asks does."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ragmesh.app.cli.ports import Mesh
    from ragmesh.core.answers import Answer, AskQuery


def _unheard(_text: str) -> None:
    """Nobody reads along."""


async def answered(
    mesh: Mesh, query: AskQuery, *, tell: Callable[[str], None] = _unheard
) -> Answer:
    """The whole answer; `tell` is given each piece of its text as it is written."""
    from ragmesh.core.answers import Answer, Delta
    from ragmesh.core.errors import InternalError

    async with aclosing(mesh.stream_answer(query)) as events:
        async for event in events:
            if isinstance(event, Answer):
                return event
            if isinstance(event, Delta):
                tell(event.text)
    raise InternalError("the stream ended without an answer")
