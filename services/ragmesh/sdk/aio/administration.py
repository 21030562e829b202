"""Administration: what was given up, and how it is mended."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

from ragmesh.core.mending import DeadLetter, Repaired, Replayed
from ragmesh.core.names import collection_name
from ragmesh.sdk.aio.connection import AsyncConnection


class AsyncAdministration(AsyncConnection):
    """What only administrators may do."""

    def list_dead_letters(
        self, *, collection: str = "", reason: str = ""
    ) -> AsyncGenerator[DeadLetter, None]:
        """Work that was given up, the newest first; of any collection and reason when empty."""
        return self._calls.each(
            lambda page: self._gateway.list_dead_letters(
                collection=collection, reason=reason, page=page
            )
        )

    async def get_dead_letter(self, dead_letter_id: str) -> DeadLetter:
        """One dead letter. Raises DeadLetterNotFoundError."""
        return await self._calls.read(lambda: self._gateway.get_dead_letter(dead_letter_id))

    async def replay_dead_letters(self, dead_letter_ids: Sequence[str]) -> Replayed:
        """Have given-up work done again, 1,000 at once at most; asked twice, it is done once."""
        return await self._calls.change(lambda: self._gateway.replay_dead_letters(dead_letter_ids))

    async def repair_collection(self, collection: str) -> Repaired:
        """Compare catalog and index now and repair every difference.

        A large collection takes minutes: give the call time by `with_options`.
        """
        checked = collection_name(collection)
        return await self._calls.change(lambda: self._gateway.repair_collection(checked))
