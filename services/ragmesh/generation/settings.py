"""Settings of the generation service."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ragmesh.chassis.settings import Section


class GenerationSettings(Section):
    """Settings of the generation service."""

    endpoints: tuple[Literal["extractive"], ...] = Field(
        ("extractive",),
        min_length=1,
        max_length=1,
        description="Engines in the order of preference; extractive quotes the best sentences "
        "and needs neither model nor key.",
    )
    min_confidence: float = Field(
        0.2,
        ge=0.0,
        le=1.0,
        description="Answers of a lower confidence (0 to 1) are NO_CONTEXT instead; with the "
        "default about 3 of 100 answerable English questions are refused.",
    )
