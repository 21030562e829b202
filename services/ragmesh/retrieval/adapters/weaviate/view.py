"""What a search reads: the heads of one moment over the chunks of the store.

Tenant, access and metadata are filtered inside the store. It cannot know what is published, so it
is asked for more than is wanted, and for still more while heads let too little pass.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from weaviate.proto.v1 import base_search_pb2

from ragmesh.core.callers import Caller
from ragmesh.core.errors import UnavailableError
from ragmesh.core.ids import chunk_id
from ragmesh.core.search import QueryTerm
from ragmesh.retrieval.adapters.keyword_queries import (
    MAX_QUERY_TERMS,
    WEIGHTS,
    KeywordQuery,
    Phrase,
    keyword_query,
    terms_of,
)
from ragmesh.retrieval.adapters.ranked import (
    DECIMALS,
    DENSE,
    KEYWORD,
    ranking,
    rankings_of,
    reach,
)
from ragmesh.retrieval.adapters.weaviate.conditions import (
    Always,
    Condition,
    Pushed,
    holding_phrases,
    narrowed,
    permitted,
)
from ragmesh.retrieval.adapters.weaviate.heads import Moment
from ragmesh.retrieval.adapters.weaviate.objects import (
    Key,
    StoredObject,
    key_of,
    object_id,
    read_stored_chunk,
)
from ragmesh.retrieval.adapters.weaviate.schema import WORDS, chunk_properties
from ragmesh.retrieval.adapters.weaviate.shard import Found
from ragmesh.retrieval.adapters.weaviate.together import first_failure
from ragmesh.retrieval.adapters.weaviate.version import Version
from ragmesh.retrieval.ports import Candidate, Rankings, RankRequest, StoredChunk

Floats = npt.NDArray[np.float64]
Search = Callable[[int], Awaitable[list[Found]]]
MOST_CANDIDATES = 1_000
"""A search looks no further, however few of them are published."""
_WIDENING = 4
_SPARE = 4
"""At first a quarter and one more are asked for than are wanted: some are of revisions just
replaced, and one behind the last shows that all who tie with it are there."""
_OWN = ("document_uid", "revision", "document_id", "ordinal")
_UNIT = 10
"""Weaviate takes whole weights of fields."""


@dataclass(slots=True)
class WeaviateView:
    """One moment of one index version."""

    version: Version
    moment: Moment
    missing: int
    _places: dict[Key, int] = field(default_factory=dict)
    _found: list[tuple[Key, str]] = field(default_factory=list)
    """By place: the chunk, and the id of the object in which it was found."""

    @property
    def heads_sequence(self) -> int:
        """The sequence up to which heads decided what is visible."""
        return self.moment.sequence

    @property
    def missing_documents(self) -> int:
        """How many documents are published, and their chunks are not here."""
        return self.missing

    async def rank(self, request: RankRequest) -> Rankings:
        """The best visible chunks that the caller may see and the filter lets pass."""
        permission = permitted(request.caller, request.filter, self.version.spec.sortable)
        words = terms_of(self.version.analyzer, request.wording.text)
        with first_failure():
            async with asyncio.TaskGroup() as group:
                alike = group.create_task(self._alike(request, permission))
                terms = group.create_task(self.version.counts.terms(words))
                worded = group.create_task(self._worded(request, permission, words, terms))
        return self._rankings(request, alike.result(), worded.result(), terms.result())

    async def load(
        self, places: Sequence[int], terms: Sequence[QueryTerm]
    ) -> tuple[StoredChunk, ...]:
        """The chunks at these places of this view, in the order asked for."""
        version = self.version
        wanted = {
            place: (chunk_id(version.spec.index_version_uid, *key), found)
            for place in places
            for key, found in (self._found[place],)
        }
        held = await self._objects(wanted.values())
        dimension = version.spec.fingerprint.dimension
        return tuple(
            read_stored_chunk(held[wanted[place][0]], wanted[place][0], place, dimension, terms)
            for place in places
        )

    async def _objects(self, wanted: Collection[tuple[str, str]]) -> dict[str, StoredObject]:
        """By chunk, the object in which it was found, or the one on the other side of its revision,
        which has changed since."""
        chunks, properties = self.version.chunks, chunk_properties(self.version.spec)
        found = await chunks.by_ids([one for _, one in wanted], properties)
        held = {chunk: found[one] for chunk, one in wanted if one in found}
        gone = {
            object_id(chunk, int(one == chunk)): chunk for chunk, one in wanted if one not in found
        }
        if gone:
            found = await chunks.by_ids(list(gone), properties)
            held |= {gone[one]: stored for one, stored in found.items()}
        if len(held) < len(wanted):
            raise UnavailableError("the search took longer than replaced chunks stay; ask again")
        return held

    async def _alike(self, request: RankRequest, permission: Pushed) -> list[Found]:
        if request.vector is None:
            return []
        vector = request.vector.values

        async def search(condition: Condition | None, limit: int) -> list[Found]:
            return await self.version.chunks.nearest(vector, condition, _OWN, limit)

        return await self._visible(DENSE, request, permission, search)

    async def _worded(
        self,
        request: RankRequest,
        permission: Pushed,
        words: Sequence[str],
        counted: Awaitable[Sequence[QueryTerm]],
    ) -> list[Found]:
        if not request.keyword:
            return []
        # Only where there are more of them must their rarity be waited for.
        few = len(words) <= MAX_QUERY_TERMS
        terms = [QueryTerm(word, 0.0) for word in words] if few else await counted
        query = keyword_query(self.version.analyzer, request.wording, terms)
        if query.finds_nothing:
            return []
        asked = _message(query)
        properties = (*_OWN, *WORDS.values()) if query.phrases else _OWN

        async def search(condition: Condition | None, limit: int) -> list[Found]:
            return await self.version.chunks.worded(asked, condition, properties, limit)

        narrow = narrowed(permission, holding_phrases(query.phrases))
        return await self._visible(KEYWORD, request, narrow, search, query.phrases)

    async def _visible(
        self,
        name: str,
        request: RankRequest,
        permission: Pushed,
        search: Callable[[Condition | None, int], Awaitable[list[Found]]],
        phrases: Sequence[Phrase] = (),
    ) -> list[Found]:
        """The best of what is published: those wanted, and all that tie with the last of them."""
        if isinstance(permission, Always):
            if not permission.passes:
                return []
            condition = None
        else:
            condition = permission
        wanted = request.candidates
        most = max(MOST_CANDIDATES, wanted)
        limit = min(most, wanted + 1 + wanted // _SPARE)
        while True:
            hits = await search(condition, limit)
            shown = self._once(
                hit
                for hit in hits
                if self._shows(request.caller, hit.stored) and _holds_all(hit.stored, phrases)
            )
            reached = reach(name, [hit.score for hit in shown], wanted)
            if wanted <= reached < len(shown) or len(hits) < limit or limit >= most:
                return shown[:reached]
            limit = min(most, _WIDENING * limit)

    def _once(self, hits: Iterable[Found]) -> list[Found]:
        """Each chunk once: while its revision changes it may stand on both sides."""
        first: dict[Key, Found] = {}
        for hit in hits:
            first.setdefault(key_of(hit.stored), hit)
        return list(first.values())

    def _shows(self, caller: Caller, stored: StoredObject) -> bool:
        of = stored.properties
        return self.moment.shows(caller, of["document_uid"], int(of["revision"]))

    def _rankings(
        self,
        request: RankRequest,
        alike: Sequence[Found],
        worded: Sequence[Found],
        terms: Sequence[QueryTerm],
    ) -> Rankings:
        similarities = self._placed(alike)
        if request.vector is not None:
            query = _unit(request.vector.values)
            rest = (hit.stored for hit in worded if self._place(hit.stored) not in similarities)
            similarities |= {self._place(one): float(_unit(one.vector) @ query) for one in rest}
        candidates = {
            self._place(hit.stored): self._candidate(hit.stored, similarities)
            for hit in (*alike, *worded)
        }
        rankings = []
        if request.vector is not None:
            scores = {place: candidates[place].similarity for place in self._placed(alike)}
            rankings.append(ranking(DENSE, scores, candidates, request.candidates))
        if request.keyword:
            scores = self._placed(worded)
            rankings.append(ranking(KEYWORD, scores, candidates, request.candidates))
        return rankings_of(rankings, candidates, terms)

    def _candidate(self, stored: StoredObject, similarities: Mapping[int, float]) -> Candidate:
        of, place = stored.properties, self._place(stored)
        similarity = min(1.0, max(-1.0, similarities.get(place, 0.0)))
        return Candidate(
            place,
            of["document_id"],
            int(of["ordinal"]),
            round(similarity, DECIMALS[DENSE]),
        )

    def _placed(self, hits: Iterable[Found]) -> dict[int, float]:
        return {self._place(hit.stored): hit.score for hit in hits}

    def _place(self, stored: StoredObject) -> int:
        key = key_of(stored)
        place = self._places.setdefault(key, len(self._found))
        if place == len(self._found):
            self._found.append((key, stored.id))
        return place


def _message(query: KeywordQuery) -> base_search_pb2.BM25:
    """The words that are looked for, those of phrases too: phrases are checked by us."""
    words = [*query.terms, *(term for phrase in query.phrases for term in phrase.terms)]
    return base_search_pb2.BM25(
        query=" ".join(dict.fromkeys(words)),
        properties=[f"{name}^{round(_UNIT * WEIGHTS[field])}" for field, name in WORDS.items()],
    )


def _holds_all(stored: StoredObject, phrases: Sequence[Phrase]) -> bool:
    """Whether each phrase stands in one of its fields, word after word."""
    return all(
        any(
            _stands_in(phrase.terms, stored.properties.get(WORDS[field], "").split())
            for field in phrase.fields
        )
        for phrase in phrases
    )


def _stands_in(phrase: Sequence[str], words: Sequence[str]) -> bool:
    length = len(phrase)
    return any(tuple(words[at : at + length]) == phrase for at in range(len(words) - length + 1))


def _unit(values: bytes) -> Floats:
    vector = np.frombuffer(values, "<f4").astype(np.float64)
    length = float(np.linalg.norm(vector))
    return vector / length if length else vector
