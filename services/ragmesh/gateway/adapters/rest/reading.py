"""The first stage of a question: between the door and the use case it is let in and read.

It begins in the door and ends in the route, which both know nothing of each other: it travels with
the request.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from starlette.types import Scope

from ragmesh.gateway.ports import StageSpans

ASKING_PATHS = ("/ask", "/search", "/chat/completions", "/embeddings")
"""How the paths end at which something is asked for with a body."""
_STAGE = "ragmesh.reading"


@contextmanager
def reading(scope: Scope, spans: StageSpans) -> Iterator[None]:
    """Show as a stage what comes before `has_read`; all of the block where that never comes."""
    with ExitStack() as stage:
        if scope["method"] == "POST" and scope["path"].endswith(ASKING_PATHS):
            stage.enter_context(spans.stage("read"))
            scope[_STAGE] = stage
        yield


def has_read(scope: Scope) -> None:
    """Say that the use case begins now."""
    stage = scope.get(_STAGE)
    if stage is not None:
        stage.close()
