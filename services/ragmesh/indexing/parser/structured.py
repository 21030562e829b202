"""JSON and JSON lines as readable lines: every value under the names that lead to it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from ragmesh.core.errors import HostileFileError
from ragmesh.core.reading import Extraction
from ragmesh.indexing.parser.builder import TextBuilder, normalised, one_line

JSON_TYPE = "application/json"
LINES_TYPE = "application/jsonl"

_MAX_NESTING = 100
_LONG_RECORD = 2_000
"""Longer records get a line a value."""


class Fields(list[tuple[str, Any]]):
    """The members of a JSON object in order; a name that comes twice is kept twice."""


def read_structured(text: str) -> Extraction | None:
    """The values of a text that is JSON, or JSON on every line; None when it is neither."""
    opening = text.lstrip("\ufeff \t\r\n")[:1]
    if opening not in {"{", "["}:
        return None
    try:
        value = _value(text)
        content_type = JSON_TYPE
    except ValueError:
        value = _records(text)
        content_type = LINES_TYPE
    if value is None:
        return None
    builder = TextBuilder()
    _add(builder, value)
    return builder.extraction(title=_title(value), content_type=content_type)


def _value(text: str) -> Any:
    """The value with numbers as they are written."""
    try:
        return json.loads(
            text.lstrip("\ufeff"), object_pairs_hook=Fields, parse_int=str, parse_float=str
        )
    except RecursionError as error:
        raise HostileFileError("the JSON is nested far too deep") from error


def _records(text: str) -> list[Any] | None:
    """One value a line; None when a line is none, or there is only one."""
    records = []
    for line in text.splitlines():
        if not line.strip():
            continue
        try:
            record = _value(line)
        except ValueError:
            return None
        if not isinstance(record, list):
            return None
        records.append(record)
    return records if len(records) > 1 else None


def _add(builder: TextBuilder, value: Any) -> None:
    """Add a line a record of a list, else a line a value; running text gets its own paragraph."""
    records = value if isinstance(value, list) and not isinstance(value, Fields) else [value]
    lines: list[str] = []
    for record in records:
        leaves = list(_leaves(record, "", 0))
        whole = "; ".join(_line(name, leaf) for name, leaf in leaves)
        if len(records) > 1 and len(whole) <= _LONG_RECORD and not _has_prose(leaves):
            lines.append(whole)
            continue
        builder.lines(lines)
        lines = []
        _add_leaves(builder, leaves)
    builder.lines(lines)


def _add_leaves(builder: TextBuilder, leaves: list[tuple[str, str]]) -> None:
    lines: list[str] = []
    for name, leaf in leaves:
        if not _is_prose(leaf):
            lines.append(_line(name, leaf))
            continue
        builder.lines([*lines, f"{name}:" if name else ""])
        lines = []
        builder.paragraph(leaf)
    builder.lines(lines)


def _leaves(value: Any, path: str, depth: int) -> Iterator[tuple[str, str]]:
    """Every value that is no container, with the names that lead to it."""
    if depth > _MAX_NESTING:
        raise HostileFileError("the JSON is nested far too deep")
    if isinstance(value, Fields):
        for name, member in value:
            yield from _leaves(member, f"{path}.{one_line(name)}".lstrip("."), depth + 1)
    elif isinstance(value, list):
        plain = [_shown(element) for element in value if not isinstance(element, list)]
        if len(plain) == len(value):
            if value:
                yield path, ", ".join(plain)
            return
        for position, element in enumerate(value, start=1):
            name = f"{path} {position}".strip()
            leaves = list(_leaves(element, "", depth + 1))
            if not _has_prose(leaves) and sum(len(leaf) for _, leaf in leaves) <= _LONG_RECORD:
                yield name, "; ".join(_line(*leaf) for leaf in leaves)
            else:
                yield from ((f"{name}.{below}".rstrip("."), leaf) for below, leaf in leaves)
    elif value is not None and value != "":
        yield path, _shown(value)


def _shown(value: Any) -> str:
    if value is True or value is False:
        return str(value).lower()
    return "" if value is None else normalised(str(value)).strip()


def _line(name: str, leaf: str) -> str:
    return one_line(f"{name}: {leaf}" if name else leaf)


def _is_prose(leaf: str) -> bool:
    return "\n" in leaf


def _has_prose(leaves: list[tuple[str, str]]) -> bool:
    return any(_is_prose(leaf) for _, leaf in leaves)


def _title(value: Any) -> str:
    if not isinstance(value, Fields):
        return ""
    named = (member for name, member in value if name.lower() == "title")
    title = next(named, "")
    return one_line(title)[:200] if isinstance(title, str) else ""
