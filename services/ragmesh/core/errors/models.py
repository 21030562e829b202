"""Errors about collections and encoders as OpenAI's models, and about its parameters."""

from __future__ import annotations

from ragmesh.core.errors.tree import InvalidError, NotFoundError


class ModelNotFoundError(NotFoundError):
    """The model of an OpenAI-compatible request is no `ragmesh/<collection>` and no encoder."""

    reason = "MODEL_NOT_FOUND"


class UnsupportedParameterError(InvalidError):
    """An OpenAI-compatible request asks for what answers from documents do not have."""

    reason = "UNSUPPORTED_PARAMETER"
