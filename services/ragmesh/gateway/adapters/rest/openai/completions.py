"""Answers as chat completions, whole and in chunks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal

from pydantic import BaseModel, Field

from ragmesh.core.answers import Answer, AnswerStatus, Usage
from ragmesh.gateway.adapters.rest import examples
from ragmesh.gateway.adapters.rest.replies import AnswerReply, CitationReply, FinishReply
from ragmesh.gateway.adapters.rest.shapes import shown

Finish = Literal["stop", "length"]
_FINISHES: Mapping[AnswerStatus, Finish] = MappingProxyType(
    {
        AnswerStatus.ANSWERED: "stop",
        AnswerStatus.NO_CONTEXT: "stop",
        AnswerStatus.PARTIAL: "length",
    }
)
"""OpenAI has no word for a model that died in mid-answer; `length` says that the end is missing."""


_DETAILS = {**examples.FINISH, "cost_dollars": 0.0, "ignored": ["messages.system"]}
_EXAMPLE = {
    "id": f"chatcmpl-{examples.REQUEST_ID}",
    "object": "chat.completion",
    "created": 1772353800,
    "model": "ragmesh/handbook",
    "choices": [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": f"{examples.SENTENCE} [1]",
                "refusal": None,
                "citations": [examples.CITATION],
            },
            "finish_reason": "stop",
            "logprobs": None,
        }
    ],
    "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
    "ragmesh": _DETAILS,
}


class DetailsReply(FinishReply):
    """What OpenAI's answers have no place for."""

    model_config = shown(_DETAILS)

    cost_dollars: float = Field(description="What the answer cost.")
    ignored: list[str] = Field(
        description="Parameters and messages of the request that had no effect."
    )


class ChatMessageReply(BaseModel):
    """The answer."""

    role: Literal["assistant"]
    content: str
    refusal: None = None
    citations: list[CitationReply] = Field(description="What the answer rests on.")


class ChoiceReply(BaseModel):
    """The one answer."""

    index: Literal[0]
    message: ChatMessageReply
    finish_reason: Finish = Field(description="`length` for a PARTIAL answer: its end is missing.")
    logprobs: None = None


class ChatUsageReply(BaseModel):
    """Tokens that a language model was given and wrote; none for an extractive or cached answer."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int

    @classmethod
    def of(cls, usage: Usage) -> ChatUsageReply:
        return cls(
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
            total_tokens=usage.prompt_tokens + usage.completion_tokens,
        )


class ChatReply(BaseModel):
    """A chat completion."""

    model_config = shown(_EXAMPLE)

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[ChoiceReply]
    usage: ChatUsageReply
    ragmesh: DetailsReply


@dataclass(frozen=True, slots=True)
class Chunk:
    """One event of a streamed completion."""

    content: dict[str, Any]

    def encoded(self) -> bytes:
        """The chunk as it goes over the line; JSON holds no raw line breaks."""
        text = json.dumps(self.content, ensure_ascii=False, separators=(",", ":"))
        return f"data: {text}\n\n".encode()


@dataclass(frozen=True, slots=True)
class Done:
    """What OpenAI's clients end a stream at."""

    def encoded(self) -> bytes:
        """The word for it."""
        return b"data: [DONE]\n\n"


@dataclass(frozen=True, slots=True)
class Completion:
    """One completion on its way out."""

    request_id: str
    created: datetime
    model: str
    include_usage: bool
    ignored: tuple[str, ...]

    def whole(self, answer: Answer) -> ChatReply:
        """The answer in one piece."""
        message = ChatMessageReply(
            role="assistant",
            content=answer.answer,
            citations=AnswerReply.of(answer).citations,
        )
        choice = ChoiceReply(index=0, message=message, finish_reason=_FINISHES[answer.status])
        return ChatReply(
            **self._head("chat.completion"),
            choices=[choice],
            usage=ChatUsageReply.of(answer.usage),
            ragmesh=self._details(answer),
        )

    def piece(self, delta: dict[str, Any]) -> Chunk:
        """The next piece of the message."""
        return self._chunk(delta, None)

    def last(self, answer: Answer, delta: dict[str, Any]) -> Chunk:
        """The citations, and how the answer ended."""
        cited = [citation.model_dump(mode="json") for citation in AnswerReply.of(answer).citations]
        chunk = self._chunk({**delta, "citations": cited}, _FINISHES[answer.status])
        return Chunk({**chunk.content, "ragmesh": self._details(answer).model_dump(mode="json")})

    def usage(self, answer: Answer) -> Chunk:
        """What the answer cost, without a choice."""
        usage = ChatUsageReply.of(answer.usage).model_dump()
        return Chunk({**self._head("chat.completion.chunk"), "choices": [], "usage": usage})

    def _chunk(self, delta: dict[str, Any], finish: str | None) -> Chunk:
        choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
        usage = {"usage": None} if self.include_usage else {}
        return Chunk({**self._head("chat.completion.chunk"), "choices": [choice], **usage})

    def _head(self, kind: str) -> dict[str, Any]:
        return {
            "id": f"chatcmpl-{self.request_id}",
            "object": kind,
            "created": int(self.created.timestamp()),
            "model": self.model,
        }

    def _details(self, answer: Answer) -> DetailsReply:
        return DetailsReply(
            **FinishReply.of(answer).model_dump(),
            cost_dollars=answer.usage.cost_dollars,
            ignored=list(self.ignored),
        )
