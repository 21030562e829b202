"""Parameters of OpenAI's that answers from documents have no use for: ignored or refused, never
guessed at."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from ragmesh.gateway.adapters.rest.bodies import Body
from ragmesh.gateway.adapters.rest.openai.errors import UNSUPPORTED

_IGNORED = "Taken and without effect; `ragmesh.ignored` of the answer names it."


def unsupported(why: str) -> PydanticCustomError:
    """What a validator raises for what is well formed and cannot be done."""
    return PydanticCustomError(UNSUPPORTED, "is not supported: {why}", {"why": why})


def _ignored() -> Any:
    return Field(None, description=_IGNORED)


class IgnoredParameters(Body):
    """What tunes a model: the mesh's own settings decide how answers are written."""

    frequency_penalty: float | None = _ignored()
    max_completion_tokens: int | None = _ignored()
    max_tokens: int | None = _ignored()
    metadata: dict[str, Any] | None = _ignored()
    parallel_tool_calls: bool | None = _ignored()
    prediction: dict[str, Any] | None = _ignored()
    presence_penalty: float | None = _ignored()
    prompt_cache_key: str | None = _ignored()
    prompt_cache_options: dict[str, Any] | None = _ignored()
    prompt_cache_retention: str | None = _ignored()
    reasoning_effort: str | None = _ignored()
    safety_identifier: str | None = _ignored()
    seed: int | None = _ignored()
    service_tier: str | None = _ignored()
    store: bool | None = _ignored()
    temperature: float | None = _ignored()
    top_p: float | None = _ignored()
    user: str | None = _ignored()
    verbosity: str | None = _ignored()

    @property
    def ignored(self) -> list[str]:
        """Names of those that were given."""
        names = self.model_fields_set & IgnoredParameters.model_fields.keys()
        return sorted(name for name in names if getattr(self, name) is not None)


_ONE_ANSWER = "a question has one answer"
_NO_TOOLS = "answers come from documents and call no tools"
_TEXT_ONLY = "answers are text"
_NO_CHANCES = "answers carry no probabilities of tokens"


@dataclass(frozen=True, slots=True)
class _Neutral:
    """Values that say what is the case anyway, and why no other is taken."""

    why: str
    values: tuple[Any, ...] = ()


_NEUTRAL = MappingProxyType(
    {
        "audio": _Neutral(_TEXT_ONLY),
        "function_call": _Neutral(_NO_TOOLS, ("none", "auto")),
        "functions": _Neutral(_NO_TOOLS, ([],)),
        "logit_bias": _Neutral(_NO_CHANCES, ({},)),
        "logprobs": _Neutral(_NO_CHANCES, (False,)),
        "modalities": _Neutral(_TEXT_ONLY, (["text"],)),
        "moderation": _Neutral("nothing is moderated"),
        "n": _Neutral(_ONE_ANSWER, (1,)),
        "response_format": _Neutral(_TEXT_ONLY, ({"type": "text"},)),
        "stop": _Neutral("an answer ends where it is complete", ([],)),
        "tool_choice": _Neutral(_NO_TOOLS, ("none", "auto")),
        "tools": _Neutral(_NO_TOOLS, ([],)),
        "top_logprobs": _Neutral(_NO_CHANCES, (0,)),
        "web_search_options": _Neutral("only the collection is searched"),
    }
)


def _refused(name: str) -> Any:
    neutral = _NEUTRAL[name]
    return Field(
        None,
        description=f"Not supported: {neutral.why}.",
        json_schema_extra={"enum": [None, *neutral.values]},
    )


class RefusedParameters(Body):
    """What would change the shape or the source of an answer; only its absence is taken."""

    audio: Any = _refused("audio")
    function_call: Any = _refused("function_call")
    functions: Any = _refused("functions")
    logit_bias: Any = _refused("logit_bias")
    logprobs: Any = _refused("logprobs")
    modalities: Any = _refused("modalities")
    moderation: Any = _refused("moderation")
    n: Any = _refused("n")
    response_format: Any = _refused("response_format")
    stop: Any = _refused("stop")
    tool_choice: Any = _refused("tool_choice")
    tools: Any = _refused("tools")
    top_logprobs: Any = _refused("top_logprobs")
    web_search_options: Any = _refused("web_search_options")

    @field_validator(*_NEUTRAL)
    @classmethod
    def _refuse(cls, value: Any, info: ValidationInfo) -> Any:
        neutral = _NEUTRAL[str(info.field_name)]
        # By type as well: True is no 1 here.
        same = (type(value) is type(one) and value == one for one in neutral.values)
        if value is not None and not any(same):
            raise unsupported(neutral.why)
        return value
