"""An image that holds what compiles or installs, or a file that changes users, is refused.

Every layer counts: what a later one takes away again is still pulled, and still there to be read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from tarfile import TarInfo

from tools.generate_protos import ToolError
from tools.image.archive import Archive

_COMPILER = re.compile(
    r"(?:.*/)?s?bin/(?:.+-)?(?:gcc|g\+\+|cc|c\+\+|cpp|c89|c99|clang|clang\+\+|tcc|rustc|go|as"
    r"|ld(?:\.bfd|\.gold|\.lld)?)(?:-[\d.]+)?"
    r"|(?:.*/)?(?:cc1|cc1plus|collect2)"
)
_INSTALLER = re.compile(
    r"(?:.*/)?s?bin/(?:pip[\d.]*|apt|apt-get|dpkg|dpkg-deb|perl[\d.]*)"
    r"|(?:.*/)?(?:ensurepip|(?:site|dist)-packages/pip)/.*"
    r"|(?:.*/)?pip-[^/]+\.whl"
)
_CHANGES_USERS = 0o6000
_RIGHTS = "SCHILY.xattr.security.capability"
"""Where an archive keeps the rights that a file gives to whoever runs it."""
_TOLD = 10


def refuse_unwanted(archive: Archive, reference: str) -> None:
    """ToolError, with the names of files that an image of ragmesh never holds."""
    found = sorted({fault for entry in archive.entries() for fault in _faults(entry)})
    if found:
        more = f"\n… and {len(found) - _TOLD} more" if len(found) > _TOLD else ""
        raise ToolError(
            f"{reference} holds what no image of ragmesh may: a base image without it, or"
            " services/Dockerfile, has to leave out\n" + "\n".join(found[:_TOLD]) + more
        )


def _faults(entry: TarInfo) -> Iterator[str]:
    if entry.isdir():
        return
    path = entry.name.removeprefix("./")
    if _COMPILER.fullmatch(path):
        yield f"{path}: it compiles"
    if _INSTALLER.fullmatch(path):
        yield f"{path}: it installs"
    if entry.mode & _CHANGES_USERS or _RIGHTS in entry.pax_headers:
        yield f"{path}: it gives whoever runs it rights of others"
