"""Loads what a library opens a socket for while it is imported: tests may not."""

from __future__ import annotations

import ragmesh.indexing.parser.markup  # noqa: F401
