"""What was said before a question, validated once for every door and every file."""

from __future__ import annotations

from collections.abc import Sequence

from ragmesh.core.answers import Turn
from ragmesh.core.errors import InvalidError
from ragmesh.core.questions import refuse_controls

MAX_TURNS = 100
MAX_TURN_CHARACTERS = 32_000
ROLES = ("user", "assistant")


def parse_turns(history: Sequence[tuple[str, str]]) -> tuple[Turn, ...]:
    """The turns of roles and texts, or InvalidError that names the one at fault."""
    if len(history) > MAX_TURNS:
        raise InvalidError.of("history", f"must have at most {MAX_TURNS} turns")
    return tuple(
        _turn(role, text, field=f"history[{position}]")
        for position, (role, text) in enumerate(history)
    )


def _turn(role: str, text: str, *, field: str) -> Turn:
    if role not in ROLES:
        raise InvalidError.of(f"{field}.role", "must be one of " + ", ".join(ROLES))
    if len(text) > MAX_TURN_CHARACTERS:
        message = f"must have at most {MAX_TURN_CHARACTERS} characters"
        raise InvalidError.of(f"{field}.text", message)
    refuse_controls(text, field=f"{field}.text")
    return Turn(role, text)
