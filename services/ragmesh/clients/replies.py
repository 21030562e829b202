"""What clients of every service do with replies: read them, and close streams of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from ragmesh.chassis.grpc_channels import Replies
from ragmesh.core.errors import InternalError, InvalidError


@contextmanager
def reading(server: str) -> Iterator[None]:
    """A reply that breaks the contract is the server's defect: no request would make it better."""
    try:
        yield
    except InvalidError as error:
        raise InternalError(
            f"{server} answered what its contract forbids: {error.message}"
        ) from error


def opened(stream: object) -> Replies:
    """What a stub of a chassis channel really answers to a streaming call: it can be closed."""
    return cast("Replies", stream)
