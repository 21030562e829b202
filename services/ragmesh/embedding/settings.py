"""Settings of the embedding service."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator

from ragmesh.chassis.settings import Section
from ragmesh.chassis.settings.folders import cache_folder
from ragmesh.embedding.limits import EmbeddingLimits

MINILM = "all-MiniLM-L6-v2"
_LIMITS = EmbeddingLimits()


class EncoderKind(Enum):
    """How an encoder is run."""

    EXACT = "exact"
    """Local weights as they were published."""
    FAST = "fast"
    """Local weights rounded to int8: about twice as fast, its vectors a little off."""
    OPENAI = "openai"
    """An endpoint that speaks OpenAI's embeddings API."""


def default_model_folder(
    name: str, environ: Mapping[str, str] | None = None, *, kind: EncoderKind = EncoderKind.EXACT
) -> Path:
    """Where `make model` puts an encoder's files and where they are looked for."""
    folder = f"{name}-int8" if kind is EncoderKind.FAST else name
    return cache_folder(environ) / "models" / folder


class EndpointSettings(Section):
    """An endpoint that speaks OpenAI's embeddings API."""

    url: str = Field(
        pattern=r"^https?://[^\s@/?#]+(/[^\s?#]*)?$",
        description="Base URL of the API, such as https://api.openai.com/v1.",
    )
    model: str = Field(
        min_length=1, max_length=200, description="The endpoint's name of the model."
    )
    revision: str = Field(
        "",
        max_length=100,
        description="Anything that changes when the model behind the name is changed on purpose.",
    )
    api_key: SecretStr | None = Field(None, description="Key that is sent, if any.")
    api_key_file: Path | None = Field(None, description="File that holds the key.")
    dimension: int = Field(ge=1, le=65_536, description="How many numbers its vectors have.")
    request_dimension: bool = Field(
        False, description="Ask for that dimension, of a model that can shorten its vectors."
    )
    max_tokens: int = Field(
        512, ge=16, le=1_000_000, description="Its window; longer passages are refused."
    )
    tokenizer: Path | None = Field(
        None,
        description="Its tokenizer.json; without one a token is taken for 2.5 characters.",
    )
    query_prefix: str = Field(
        "", max_length=1_000, description="Put before questions, for models that ask for it."
    )
    passage_prefix: str = Field(
        "", max_length=1_000, description="Put before passages, for models that ask for it."
    )
    sentences: Literal["none", "separate"] = Field(
        "none",
        description="Vectors of sentences: none scores them by their words, separate embeds each.",
    )
    batch_texts: int = Field(32, ge=1, le=2_048, description="Most texts of one request.")
    calls: int = Field(4, ge=1, le=64, description="Requests of each lane at the same time.")
    timeout_seconds: float = Field(
        10.0, gt=0, le=300, description="Longest wait for one answer to questions."
    )
    bulk_timeout_seconds: float = Field(
        60.0, gt=0, le=600, description="Longest wait for one answer to passages."
    )
    tries: int = Field(
        3, ge=1, le=10, description="Most tries of a request, where another one can help."
    )
    dollars_per_million_tokens: float | None = Field(
        None,
        ge=0,
        le=1_000_000,
        description="What it costs in US dollars, for estimates of what another index would; "
        "unset = not known.",
    )
    probe_seconds: float = Field(
        300.0,
        gt=0,
        description="How often texts with known vectors go along, to notice a changed model.",
    )


class EncoderSettings(Section):
    """One encoder that collections can name."""

    name: str = Field(
        MINILM, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$", description="Name of the encoder."
    )
    kind: EncoderKind = Field(
        EncoderKind.EXACT,
        description="exact = local weights; fast = local weights in int8; openai = `endpoint`.",
    )
    model: str = Field(
        MINILM,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$",
        description="Local model: its files are ragmesh/models/<model> in the user's cache.",
    )
    path: Path | None = Field(None, description="Folder of its files, if they are elsewhere.")
    threads: int | None = Field(
        None, ge=1, le=256, description="Threads of one call; by default the usable cores."
    )
    languages: tuple[str, ...] = Field(
        (),
        description="ISO 639-1 codes of what an `endpoint` was made for; empty = any language.",
    )
    endpoint: EndpointSettings | None = Field(None)

    @model_validator(mode="after")
    def _refuse_contradictions(self) -> Self:
        remote = self.kind is EncoderKind.OPENAI
        if remote is not (self.endpoint is not None):
            raise ValueError("an encoder has an endpoint exactly when its kind is openai")
        if remote and (self.path is not None or self.threads is not None):
            raise ValueError("path and threads are of local encoders, this one is an endpoint")
        if self.languages and not remote:
            raise ValueError("the languages of a local encoder are told by its files")
        return self

    @property
    def folder(self) -> Path:
        """The folder of a local encoder's files, wherever that is."""
        return self.path or default_model_folder(self.model, kind=self.kind)


class EmbeddingSettings(Section):
    """Settings of the embedding service."""

    encoders: tuple[EncoderSettings, ...] = Field(
        (EncoderSettings(),),
        min_length=1,
        description="Encoders that collections can name; the first is the default.",
    )
    batch_tokens: int = Field(
        _LIMITS.batch_tokens,
        ge=256,
        le=65_536,
        description="Most tokens, padding counted, of one bulk call.",
    )
    query_queue_texts: int = Field(
        _LIMITS.query_queue_texts,
        ge=_LIMITS.query_texts,
        description="Most texts waiting in the query lane; more are refused.",
    )
    bulk_queue_texts: int = Field(
        _LIMITS.bulk_queue_texts,
        ge=_LIMITS.bulk_texts,
        description="Most texts waiting in the bulk lane; more are refused.",
    )
    text_characters: int = Field(
        _LIMITS.text_characters,
        ge=1_000,
        le=_LIMITS.request_characters,
        description="Most characters of one text.",
    )
    calm_seconds: float = Field(
        _LIMITS.calm_seconds,
        ge=0,
        description="Bulk calls hold one passage until no query was seen for this many seconds.",
    )

    @model_validator(mode="after")
    def _refuse_equal_names(self) -> Self:
        names = [encoder.name for encoder in self.encoders]
        if len(set(names)) < len(names):
            raise ValueError("two encoders have the same name")
        return self

    @property
    def limits(self) -> EmbeddingLimits:
        """The service's limits as these settings make them."""
        return EmbeddingLimits(
            batch_tokens=self.batch_tokens,
            query_queue_texts=self.query_queue_texts,
            bulk_queue_texts=self.bulk_queue_texts,
            text_characters=self.text_characters,
            calm_seconds=self.calm_seconds,
        )
