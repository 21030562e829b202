"""Four sources make one Settings object; whatever none of them may say is refused, all at once.

Flags go before RAGMESH_ variables, these before the file, the file before the defaults. The
tree is merged here and validated once, with the origin of every value at hand, because a person
who mistyped a variable needs its name. (pydantic-settings ignores unknown top-level variables
silently and cannot say where a value came from.)
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from ragmesh.chassis.settings.reference import describe, variable_of
from ragmesh.chassis.settings.section import Section
from ragmesh.core.errors import (
    InvalidSettingsError,
    PreconditionError,
    UnknownSettingError,
    Violation,
)

PREFIX = "RAGMESH_"
CLIENT_VARIABLES = frozenset({"RAGMESH_SERVER", "RAGMESH_API_KEY", "RAGMESH_CA_FILE"})
"""Read by the command line as a client; a mesh may be started from the same shell."""
_SERVICE_LINK = re.compile(
    r"RAGMESH_(?!\w*__)(?:\w+?_)?"
    r"(SERVICE_(HOST|PORT)(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?|(?P<address>PORT))"
)
Place = tuple[str | int, ...]
SettingsT = TypeVar("SettingsT", bound=Section)


@dataclass(slots=True)
class _Draft:
    """The merged tree so far, which source said what, and what can be said of none of it."""

    tree: dict[str, Any] = field(default_factory=dict)
    origins: dict[Place, str] = field(default_factory=dict)
    unknown: list[Violation] = field(default_factory=list)
    invalid: list[Violation] = field(default_factory=list)

    def put(self, place: Sequence[str], value: Any, origin: str) -> None:
        """Set one value; mappings are merged, everything else is replaced."""
        if isinstance(value, Mapping):
            for name, part in value.items():
                self.put((*place, str(name)), part, f"{origin}.{name}")
            if value:
                return
        branch = self.tree
        for name in place[:-1]:
            inner = branch.setdefault(name, {})
            if not isinstance(inner, dict):
                sentence = f"contradicts {origin}, which sets a part of it"
                self.invalid.append(Violation(self.origin(tuple(place[:-1])), sentence))
                return
            branch = inner
        branch[place[-1]] = value
        self.origins[tuple(place)] = origin

    def below(self, place: Place) -> list[Place]:
        """Every place at or below this one of which a source spoke."""
        spoken = [known for known in self.origins if known[: len(place)] == place]
        return spoken or [place]

    def origin(self, place: Place) -> str:
        """The source that the value at the place came from, or its dotted name."""
        for length in range(len(place), 0, -1):
            if place[:length] in self.origins:
                return self.origins[place[:length]] + _dotted(place[length:], leading=True)
        return _dotted(place) or "settings"


def load(
    settings: type[SettingsT],
    *,
    config_file: Path | None,
    environ: Mapping[str, str],
    overrides: Mapping[str, object],
) -> SettingsT:
    """The settings, or INVALID_SETTINGS / UNKNOWN_SETTING naming every variable at fault.

    `overrides` come from flags, by dotted name; a value of None is a flag that was not given.
    """
    draft = _Draft()
    if config_file is not None:
        for name, value in _read(config_file).items():
            draft.put((str(name),), value, f"{config_file.name}: {name}")
    for variable, text in _ours(environ):
        place = tuple(variable.removeprefix(PREFIX).lower().split("__"))
        if _is_service_link(variable, text, settings):
            draft.unknown.append(Violation(variable, _SERVICE_LINK_SENTENCE))
            continue
        try:
            draft.put(place, _from_text(settings, place, text), variable)
        except ValueError:
            draft.invalid.append(Violation(variable, "must be JSON: it is not one plain value"))
    for name, value in overrides.items():
        if value is not None:
            draft.put(name.split("."), value, name)
    return _validate(settings, draft)


_SERVICE_LINK_SENTENCE = (
    "was put there by Kubernetes for a Service of that name; "
    "set enableServiceLinks: false in the pod"
)


def _validate(settings: type[SettingsT], draft: _Draft) -> SettingsT:
    loaded: SettingsT | None = None
    try:
        loaded = settings.model_validate(draft.tree)
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_input=False, include_context=False):
            if detail["type"] == "extra_forbidden":
                draft.unknown += [
                    _unknown(settings, place, draft.origin(place))
                    for place in draft.below(detail["loc"])
                ]
            else:
                sentence = detail["msg"].removeprefix("Value error, ")
                draft.invalid.append(Violation(draft.origin(detail["loc"]), sentence))
    faults = [*draft.unknown, *draft.invalid]
    if loaded is not None and not faults:
        return loaded
    refusal: type[PreconditionError] = (
        InvalidSettingsError if draft.invalid else UnknownSettingError
    )
    # The validation error is not chained: its inputs may be secrets.
    raise refusal("; ".join(f"{f.field}: {f.message}" for f in faults), violations=faults) from None


def _unknown(settings: type[Section], place: Place, origin: str) -> Violation:
    names = [row.name for row in describe(settings)]
    close = get_close_matches(_dotted(place), names, n=1)
    if not close:
        return Violation(origin, "is not a setting")
    is_variable = origin.startswith(PREFIX) and "[" not in close[0]
    nearest = variable_of(close[0]) if is_variable else close[0]
    return Violation(origin, f"is not a setting; the nearest one is {nearest}")


def _ours(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for variable in sorted(environ):
        if variable.startswith(PREFIX) and variable not in CLIENT_VARIABLES:
            yield variable, environ[variable]


def _is_service_link(variable: str, text: str, settings: type[Section]) -> bool:
    if variable.removeprefix(PREFIX).lower() in settings.model_fields:
        return False
    match = _SERVICE_LINK.fullmatch(variable)
    return match is not None and (match["address"] is None or "://" in text)


def _from_text(settings: type[Section], place: Sequence[str], text: str) -> Any:
    """A variable's value: the text itself for plain fields, JSON for lists, objects, sections."""
    annotation: Any = settings
    for name in place:
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return text
        known = annotation.model_fields.get(name)
        if known is None:
            return text  # refused later, with its name
        annotation = known.annotation
    return json.loads(text) if _is_composite(annotation) else text


def _is_composite(annotation: Any) -> bool:
    origin = get_origin(annotation)
    if origin in (list, tuple, dict, set, frozenset):
        return True
    if isinstance(annotation, type):
        return issubclass(annotation, BaseModel)
    return any(_is_composite(argument) for argument in get_args(annotation))


class _StrictLoader(yaml.SafeLoader):
    """YAML without the surprise that a repeated key silently wins."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """The mapping, or a YAML error when a key stands in it twice."""
        seen: set[object] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key} is set twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


def _read(path: Path) -> dict[Any, Any]:
    try:
        with path.open("rb") as file:
            tree = yaml.load(file, Loader=_StrictLoader)  # noqa: S506 - a SafeLoader
    except OSError as error:
        raise _file_refusal(path, f"cannot be read: {error.strerror}") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = "" if mark is None else f" (line {mark.line + 1})"
        problem = getattr(error, "problem", None) or "unreadable"
        raise _file_refusal(path, f"is not YAML: {problem}{line}") from None
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise _file_refusal(path, "must hold sections by name")
    return tree


def _file_refusal(path: Path, message: str) -> InvalidSettingsError:
    return InvalidSettingsError(f"{path}: {message}", violations=[Violation(str(path), message)])


def _dotted(place: Place, *, leading: bool = False) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    return text if leading else text.removeprefix(".")
