"""Where a user's files go when no setting names a place."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path


def cache_folder(environ: Mapping[str, str] | None = None) -> Path:
    """ragmesh's folder for what can be made again: $XDG_CACHE_HOME/ragmesh, or ~/.cache/ragmesh.

    A relative XDG_CACHE_HOME is ignored, as the XDG specification asks.
    """
    environ = os.environ if environ is None else environ
    wished = Path(environ.get("XDG_CACHE_HOME", ""))
    parent = wished if wished.is_absolute() else Path.home() / ".cache"
    return parent / "ragmesh"
