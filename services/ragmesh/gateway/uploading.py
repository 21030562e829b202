"""Taking documents in, each by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ragmesh.core.callers import Caller
from ragmesh.core.documents import Upload, UploadOutcome
from ragmesh.core.errors import InvalidError
from ragmesh.gateway.parsing import refuse_count
from ragmesh.gateway.ports import Documents


@dataclass(frozen=True, slots=True)
class Uploading:
    """Hands the documents of a request to the catalog, in one call."""

    documents: Documents

    async def upload_each(
        self, caller: Caller, collection: str, uploads: Sequence[Upload | InvalidError]
    ) -> list[UploadOutcome]:
        """What became of each document; one that could not even be read comes in as its error."""
        refuse_count(len(uploads))
        readable = [upload for upload in uploads if isinstance(upload, Upload)]
        told: Sequence[UploadOutcome] = ()
        if readable:
            told = await self.documents.create_documents(caller, collection, readable)
        outcomes = iter(told)
        return [one if isinstance(one, InvalidError) else next(outcomes) for one in uploads]
