"""What files say about themselves, brought to one form."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from lxml import etree

from ragmesh.core.properties import MAX_IMAGE_NAMES, MAX_PROPERTY_CHARACTERS, FileProperties
from ragmesh.indexing.parser.archives import Package
from ragmesh.indexing.parser.builder import one_line

_MOMENT = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)"
    r"(?:[T ](\d\d:\d\d(?::\d\d)?)(?:\.\d+)?[ ]?(Z|[+-]\d\d:?\d\d)?)?)?)?"
)
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_WRITTEN_DATE = re.compile(rf"([0-3]?\d)[- ]({'|'.join(_MONTHS)})[a-z]*\.?,?[- ](\d{{4}})\b", re.I)
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{1,8})*")
_FIELD = re.compile(r"^([A-Za-z][A-Za-z-]{0,30})[ \t]*[:=][ \t]*(\S.*)$", re.M)
_CORE = "core-properties"


def file_properties(
    *,
    author: str = "",
    created: str = "",
    modified: str = "",
    language: str = "",
    images: Sequence[str] = (),
) -> FileProperties:
    """The properties with their texts on one line, dates in ISO 8601, and within bounds.

    `images` has a name for every picture, empty for one without.
    """
    names = [name for name in (_short(image) for image in images) if name]
    return FileProperties(
        author=_short(author),
        created=iso_date(created),
        modified=iso_date(modified),
        language=language_tag(language),
        images=len(images),
        image_names=tuple(names[:MAX_IMAGE_NAMES]),
    )


def iso_date(text: str) -> str:
    """The date or moment that a text begins with, in ISO 8601; empty when it is none."""
    written = _WRITTEN_DATE.match(text.strip())
    if written is not None:
        day, month, year = written.groups()
        return f"{year}-{_MONTHS.index(month.lower()) + 1:02}-{int(day):02}"
    found = _MOMENT.match(text.strip())
    if found is None:
        return ""
    year, month, day, time, zone = found.groups()
    if not 1 <= int(month or 1) <= 12 or not 1 <= int(day or 1) <= 31:
        return year
    date = "-".join(part for part in (year, month, day) if part)
    if not time:
        return date
    zone = zone or ""
    return f"{date}T{time}{zone[:3]}:{zone[-2:]}" if len(zone) > 1 else f"{date}T{time}{zone}"


def language_tag(text: str) -> str:
    """The text as a language tag; empty when it is none."""
    tag = text.strip()
    return tag.replace("_", "-") if _LANGUAGE.fullmatch(tag) and len(tag) <= 35 else ""


def properties_of_fields(lines: str) -> FileProperties:
    """What `name: value` lines at the head of a text say; a name's first value counts."""
    said: dict[str, str] = {}
    for name, value in _FIELD.findall(lines):
        said.setdefault(name.lower(), value.strip().strip("\"'"))
    return file_properties(
        author=first_said(said, "author", "authors", "creator"),
        created=first_said(said, "created", "date"),
        modified=first_said(said, "modified", "updated", "last-modified", "lastmod"),
        language=first_said(said, "language", "lang"),
    )


def first_said(said: Mapping[str, str], *names: str) -> str:
    """The text under the first of these names that has one."""
    return next((said[name] for name in names if said.get(name)), "")


def office_properties(
    package: Package, images: Sequence[str], *, language: str = ""
) -> tuple[str, FileProperties]:
    """Title and properties of an Office file, from its core properties."""
    said: dict[str, str] = {}
    for name in package.related("", _CORE)[:1]:
        said = said_by(package.xml(name))
    return said.get("title", ""), file_properties(
        author=said.get("creator", ""),
        created=said.get("created", ""),
        modified=said.get("modified", ""),
        language=said.get("language", "") or language,
        images=images,
    )


def said_by(root: etree._Element) -> dict[str, str]:
    """The texts of the elements of a description, by their local names; the first one counts."""
    said: dict[str, str] = {}
    for element in root.iter(etree.Element):
        text = (element.text or "").strip()
        if text:
            said.setdefault(etree.QName(element).localname, text)
    return said


def _short(text: str) -> str:
    return one_line(text[: 4 * MAX_PROPERTY_CHARACTERS])[:MAX_PROPERTY_CHARACTERS].rstrip()
