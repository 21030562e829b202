"""What a person or a program reads: clean lines for the one, JSON for the other."""

from __future__ import annotations

import json
import re
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any

import click

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_HIDDEN = frozenset({"document_uid", "collection_uid", "uid", "tenant_uid", "generation"})
"""Fields that never leave the mesh, and are empty in what a client reads."""
_OPTIONAL = frozenset({"page", "error", "scores", "count", "warnings"})
"""Fields that are left out when there is nothing to say."""
_STAGES = ("route", "cache_lookup", "rewrite", "retrieve", "generate", "cache_store", "total")


def clean(text: str) -> str:
    """The text without what would steer a terminal or cannot be written."""
    visible = _CONTROLS.sub(lambda match: match[0].encode("unicode_escape").decode(), text)
    return visible.encode("utf-8", "replace").decode()


def one_line(text: str) -> str:
    """The text with every run of white space as one space, and clean."""
    return clean(" ".join(text.split()))


def print_json(value: object) -> None:
    """One value as one line of JSON."""
    click.echo(clean(json.dumps(plain(value), ensure_ascii=False)))


def print_dim(text: str) -> None:
    """A line that stands back behind the others at a terminal."""
    click.secho(text, dim=True)


def plain(value: Any) -> Any:
    """A value of core as JSON, with the field names of the REST interface."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if is_dataclass(value):
        return {
            field.name: _field(field.name, getattr(value, field.name))
            for field in fields(value)
            if field.name not in _HIDDEN
            and not (field.name in _OPTIONAL and not getattr(value, field.name))
        }
    if isinstance(value, dict):
        return {name: plain(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    return value


def _field(name: str, value: Any) -> Any:
    if name in {"timings_ms", "counts", "details"}:
        return dict(value)
    if name == "metadata":
        return json.loads(value if isinstance(value, str) else value.canonical)
    if name == "access":
        return None if value is None else plain(value.groups)
    if name == "sortable":
        return {field.name: field.kind.value for field in value}
    return plain(value)


def timings(stages: tuple[tuple[str, float], ...]) -> str:
    """What each stage took, in the order in which a question meets them."""
    return " · ".join(f"{name} {milliseconds:.1f} ms" for name, milliseconds in _sorted(stages))


def _sorted(stages: tuple[tuple[str, float], ...]) -> list[tuple[str, float]]:
    def place(stage: tuple[str, float]) -> tuple[int, str]:
        main = stage[0].partition(".")[0]
        return (_STAGES.index(main) if main in _STAGES else len(_STAGES) - 2, stage[0])

    return sorted(stages, key=place)


def place(page: int | None, headings: tuple[str, ...]) -> str:
    """Where in its document something stands, such as `, page 2 (Weather > Wind)`."""
    on_page = f", page {page}" if page is not None else ""
    below = f" ({one_line(' > '.join(headings))})" if headings else ""
    return on_page + below
