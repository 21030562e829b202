"""The shape of every group of settings: frozen, closed and described."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, SecretStr, model_validator

FILE_SUFFIX = "_file"


class Section(BaseModel):
    """A frozen group of settings that refuses names it does not know.

    Every field needs `Field(default, description=…)` and carries its unit in its name. Beside a
    secret `name: SecretStr | None`, a field `name_file: Path | None` lets the secret be read from
    a file, as mounted Secrets are.
    """

    # Inputs stay out of errors: a rejected value may be a secret.
    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, validate_default=True
    )

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        for name, field in cls.model_fields.items():
            if not field.description and section_in(field.annotation) is None:
                raise TypeError(f"{cls.__name__}.{name} needs a description")

    @model_validator(mode="before")
    @classmethod
    def _read_secret_files(cls, values: Any) -> Any:
        if not isinstance(values, Mapping):
            return values
        found = dict(values)
        for name in cls.model_fields:
            path = found.get(name + FILE_SUFFIX)
            if path is None or not _is_secret(cls, name):
                continue
            if found.get(name) is not None:
                raise ValueError(f"set {name} or {name}{FILE_SUFFIX}, not both")
            found[name] = _read_secret(Path(path), name)
        return found


def section_in(annotation: Any) -> type[Section] | None:
    """The section that a field is, or is a list of; None for a plain setting."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    for argument in get_args(annotation):
        found = section_in(argument)
        if found is not None:
            return found
    return None


def _is_secret(section: type[Section], name: str) -> bool:
    annotation = section.model_fields[name].annotation
    return annotation is SecretStr or SecretStr in get_args(annotation)


def _read_secret(path: Path, name: str) -> str:
    try:
        secret = path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"the file of {name}{FILE_SUFFIX} cannot be read") from error
    if not secret:
        raise ValueError(f"the file of {name}{FILE_SUFFIX} is empty")
    return secret
