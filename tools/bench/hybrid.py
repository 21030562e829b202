"""An index as the benches search it: by meaning and by words, texts and all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ragmesh.core.questions import Question
from ragmesh.core.search import RetrieveQuery
from ragmesh.core.vectors import Vector
from ragmesh.retrieval.choosing import Chooser
from ragmesh.retrieval.fusion import fuse
from ragmesh.retrieval.ports import RankRequest, VectorIndex
from ragmesh.retrieval.service import candidates_for
from ragmesh.retrieval.wording import Wording
from tools.bench.corpus import READER, Floats, keeping, number_of

LIMIT = 10


@dataclass(frozen=True, slots=True)
class Ours:
    """An index and what it is asked."""

    index: VectorIndex
    uid: str
    questions: Floats
    words: Sequence[str]

    async def hybrid(self, number: int) -> None:
        """The best chunks of a question, with their texts."""
        number %= len(self.questions)
        await self.found(self.questions[number], self.words[number])

    async def found(self, vector: Floats, words: str) -> None:
        """As retrieval does it, from the vector on."""
        query = RetrieveQuery(self.uid, self.uid, Question(words), LIMIT)
        request = RankRequest(
            READER, Wording(words), _vector(vector), True, None, candidates_for(LIMIT)
        )
        async with self.index.read(self.uid) as view:
            ranked = await view.rank(request)
            chooser = Chooser(view, query, ranked.terms)
            hits = await chooser.hits(fuse(ranked.rankings, ranked.candidates))
        if not hits:
            raise AssertionError("a question of the corpus finds something")

    async def nearest(self, number: int, label: str) -> set[int]:
        """Rows of the chunks most alike a question, among those with the label."""
        vector = _vector(self.questions[number])
        request = RankRequest(READER, Wording(""), vector, False, keeping(label), LIMIT)
        async with self.index.read(self.uid) as view:
            ranked = await view.rank(request)
        candidates = ranked.candidates.values()
        return {number_of(one.document_id, one.ordinal) for one in candidates}


def _vector(numbers: Floats) -> Vector:
    return Vector(numbers.astype("<f4").tobytes())
