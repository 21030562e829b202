"""Reads values.yaml with its comments: what each value is, as one tree.

The comment directly above a key says what the value is for, behind ` -- ` or not; a whole object
needs none. Some lines of it speak to this program:

    # @schema type: integer; minimum: 0    what the default cannot tell, as JSON schema has it;
    # @schema type: resources              a type may be one of shapes.yaml,
    # @schema items: string                and so may be that of the items of a list
    # @schema ref: workload                the object takes the values of that one, too
    ##@ Title                              what follows is a part of its own in README.md
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from tools.generate_protos import ToolError

_PART = re.compile(r"##@ (?P<title>.+)")


@dataclass(frozen=True, slots=True)
class Value:
    """One key of values.yaml."""

    path: tuple[str, ...]
    default: Any
    about: str
    schema: Mapping[str, Any] = field(default_factory=dict)
    like: str = ""
    """The top-level object whose values this one takes as well."""
    part: str = ""
    """Title of the part of README.md that begins here."""
    inner: tuple[Value, ...] = ()

    @property
    def name(self) -> str:
        """As `helm --set` takes it."""
        return ".".join(self.path)

    @property
    def is_closed(self) -> bool:
        """Whether it is an object whose keys are those that are written here."""
        return bool(self.inner or self.like)

    def walk(self) -> Iterator[Value]:
        """It and everything in it, in the order of the file."""
        yield self
        for one in self.inner:
            yield from one.walk()


def read_values(path: Path) -> tuple[Value, ...]:
    """The values of a chart; ToolError names every key that is not explained."""
    text = path.read_text(encoding="utf-8")
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if not isinstance(root, yaml.MappingNode):
        raise ToolError(f"{path} holds no mapping")
    found = _read(root, (), text.splitlines())
    tops = {value.path[-1]: value for value in found}
    found = tuple(_with_inherited_comments(value, tops) for value in found)
    faults = [fault for top in found for value in top.walk() for fault in _faults(value)]
    if faults:
        raise ToolError(f"{path}:\n" + "\n".join(f"  {fault}" for fault in faults))
    return found


def _read(
    node: yaml.MappingNode, above: tuple[str, ...], lines: Sequence[str]
) -> tuple[Value, ...]:
    found = []
    for key, value in node.value:
        path = (*above, str(key.value))
        comment = _comment_above(key.start_mark.line, key.start_mark.column, lines)
        about, schema, part = _understood(comment, ".".join(path))
        like = schema.pop("ref", "")
        is_object = isinstance(value, yaml.MappingNode) and value.value and not schema
        found.append(
            Value(
                path=path,
                default=yaml.constructor.SafeConstructor().construct_document(value),
                about=about,
                schema=schema,
                like=like,
                part=part,
                inner=_read(value, path, lines) if is_object else (),
            )
        )
    return tuple(found)


def _comment_above(line: int, column: int, lines: Sequence[str]) -> list[str]:
    """The comment lines that end directly above, of the same depth."""
    found: list[str] = []
    start = " " * column + "#"
    while line > 0 and lines[line - 1].startswith(start):
        line -= 1
        found.insert(0, lines[line].strip())
    # A part's title may stand a line apart.
    if line > 1 and not lines[line - 1].strip() and _PART.fullmatch(lines[line - 2].strip()):
        found.insert(0, lines[line - 2].strip())
    return found


def _understood(comment: Sequence[str], name: str) -> tuple[str, dict[str, Any], str]:
    """What a person reads, what this program reads, and the title of a part."""
    about: list[str] = []
    schema: dict[str, Any] = {}
    part = ""
    for line in comment:
        title = _PART.fullmatch(line)
        text = line.lstrip("#").strip()
        if title:
            part = title["title"]
        elif text.startswith("@schema "):
            for rule in text.removeprefix("@schema ").split("; "):
                schema |= yaml.safe_load(rule)
        elif text.startswith("@"):
            raise ToolError(f"{name}: {text.split()[0]} means nothing here")
        else:
            about.append(text.removeprefix("-- "))
    return " ".join(" ".join(about).split()), schema, part


def _with_inherited_comments(value: Value, tops: Mapping[str, Value]) -> Value:
    """What takes the values of another says of them what that one says."""
    if value.like not in tops:
        return value
    said = {one.path[-1]: one.about for one in tops[value.like].inner}
    inner = (replace(one, about=one.about or said.get(one.path[-1], "")) for one in value.inner)
    return replace(value, inner=tuple(inner))


def _faults(value: Value) -> Iterator[str]:
    if not (value.about or value.inner):
        yield f"{value.name}: a comment above it must say what it is for"
    untold = value.default is None or isinstance(value.default, (dict, list))
    if untold and not (value.schema or value.is_closed):
        yield f"{value.name}: its default does not tell its type: add a line `# @schema …`"
