"""Places of their own in the real S3 of a run."""

from __future__ import annotations

from uuid import uuid4

from ragmesh.indexing.adapters.object_place import ObjectPlace
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
