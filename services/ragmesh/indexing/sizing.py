"""How many tokens another index would have embedded: measured on a sample, and never exact.

A catalog counts chunks, and the index holds how long each of them is. To read them all would take
longer than many a migration, so some documents speak for the rest: of several places, since those
that came together are often alike.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass

from ragmesh.core.errors import IndexVersionGoneError, RagmeshError
from ragmesh.core.index import Head
from ragmesh.core.vectors import EncoderDescription, SentenceKind
from ragmesh.indexing.ports import ChunkIndex, PublishedHeads
from ragmesh.indexing.records import IndexVersion
from ragmesh.indexing.stages import INDEXER

_log = logging.getLogger(__name__)
_PLACES, _OF_A_PLACE = 4, 4
_MOST_CHUNKS = 500
"""That are read, vectors and all; a document that has more by itself is read if it is the first."""
_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class TokenSample:
    """Some chunks of an index version, as its own encoder counts them."""

    heads: PublishedHeads
    index: ChunkIndex

    async def tokens(
        self, version: IndexVersion, chunks: int, encoder: EncoderDescription
    ) -> int | None:
        """About how many the encoder would be given for so many chunks of the version.

        None = it cannot be told now: what else a change takes is known all the same.
        """
        try:
            mean = await self._tokens_a_chunk(version)
        except RagmeshError as error:
            # A version that the index does not know may be dropped, or made again, right now.
            if not error.kind.transient and not isinstance(error, IndexVersionGoneError):
                raise
            _log.warning("chunks cannot be measured", extra={"reason": error.reason})
            return None
        if mean is None:
            # Documents are counted first, and can be gone by the time that they are read.
            return None if chunks else 0
        # Where each sentence has a vector made of it alone, its text is sent once more.
        times = 2 if encoder.fingerprint.sentences is SentenceKind.SEPARATE else 1
        return round(mean * chunks * times)

    async def _tokens_a_chunk(self, version: IndexVersion) -> float | None:
        counts: list[int] = []
        async for head in self._some_heads(version):
            if counts and len(counts) + head.chunk_count > _MOST_CHUNKS:
                continue
            held = await self.index.read_chunks(
                INDEXER, version.uid, head.document_uid, revision=head.revision
            )
            counts += [chunk.draft.token_count for chunk in held]
        return sum(counts) / len(counts) if counts else None

    async def _some_heads(self, version: IndexVersion) -> AsyncIterator[Head]:
        """Of documents that came at different times: their uids are in the order of those."""
        seen: set[str] = set()
        first = await self.heads.list_published(version.uid, limit=1)
        last = await self.heads.last_published(version.uid)
        for place in _places(first[0].document_uid, last) if first and last else ():
            page = await self.heads.list_published(
                version.uid, after_document_uid=place, limit=_OF_A_PLACE
            )
            for head in page:
                if head.document_uid not in seen:
                    seen.add(head.document_uid)
                    yield head


def price_of(tokens: int | None, encoder: EncoderDescription) -> float | None:
    """What embedding so many costs in US dollars; None = nobody said a price, or how many."""
    price = encoder.dollars_per_million_tokens
    return None if price is None or tokens is None else tokens * price / _MILLION


def _places(first: str, last: str) -> tuple[str, ...]:
    """Where to begin: before everything, and then evenly from the first uid to the last."""
    low, high = _number(first), _number(last)
    return ("", *(_uid(low + (high - low) * step // _PLACES) for step in range(1, _PLACES)))


def _number(uid: str) -> int:
    return int(uid.replace("-", ""), 16)


def _uid(number: int) -> str:
    digits = f"{number:032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
