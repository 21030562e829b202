"""A conversation as OpenAI's clients send it: its last message is the question."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema, field_validator
from pydantic_core import PydanticCustomError

from ragmesh.core.errors import InvalidError
from ragmesh.core.turns import MAX_TURNS, ROLES
from ragmesh.gateway.adapters.rest.bodies import Body
from ragmesh.gateway.adapters.rest.openai.parameters import unsupported

SYSTEM, OLDEST = "messages.system", "messages.oldest"
"""What `ragmesh.ignored` calls messages that had no effect."""
_INSTRUCTING = ("system", "developer")
_CALLING = ("tool", "function")
_PARTS = {
    "anyOf": [
        {"type": "string"},
        {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"type": {"const": "text"}, "text": {"type": "string"}},
                "required": ["type", "text"],
                "additionalProperties": False,
            },
        },
    ]
}


def _text(value: Any) -> Any:
    """The text itself, or that of its parts."""
    if not isinstance(value, list):
        return value
    return "".join(_text_of_part(part) for part in value)


def _text_of_part(part: Any) -> str:
    if not isinstance(part, dict) or not isinstance(part.get("type"), str):
        raise PydanticCustomError("part", "must hold parts with a type")
    if part["type"] != "text":
        raise unsupported("only text is read")
    if part.keys() != {"type", "text"} or not isinstance(part["text"], str):
        raise PydanticCustomError("part", "must hold parts of a type and a text")
    return part["text"]


class MessageBody(Body):
    """One message; those that this API answered are taken back as they are."""

    role: str = Field(
        description="`user` or `assistant`; `system` and `developer` have no effect.",
        json_schema_extra={"enum": [*ROLES, *_INSTRUCTING]},
    )
    content: Annotated[str, BeforeValidator(_text), WithJsonSchema(_PARTS)] = Field(
        description="The text, or parts of the type `text`."
    )
    name: str | None = Field(None, description="Without effect.")
    citations: list[dict[str, Any]] | None = Field(
        None, description="Of an answer that is sent back; without effect."
    )
    annotations: list[dict[str, Any]] | None = Field(None, description="Without effect.")
    parsed: None = Field(None, description="Answers are text.")
    refusal: None = Field(None, description="Answers are never refusals.")
    audio: None = Field(None, description="Answers are text.")
    function_call: None = Field(None, description="Answers call no functions.")
    tool_calls: list[Any] | None = Field(None, max_length=0, description="Answers call no tools.")

    @field_validator("role")
    @classmethod
    def _known(cls, role: str) -> str:
        if role in _CALLING:
            raise unsupported("answers come from documents and call no tools")
        if role not in (*ROLES, *_INSTRUCTING):
            raise PydanticCustomError("role", "must be user, assistant, system or developer")
        return role


@dataclass(frozen=True, slots=True)
class Conversation:
    """What was said before, the question, and where both stand among the messages."""

    question: str
    history: tuple[tuple[str, str], ...]
    positions: tuple[int, ...]
    """Of the turns of the history, then of the question."""
    ignored: tuple[str, ...]

    def name(self, field: str) -> str:
        """The message that a field of the use case came from; other fields are the extension's."""
        places = {"question": self.positions[-1]}
        for turn, position in enumerate(self.positions[:-1]):
            places[f"history[{turn}].text"] = position
        return f"messages[{places[field]}].content" if field in places else f"ragmesh.{field}"


def conversation_of(messages: list[MessageBody]) -> Conversation:
    """The question with its history, else InvalidError.

    Instructions of a system message have no effect: what an answer may say is the mesh's to
    decide, and half of its engines could not obey. That they were ignored is told.
    """
    said = [
        (position, message)
        for position, message in enumerate(messages)
        if message.role not in _INSTRUCTING
    ]
    if not said or said[-1][1].role != "user":
        raise InvalidError.of("messages", "must end with a message of the user: the question")
    kept = said[-MAX_TURNS - 1 :]
    ignored = [SYSTEM] * (len(said) < len(messages)) + [OLDEST] * (len(kept) < len(said))
    return Conversation(
        question=kept[-1][1].content,
        history=tuple((message.role, message.content) for _, message in kept[:-1]),
        positions=tuple(position for position, _ in kept),
        ignored=tuple(ignored),
    )
