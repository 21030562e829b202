"""Settings of the generation service."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Literal, Self

from pydantic import Field, JsonValue, SecretStr, model_validator

from ragmesh.chassis.settings import Section
from ragmesh.generation.prices import FREE, Price

EXTRACTIVE: Literal["extractive"] = "extractive"
_PARAMETERS: Mapping[str, JsonValue] = MappingProxyType({"temperature": 0, "max_tokens": 1024})
REWRITER_SECONDS = 5.0
"""Longest wait for a rewritten question."""
_OURS = frozenset({"model", "messages", "stream", "stream_options", "tools", "functions", "n"})
"""Fields of a request that the engine fills in, or that would change what comes back."""
_NOT_OF_EXTRACTIVE = ("url", "model", "api_key", "api_key_file")
_URL = r"^https?://[^\s/]+(/\S*)?$"


class EndpointSettings(Section):
    """One engine that writes answers."""

    name: str = Field(
        EXTRACTIVE,
        pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$",
        description="Name of the engine; no two have the same.",
    )
    kind: Literal["extractive", "openai"] = Field(
        EXTRACTIVE,
        description="extractive quotes the best sentences and needs neither model nor key; openai "
        "lets a model write, behind any endpoint that speaks as OpenAI does.",
    )
    url: str | None = Field(
        None,
        pattern=_URL,
        description="Base of the endpoint's interface, mostly ending in /v1; for openai only.",
    )
    replica_urls: tuple[str, ...] = Field(
        (),
        max_length=31,
        description="Further bases at which the same model is reached with the same key; all of "
        "them are asked in turn, and one that fails is passed over for a while.",
    )
    model: str | None = Field(
        None, min_length=1, max_length=200, description="Model to ask; for openai only."
    )
    api_key: SecretStr | None = Field(
        None, description="Key of the endpoint; by default generation.api_key."
    )
    api_key_file: Path | None = Field(None, description="File to read the key from instead.")
    parameters: dict[str, JsonValue] = Field(
        dict(_PARAMETERS),
        description="Further fields of each request to the model, such as temperature.",
    )
    context_tokens: int = Field(
        16_000,
        ge=256,
        le=1_000_000,
        description="Most tokens of all chunks in one prompt; the least relevant are left out.",
    )
    attempts: int = Field(
        2, ge=1, le=10, description="How often the endpoint is asked before its first word."
    )
    first_token_seconds: float = Field(
        15.0, gt=0, le=300, description="Longest wait for the first word of an attempt."
    )
    token_seconds: float = Field(
        15.0, gt=0, le=300, description="Longest wait from one word to the next."
    )
    total_seconds: float = Field(
        60.0, gt=0, le=600, description="Longest time of all attempts and the answer together."
    )

    @model_validator(mode="after")
    def _refuse_contradictions(self) -> Self:
        if self.kind == EXTRACTIVE:
            given = [name for name in _NOT_OF_EXTRACTIVE if getattr(self, name) is not None]
            if given or self.replica_urls:
                raise ValueError(f"an extractive engine has no {(*given, 'replica_urls')[0]}")
        elif self.url is None or self.model is None:
            raise ValueError("an openai engine needs a url and a model")
        if not all(re.fullmatch(_URL, url) for url in self.replica_urls):
            raise ValueError("replica_urls must hold http or https URLs")
        ours = sorted(_OURS & self.parameters.keys())
        if ours:
            raise ValueError(f"parameters must not hold {ours[0]}")
        return self

    @property
    def digest(self) -> str:
        """Of everything that decides what the endpoint says: neither its key and patience nor the
        replicas, which say the same."""
        decisive = [self.kind, self.url, self.model, self.parameters]
        return sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:8]


class PriceSettings(Section):
    """What the tokens of one model cost."""

    model: str = Field(min_length=1, max_length=200, description="The model as endpoints name it.")
    prompt_dollars: float = Field(
        0.0, ge=0, description="Dollars for a million tokens of the prompt."
    )
    completion_dollars: float = Field(
        0.0, ge=0, description="Dollars for a million tokens of the answer."
    )


class PriceTableSettings(Section):
    """What tokens cost, and since when."""

    version: str = Field(
        "", max_length=100, description="Which table this is, such as a date; logged at the start."
    )
    models: tuple[PriceSettings, ...] = Field(
        (), description="One row a model; a model without a row costs nothing."
    )

    @model_validator(mode="after")
    def _refuse_what_is_unclear(self) -> Self:
        names = [row.model for row in self.models]
        if len(set(names)) < len(names):
            raise ValueError("two rows are about the same model")
        if names and not self.version:
            raise ValueError("a table of prices needs a version")
        return self

    def price_of(self, model: str) -> Price:
        """The model's price; FREE when the table does not know it."""
        for row in self.models:
            if row.model == model:
                return Price(row.prompt_dollars, row.completion_dollars)
        return FREE


class GenerationSettings(Section):
    """Settings of the generation service."""

    endpoints: tuple[EndpointSettings, ...] = Field(
        (EndpointSettings(),),
        min_length=1,
        max_length=10,
        description="Engines in the order of preference; a later one answers while those before "
        "it are away.",
    )
    api_key: SecretStr | None = Field(
        None, description="Key of every endpoint that names none of its own."
    )
    api_key_file: Path | None = Field(None, description="File to read that key from instead.")
    prices: PriceTableSettings = Field(
        PriceTableSettings(), description="What answers of models cost."
    )
    min_confidence: float = Field(
        0.2,
        ge=0.0,
        le=1.0,
        description="Answers of a lower confidence (0 to 1) are NO_CONTEXT instead; with the "
        "default about 3 of 100 answerable English questions are refused.",
    )

    rewriter: str | None = Field(
        None,
        description="Name of the endpoint of kind openai that rewrites follow-up questions before"
        " they are searched; by default rules carry terms over.",
    )
    rewriter_seconds: float = Field(
        REWRITER_SECONDS,
        gt=0,
        le=30,
        description="Longest wait for a rewritten question; then the rules stand in, marked"
        " FALLBACK_REWRITER.",
    )

    @model_validator(mode="after")
    def _refuse_equal_names(self) -> Self:
        names = [endpoint.name for endpoint in self.endpoints]
        if len(set(names)) < len(names):
            raise ValueError("two endpoints have the same name")
        models = [endpoint.name for endpoint in self.endpoints if endpoint.kind != EXTRACTIVE]
        if self.rewriter is not None and self.rewriter not in models:
            raise ValueError("rewriter must name an endpoint of kind openai")
        return self

    def key_of(self, endpoint: EndpointSettings) -> str:
        """The key for an endpoint; empty when there is none."""
        key = endpoint.api_key or self.api_key
        return key.get_secret_value() if key is not None else ""
