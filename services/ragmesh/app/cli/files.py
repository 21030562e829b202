"""Finds the files that a person named: files, folders with all that is in them, and patterns."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from glob import iglob
from pathlib import Path, PurePath

from ragmesh.core.callers import Access
from ragmesh.core.documents import Upload
from ragmesh.core.errors import InvalidError, PathUnreadableError, RagmeshError
from ragmesh.core.metadata import NO_METADATA, Metadata
from ragmesh.core.names import document_id_of
from ragmesh.sdk.arguments import read_file

_MAGIC = re.compile(r"[*?[]")


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file and the id that its document gets."""

    path: Path
    document_id: str


@dataclass(frozen=True, slots=True)
class Attributes:
    """What every file of a command gets besides its content."""

    metadata: Metadata = NO_METADATA
    access: Access | None = None


NO_ATTRIBUTES = Attributes()


@dataclass(frozen=True, slots=True)
class Refused:
    """A path that nothing can be made of, and why."""

    path: Path
    error: RagmeshError


def find_files(arguments: Sequence[str]) -> Iterator[FoundFile | Refused]:
    """Every file once, folder by folder, while the folders are read.

    An id is made from the path below the folder that was named, or below the part of a pattern
    that holds no wildcard. Hidden files and folders count only when they are named themselves.
    """
    owners: dict[str, Path] = {}
    for argument in arguments:
        for found in _found_in(argument):
            if isinstance(found, Refused) or len(arguments) == 1:
                yield found
                continue
            owner = owners.setdefault(found.document_id, found.path)
            if owner is found.path:
                yield found
            elif os.path.realpath(owner) != os.path.realpath(found.path):
                message = f"{owner} of this command has the same document id {found.document_id}"
                yield Refused(found.path, InvalidError.of("document_id", message))


def read_upload(found: FoundFile, attributes: Attributes = NO_ATTRIBUTES) -> Upload | Refused:
    """The file as an upload, or why it cannot be one."""
    try:
        content = read_file(found.path)
    except RagmeshError as error:
        return Refused(found.path, error)
    name = found.path.name.encode("utf-8", "replace").decode()
    return Upload(
        content=content,
        document_id=found.document_id,
        filename=name,
        metadata=attributes.metadata,
        access=attributes.access,
    )


def _found_in(argument: str) -> Iterator[FoundFile | Refused]:
    path = Path(argument)
    try:
        if path.is_dir():
            yield from _walk(path)
        elif path.is_file():
            yield FoundFile(path, document_id_of(PurePath(path.name)))
        elif not path.exists() and _MAGIC.search(argument):
            yield from _matches(argument)
        else:
            what = "is not a file" if path.exists() else "does not exist"
            yield Refused(path, PathUnreadableError(f"the path {what}"))
    except OSError as error:
        yield _unreadable(path, error)


def _walk(root: Path) -> Iterator[FoundFile | Refused]:
    """Every visible file below the folder; links to folders, which may lead back, are left out."""
    folders = [root]
    while folders:
        folder = folders.pop()
        try:
            with os.scandir(folder) as scanned:
                entries = sorted(scanned, key=lambda entry: entry.name)
        except OSError as error:
            yield _unreadable(folder, error)
            continue
        inner = []
        for entry in entries:
            if entry.name.startswith("."):
                continue
            path = Path(entry.path)
            if entry.is_dir(follow_symlinks=False):
                inner.append(path)
            elif entry.is_file():
                yield FoundFile(path, document_id_of(path.relative_to(root)))
            elif entry.is_symlink() and not path.exists():
                yield Refused(path, PathUnreadableError("the link leads nowhere"))
        folders += reversed(inner)


def _matches(pattern: str) -> Iterator[FoundFile | Refused]:
    parts = PurePath(pattern).parts
    fixed = next(number for number, part in enumerate(parts) if _MAGIC.search(part))
    root = PurePath(*parts[:fixed])
    matched = False
    # pathlib's patterns would find hidden files as well.
    for match in sorted(iglob(pattern, recursive=True)):  # noqa: PTH207
        path = Path(match)
        if path.is_file():
            matched = True
            yield FoundFile(path, document_id_of(path.relative_to(root)))
    if not matched:
        yield Refused(Path(pattern), PathUnreadableError("no file matches the pattern"))


def _unreadable(path: Path, error: OSError) -> Refused:
    return Refused(path, PathUnreadableError(f"cannot be read: {error.strerror or error}"))
