"""A follow-up question goes through the rewriters until one of them makes it stand for itself."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

from ragmesh.core.answers import RewriteQuery, Rewritten
from ragmesh.core.errors import RagmeshError
from ragmesh.generation.ports import Rewriter

FALLBACK_REWRITER = "FALLBACK_REWRITER"
"""Degraded: the preferred rewriter could not be reached and another one stood in."""

_log = logging.getLogger(__name__)


async def rewritten_by(rewriters: Sequence[Rewriter], query: RewriteQuery) -> Rewritten:
    """What the first rewriter makes of it that is not away; without history there is nothing to."""
    if not query.history or not rewriters:
        return Rewritten(query.question)
    for position, rewriter in enumerate(rewriters[:-1]):
        try:
            return _marked(await rewriter.rewrite(query), stand_in=position > 0)
        except RagmeshError as error:
            if not error.kind.transient:
                raise
            _log.warning(
                "rewriter away", extra={"rewriter": rewriter.describe(), "reason": error.reason}
            )
    return _marked(await rewriters[-1].rewrite(query), stand_in=len(rewriters) > 1)


def _marked(rewritten: Rewritten, *, stand_in: bool) -> Rewritten:
    if not stand_in:
        return rewritten
    return replace(rewritten, degraded=(*rewritten.degraded, FALLBACK_REWRITER))
