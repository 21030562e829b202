"""Enums on both sides of the wire, matched by name: 0 is never a member."""

from __future__ import annotations

from enum import Enum
from typing import Any, Generic, TypeVar

from ragmesh.core.errors import InvalidError

Member = TypeVar("Member", bound=Enum)


class EnumNumbers(Generic[Member]):
    """The number of each member, by the names that the contract gives them."""

    def __init__(self, members: type[Member], contract: Any) -> None:
        prefix = contract.Name(0).removesuffix("UNSPECIFIED")
        self._numbers = {member: contract.Value(f"{prefix}{member.name}") for member in members}
        self._members = {number: member for member, number in self._numbers.items()}

    def number(self, member: Member) -> Any:
        """The member as it is sent."""
        return self._numbers[member]

    def member(self, number: int, *, field: str) -> Member:
        """The member that was sent; InvalidError for 0 and for numbers that nobody knows."""
        try:
            return self._members[number]
        except KeyError:
            names = ", ".join(member.name for member in self._numbers)
            raise InvalidError.of(field, f"must be one of {names}, not {number}") from None
