"""Taking many documents in, each by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ragmesh.core.callers import Caller
from ragmesh.core.documents import Accepted, Upload
from ragmesh.core.errors import InvalidError
from ragmesh.gateway.parsing import refuse_count
from ragmesh.gateway.ports import Documents

Outcome = Accepted | InvalidError


@dataclass(frozen=True, slots=True)
class Uploading:
    """Hands documents to the catalog, which takes all of a request or none."""

    documents: Documents

    async def upload_each(
        self, caller: Caller, collection: str, uploads: Sequence[Upload | InvalidError]
    ) -> list[Outcome]:
        """What became of each document; one that could not even be read comes in as its error.

        Only what is wrong with a document itself refuses it alone; any other error is everybody's.
        """
        refuse_count(len(uploads))
        readable = [upload for upload in uploads if isinstance(upload, Upload)]
        outcomes = iter(await self._take(caller, collection, readable))
        return [one if isinstance(one, InvalidError) else next(outcomes) for one in uploads]

    async def _take(
        self, caller: Caller, collection: str, uploads: Sequence[Upload]
    ) -> Sequence[Outcome]:
        if not uploads:
            return ()
        try:
            return await self.documents.create_documents(caller, collection, uploads)
        except InvalidError as error:
            if len(uploads) == 1:
                return (error,)
        # One of them is to blame, and halving finds it without asking for each.
        middle = len(uploads) // 2
        return (
            *await self._take(caller, collection, uploads[:middle]),
            *await self._take(caller, collection, uploads[middle:]),
        )
