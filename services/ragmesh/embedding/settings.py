"""Settings of the embedding service."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from ragmesh.chassis.settings import Section
from ragmesh.chassis.settings.folders import cache_folder
from ragmesh.embedding.limits import EmbeddingLimits

MINILM = "all-MiniLM-L6-v2"
_LIMITS = EmbeddingLimits()


def default_model_folder(name: str, environ: Mapping[str, str] | None = None) -> Path:
    """Where `make model` puts an encoder's files and where they are looked for."""
    return cache_folder(environ) / "models" / name


class EncoderSettings(Section):
    """One encoder that collections can name."""

    name: str = Field(
        MINILM, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$", description="Name of the encoder."
    )
    kind: Literal["onnx"] = Field(
        "onnx", description="How it is run: onnx = local weights, in this process."
    )
    path: Path | None = Field(
        None,
        description="Folder of its files; by default ragmesh/models/<name> in the user's cache.",
    )
    threads: int | None = Field(
        None, ge=1, le=256, description="Threads of one call; by default the usable cores."
    )

    @property
    def folder(self) -> Path:
        """The folder of its files, wherever that is."""
        return self.path or default_model_folder(self.name)


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
