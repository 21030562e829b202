"""What the generation service needs: engines that write answers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from ragmesh.core.answers import EngineDescription, GenerateQuery, GenerationEvent


class Engine(Protocol):
    """Writes an answer from the evidence it is given, and from nothing else.

    The stream is deltas and citations, each citation after the text that holds its marker, then
    exactly one Generated. An engine that cannot be reached raises an error of a transient kind.
    """

    def generate(self, query: GenerateQuery) -> AsyncIterator[GenerationEvent]:
        """Stream the answer; an async generator, so that whoever goes away closes it."""

    def describe(self) -> EngineDescription:
        """Everything besides question and evidence that decides what it answers."""
