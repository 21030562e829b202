"""Taking documents in, all together or each by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ragmesh.core.callers import Caller
from ragmesh.core.documents import Accepted, Upload
from ragmesh.core.errors import InvalidError
from ragmesh.core.names import collection_name
from ragmesh.gateway.limits import GatewayLimits
from ragmesh.gateway.parsing import checked_upload, refuse_count
from ragmesh.gateway.ports import Documents


@dataclass(frozen=True, slots=True)
class Uploading:
    """Hands fit documents to the catalog."""

    documents: Documents
    limits: GatewayLimits

    async def upload(self, caller: Caller, collection: str, upload: Upload) -> Accepted:
        """Accept one document."""
        self._check(collection, upload, field="")
        (accepted,) = await self.documents.create_documents(caller, collection, [upload])
        return accepted

    async def upload_all(
        self, caller: Caller, collection: str, uploads: Sequence[Upload]
    ) -> tuple[Accepted, ...]:
        """Accept every document or none."""
        refuse_count(len(uploads))
        for position, upload in enumerate(uploads):
            field = f"documents[{position}]" if len(uploads) > 1 else ""
            self._check(collection, upload, field=field)
        return await self.documents.create_documents(caller, collection, uploads)

    async def upload_each(
        self, caller: Caller, collection: str, uploads: Sequence[Upload | InvalidError]
    ) -> list[Accepted | InvalidError]:
        """What became of each document; one that could not even be read is passed in as its error.

        Only what is wrong with a document itself refuses it alone; any other error is everybody's.
        """
        refuse_count(len(uploads))
        outcomes = [self._outcome(collection, upload) for upload in uploads]
        fit = [outcome for outcome in outcomes if isinstance(outcome, Upload)]
        if not fit:
            return [outcome for outcome in outcomes if isinstance(outcome, InvalidError)]
        accepted = iter(await self._accept(caller, collection, fit))
        return [next(accepted) if isinstance(one, Upload) else one for one in outcomes]

    async def _accept(
        self, caller: Caller, collection: str, uploads: Sequence[Upload]
    ) -> Sequence[Accepted | InvalidError]:
        try:
            return await self.documents.create_documents(caller, collection, uploads)
        except InvalidError as error:
            if len(uploads) == 1:
                return [error]
        # One of them is to blame, and halving finds it without asking for each.
        middle = len(uploads) // 2
        return [
            *await self._accept(caller, collection, uploads[:middle]),
            *await self._accept(caller, collection, uploads[middle:]),
        ]

    def _outcome(self, collection: str, upload: Upload | InvalidError) -> Upload | InvalidError:
        if isinstance(upload, InvalidError):
            return upload
        collection_name(collection)
        try:
            return checked_upload(upload, file_bytes=self.limits.file_bytes)
        except InvalidError as error:
            return error

    def _check(self, collection: str, upload: Upload, *, field: str) -> None:
        collection_name(collection)
        checked_upload(upload, file_bytes=self.limits.file_bytes, field=field)
