"""Questions and searches."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

from ragmesh.core.answers import Answer, AnswerEvent, CacheMode, Turn
from ragmesh.core.names import collection_name
from ragmesh.core.questions import Question
from ragmesh.core.search import SearchMode, SearchQuery, SearchResult
from ragmesh.sdk.aio.connection import AsyncConnection
from ragmesh.sdk.arguments import FilterTree, ask_query, filter_of, member_of


class AsyncAsking(AsyncConnection):
    """Asks and searches."""

    async def ask(
        self,
        collection: str,
        question: str,
        *,
        history: Sequence[Turn] = (),
        filter: FilterTree | None = None,
        limit: int = 8,
        cache: CacheMode | str = CacheMode.USE,
    ) -> Answer:
        """The whole answer with its citations.

        `history` is what was said before, `Turn("user", …)` and `Turn("assistant", …)` in turn;
        `limit` is how many chunks the context may hold, `cache` whether a stored answer may be
        used. An answer with status NO_CONTEXT is no error: the documents do not say it.

        Raises CollectionNotFoundError, InvalidError (what was asked), ExhaustedError (limits),
        UnavailableError, DeadlineError.
        """
        query = ask_query(
            collection, question, history=history, filter=filter, limit=limit, cache=cache
        )
        return await self._calls.read(lambda: self._gateway.ask(query))

    def stream_answer(
        self,
        collection: str,
        question: str,
        *,
        history: Sequence[Turn] = (),
        filter: FilterTree | None = None,
        limit: int = 8,
        cache: CacheMode | str = CacheMode.USE,
    ) -> AsyncGenerator[AnswerEvent, None]:
        """The answer as it is written: every Delta and Citation, and at last the whole Answer.

        Whoever stops reading has the mesh stop writing. Once a piece has come, nothing is tried
        again: an answer whose model died is PARTIAL. Raises what `ask` raises.
        """
        query = ask_query(
            collection, question, history=history, filter=filter, limit=limit, cache=cache
        )
        return self._calls.stream(
            lambda: self._gateway.stream_answer(query),
            timeout_seconds=self.options.timeout_seconds,
        )

    async def search(  # noqa: PLR0913 - one a field of the request
        self,
        collection: str,
        query: str,
        *,
        limit: int = 10,
        mode: SearchMode | str = SearchMode.HYBRID,
        filter: FilterTree | None = None,
        score_threshold: float | None = None,
        explain: bool = False,
    ) -> SearchResult:
        """The chunks closest to a query, the best first.

        Scores lie in [0, 1] and compare hits of one search only; hits below `score_threshold` are
        left out. `explain` tells what each ranking made of a hit. Raises what `ask` raises.
        """
        wanted = SearchQuery(
            collection=collection_name(collection),
            question=Question.parse(query, field="query"),
            limit=limit,
            mode=member_of(SearchMode, mode, field="mode"),
            filter=filter_of(filter),
            score_threshold=score_threshold,
            explain=explain,
        )
        return await self._calls.read(lambda: self._gateway.search(wanted))
