"""Title, metadata and access of documents as the command line takes them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from ragmesh.core.callers import Access
    from ragmesh.core.documents import DocumentChange
    from ragmesh.core.metadata import Metadata

Command = TypeVar("Command", bound=Callable[..., Any])


def metadata_option(command: Command) -> Command:
    """`--metadata` as the parameter `metadata_json`."""
    return click.option(
        "--metadata",
        "metadata_json",
        metavar="JSON",
        help='Metadata as a JSON object, such as \'{"lang": "de"}\'.',
    )(command)


def access_option(command: Command) -> Command:
    """`--access` as the parameter `access_json`."""
    return click.option(
        "--access",
        "access_json",
        metavar="JSON",
        help="Groups that may see it, such as '[\"hr\"]'; '[]' for administrators only, null for "
        "the collection's default.",
    )(command)


def metadata_of(text: str | None) -> Metadata | None:
    """The metadata that a JSON text holds; None when none was given."""
    from ragmesh.core.errors import InvalidError
    from ragmesh.core.metadata import Metadata

    if text is None:
        return None
    value = _json(text, "metadata")
    if not isinstance(value, dict):
        raise InvalidError.of("metadata", "must be a JSON object")
    return Metadata.parse(value)


def access_of(text: str | None) -> Access | None:
    """The access that a JSON text names; None for the collection's default."""
    from ragmesh.core.callers import Access
    from ragmesh.core.errors import InvalidError

    value = None if text is None else _json(text, "access")
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(group, str) for group in value):
        raise InvalidError.of("access", "must be a JSON list of groups, or null")
    return Access(tuple(value))


def change_of(
    title: str | None, metadata_json: str | None, access_json: str | None
) -> DocumentChange:
    """The change that the options ask for; what was not given stays."""
    from ragmesh.core.documents import DocumentChange

    access = access_of(access_json)
    return DocumentChange(
        title=title,
        metadata=metadata_of(metadata_json),
        access=access,
        reset_access=access_json is not None and access is None,
    )


def _json(text: str, field: str) -> Any:
    from ragmesh.core.errors import InvalidError

    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidError.of(field, "must be JSON") from None
