"""What an image installs: the part of the lock that its extras need, with their hashes.

    python3 requirements.py all|EXTRA…

Runs while an image is built, before anything is installed, and reads pyproject.toml, runtime.in and
runtime.txt of the working folder. The lock says of each package who asks for it; whatever nobody
asks for who is installed is left out.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ALL = "all"
NEVER = frozenset({"huggingface-hub"})
"""Asked for by tokenizers, to download models: no process of ours does."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_VIA = re.compile(r"^    # +(?:via +)?(\S.*)$")
_FILES = ("-r ", "-c ")
"""What the lock writes before a file that asks for a package itself, or bounds it."""


@dataclass(frozen=True, slots=True)
class Locked:
    """A package of the lock."""

    name: str
    lines: tuple[str, ...]
    asked_by: frozenset[str]


def read_lock(text: str) -> tuple[Locked, ...]:
    """The packages of a lock that `make lock` wrote, in its order."""
    blocks: list[list[str]] = []
    for line in text.splitlines():
        if _NAME.match(line):
            blocks.append([])
        if blocks and line.strip():
            blocks[-1].append(line)
    return tuple(_locked(block) for block in blocks)


def _locked(block: Sequence[str]) -> Locked:
    vias = (_VIA.match(line) for line in block)
    asking = {via[1] for via in vias if via and via[1] != "via"}
    return Locked(
        name=canonical(block[0]),
        lines=tuple(line for line in block if not line.lstrip().startswith("#")),
        asked_by=frozenset(canonical(name) for name in asking if not name.startswith(_FILES)),
    )


def needed(locked: Sequence[Locked], roots: Iterable[str]) -> tuple[Locked, ...]:
    """The roots and whatever they ask for, directly or not."""
    kept = set(roots) - NEVER
    if missing := kept - {package.name for package in locked}:
        raise LookupError(f"not in the lock: {', '.join(sorted(missing))}")
    while True:
        asked = {package.name for package in locked if package.asked_by & kept} - NEVER
        if asked <= kept:
            return tuple(package for package in locked if package.name in kept)
        kept |= asked


def roots(asked: str, extras: Mapping[str, Sequence[str]], wished: Sequence[str]) -> set[str]:
    """The packages that are asked for by name, without those of extras that are not wished."""
    if unknown := set(wished) - {ALL, *extras}:
        known = ", ".join((ALL, *sorted(extras)))
        raise LookupError(f"no such extra: {', '.join(sorted(unknown))} (there are {known})")
    named = {canonical(line) for line in asked.splitlines() if _NAME.match(line)}
    if ALL in wished:
        return named
    of_extras = {extra: set(map(canonical, names)) for extra, names in extras.items()}
    unwished = set().union(*of_extras.values())
    return (named - unwished).union(*(of_extras[extra] for extra in wished))


def canonical(requirement: str) -> str:
    """The name a requirement begins with, as package indexes compare names."""
    found = _NAME.match(requirement)
    if found is None:
        raise LookupError(f"no requirement: {requirement}")
    return re.sub(r"[-_.]+", "-", found[0]).lower()


def main(wished: Sequence[str]) -> int:
    """Print the part of the lock."""
    project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))
    extras = project["tool"].get("ragmesh", {}).get("extras", {})
    locked = read_lock(Path("runtime.txt").read_text(encoding="utf-8"))
    try:
        asked = roots(Path("runtime.in").read_text(encoding="utf-8"), extras, wished)
        packages = needed(locked, asked)
    except LookupError as error:
        sys.stderr.write(f"requirements: {error}\n")
        return 1
    for package in packages:
        sys.stdout.write("\n".join(package.lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
