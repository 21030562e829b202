# Generated from ragmesh/clients/replies.py by tools/generate_blocking.py; edit that instead.
"""What clients of every service do with replies: read them, and close streams of them."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from typing import Any, cast

from ragmesh.chassis.grpc_blocking import Replies
from ragmesh.core.errors import InternalError, InvalidError, UnavailableError


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


def followed(ask: Callable[[], object]) -> Generator[Any, None, None]:
    """The messages of a stream that may outlive its connection: servers end theirs by age.

    What was broken off is asked for again, and begins anew; who does not begin to answer is away.
    """
    while True:
        begun = False
        try:
            with closing(opened(ask())) as messages:
                for message in messages:
                    begun = True
                    yield message
        except UnavailableError:
            if not begun:
                raise
        else:
            return
