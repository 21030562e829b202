"""Places of their own in the real S3 of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import uuid4

from ragmesh.indexing.adapters.object_place import ObjectPlace
from ragmesh.indexing.records import StoredRevision
from tools.servers.server import Server


def place_in(server: Server, **changes: str) -> ObjectPlace:
    """A new prefix in the server's bucket; `changes` are of the options."""
    told = server.environ
    options = {
        "endpoint": told["AWS_ENDPOINT_URL"],
        "region": told["AWS_REGION"],
        "access_key_id": told["AWS_ACCESS_KEY_ID"],
        "secret_access_key": told["AWS_SECRET_ACCESS_KEY"],
    }
    options.update(changes)
    url = f"{server.url}/test-{uuid4().hex}"
    return ObjectPlace(url, tuple(options.items()))


@dataclass(slots=True)
class Owner:
    """A catalog, as far as it names blobs."""

    uid: str = field(default_factory=lambda: uuid4().hex)
    names: Sequence[str] = ()
    """Keys of blobs."""

    async def identify(self) -> str:
        return self.uid

    async def list_stored(self, *, limit: int) -> Sequence[StoredRevision]:
        return tuple(stored(key) for key in self.names[:limit])


def stored(key: str) -> StoredRevision:
    """A revision whose file is under the key."""
    return StoredRevision(
        document_uid="document",
        revision=1,
        is_current=True,
        source_blob=key,
        content_sha256="",
        text_blob=None,
        text_sha256="",
        size_bytes=1,
    )
