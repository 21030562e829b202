"""A filter as the command line takes it."""

from __future__ import annotations

import json

from ragmesh.core.errors import InvalidFilterError
from ragmesh.core.filters import Filter, parse_filter


def filter_of(text: str | None) -> Filter | None:
    """The filter that a JSON text describes, or InvalidFilterError."""
    if text is None:
        return None
    try:
        tree = json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidFilterError("the filter is not JSON") from None
    return parse_filter(tree)
