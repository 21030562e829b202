"""What a file says about itself, kept apart from the metadata that people give a document."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

MAX_PROPERTY_CHARACTERS = 500
MAX_IMAGE_NAMES = 100


@dataclass(frozen=True, slots=True)
class FileProperties:
    """What reading a revision found out beside its text; empty where the file does not say."""

    author: str = ""
    created: str = ""
    """ISO 8601, as exact as the file says: a year, a day, or a moment with its offset."""
    modified: str = ""
    language: str = ""
    """A language tag such as `de` or `pt-BR`: declared by the file, else shown by its words."""
    images: int = 0
    """Pictures in the file; their content is not read."""
    image_names: tuple[str, ...] = ()
    """Names or descriptions of the first of them."""

    def __post_init__(self) -> None:
        texts = (self.author, self.created, self.modified, self.language, *self.image_names)
        if max(map(len, texts)) > MAX_PROPERTY_CHARACTERS:
            raise ValueError("a property of a file is too long")
        if self.images < 0 or len(self.image_names) > min(self.images, MAX_IMAGE_NAMES):
            raise ValueError("more images are named than counted, or than may be")

    def to_json(self) -> str:
        """The stored form; what the file does not say is left out."""
        return json.dumps(self.fields(), ensure_ascii=False, separators=(",", ":"))

    def fields(self) -> dict[str, Any]:
        """What the file says, by name."""
        fields: dict[str, Any] = {
            "author": self.author,
            "created": self.created,
            "modified": self.modified,
            "language": self.language,
            "images": self.images,
            "image_names": list(self.image_names),
        }
        return {name: value for name, value in fields.items() if value}

    @classmethod
    def of(cls, fields: Any) -> FileProperties:
        """The properties of such fields; ValueError when they are none."""
        if not isinstance(fields, dict):
            raise ValueError("not the properties of a file")  # noqa: TRY004
        texts = {name: fields.get(name, "") for name in _TEXTS}
        images, names = fields.get("images", 0), fields.get("image_names", [])
        if not all(isinstance(text, str) for text in texts.values()) or not isinstance(images, int):
            raise ValueError("not the properties of a file")
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ValueError("not the names of images")
        return cls(**texts, images=images, image_names=tuple(names))

    @classmethod
    def from_json(cls, stored: str) -> FileProperties:
        """The properties of a stored form; ValueError when they are none."""
        return cls.of(json.loads(stored))


NO_PROPERTIES = FileProperties()
_TEXTS = ("author", "created", "modified", "language")
