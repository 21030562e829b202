"""Who calls, between processes: a signed token on the wire, the verified value while serving.

No request has a caller field. A client asks its `CallerSigner` for the metadata of a call, the
server's `Guard` turns that metadata into a `Caller` or refuses the call, and a servicer reads
`current_caller()`. Within one process nothing is signed: the value itself is passed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

from ragmesh.core.callers import Caller, Principal
from ragmesh.core.errors import UnauthenticatedError

CALLER_HEADER = "ragmesh-caller-bin"
"""Carries a serialized SignedCaller; gRPC takes bytes under names that end in -bin."""
Metadata = tuple[tuple[str, str | bytes], ...]


class CallerSigner(Protocol):
    """Speaks for callers on calls that leave this process."""

    def metadata(self, caller: Caller | None = None) -> Metadata:
        """The call metadata that carries the caller; None = this process's own machine."""


class Guard(Protocol):
    """Decides who may call what on one server."""

    def admit(
        self, method: str, metadata: Sequence[tuple[str, str | bytes]], *, peer: str = ""
    ) -> Caller | None:
        """The verified caller of `/package.Service/Method`; None where nobody needs to be known.

        UnauthenticatedError when the metadata proves no caller, DeniedError when the caller may
        not call the method. `peer` is where the call came from, for the audit of a refusal.
        """


_current: ContextVar[Caller | None] = ContextVar("ragmesh_caller", default=None)


def known_caller() -> Caller | None:
    """The verified caller of the call being served, None where nobody needs to be known."""
    return _current.get()


def current_caller() -> Caller:
    """The verified caller of the call being served; UnauthenticatedError when there is none."""
    caller = known_caller()
    if caller is None:
        raise UnauthenticatedError("the call being served has no verified caller")
    return caller


def current_principal() -> Principal:
    """The verified user of the call being served; UnauthenticatedError when it is no user."""
    caller = current_caller()
    if not isinstance(caller, Principal):
        raise UnauthenticatedError("the call being served is of no user")
    return caller


@contextmanager
def calling(caller: Caller | None) -> Iterator[None]:
    """Make this the verified caller of what is served inside; None = nobody is known."""
    outer = _current.get()
    _current.set(caller)
    try:
        yield
    finally:
        # Not reset(token), for the reason of `requests.serving`.
        _current.set(outer)
