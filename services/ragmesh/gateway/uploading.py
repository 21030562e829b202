"""Taking documents in, each by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ragmesh.core.callers import Caller
from ragmesh.core.documents import Accepted, Upload, UploadOutcome
from ragmesh.core.errors import InvalidError
from ragmesh.gateway.accounting import Account, error_of
from ragmesh.gateway.parsing import refuse_count
from ragmesh.gateway.ports import Documents


@dataclass(frozen=True, slots=True)
class Uploading:
    """Hands the documents of a request to the catalog, in one call."""

    documents: Documents
    account: Account

    async def upload_each(
        self, caller: Caller, collection: str, uploads: Sequence[Upload | InvalidError]
    ) -> list[UploadOutcome]:
        """What became of each document; one that could not even be read comes in as its error."""
        try:
            outcomes = await self._upload(caller, collection, uploads)
        except BaseException as error:
            self.account.charge(error=error_of(error))
            raise
        self.account.charge(documents=sum(isinstance(one, Accepted) for one in outcomes))
        return outcomes

    async def _upload(
        self, caller: Caller, collection: str, uploads: Sequence[Upload | InvalidError]
    ) -> list[UploadOutcome]:
        refuse_count(len(uploads))
        readable = [upload for upload in uploads if isinstance(upload, Upload)]
        told: Sequence[UploadOutcome] = ()
        if readable:
            told = await self.documents.create_documents(caller, collection, readable)
        outcomes = iter(told)
        return [one if isinstance(one, InvalidError) else next(outcomes) for one in uploads]
