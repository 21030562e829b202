"""Errors of the doors in developer mode."""

from __future__ import annotations

from ragmesh.core.errors.tree import (
    DeniedError,
)


class ForeignHostError(DeniedError):
    """In developer mode only a loopback Host is served."""

    reason = "FOREIGN_HOST"


class ForeignOriginError(DeniedError):
    """In developer mode a page of another origin may not call the mesh."""

    reason = "FOREIGN_ORIGIN"


class FormHeaderMissingError(DeniedError):
    """A form upload from a browser page needs the header `X-Ragmesh: 1`."""

    reason = "FORM_HEADER_MISSING"
