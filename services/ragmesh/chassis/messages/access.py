"""Who may see a document, and the default of its collection."""

from __future__ import annotations

from ragmesh.api.types.v1 import access_pb2 as pb
from ragmesh.chassis.messages.enums import EnumNumbers
from ragmesh.chassis.messages.texts import sendable
from ragmesh.core.callers import Access
from ragmesh.core.documents import DefaultAccess
from ragmesh.core.errors import InvalidError

DEFAULT_ACCESS = EnumNumbers(DefaultAccess, pb.DefaultAccess)


def access_to_message(access: Access) -> pb.Access:
    """The access; one that says nothing on the wire lets administrators in only."""
    groups = [sendable(group, field="access") for group in access.groups or ()]
    return pb.Access(everyone=access.groups is None, groups=groups)


def access_from_message(message: pb.Access, *, field: str = "access") -> Access:
    """The access, or InvalidError when it names groups beside everyone."""
    if not message.everyone:
        return Access(tuple(message.groups))
    if message.groups:
        raise InvalidError.of(field, "must name groups or everyone, not both")
    return Access(None)
