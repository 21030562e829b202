"""Sees what a parser reaches for behind the walls: it should have been loaded before.

A library that cannot import a module, or read its own files, often goes on without a word and
answers something else. What is seen here is told to the pool, and by it to the log.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

_MOST = 20


class LateLoads:
    """What was asked for since the walls stand, by name."""

    def __init__(self) -> None:
        self._installed = _installed()
        self._own = tuple(f"{root}{os.sep}" for root in {sys.prefix, sys.base_prefix})
        self._seen: set[str] = set()

    def watch(self) -> None:
        """Begin; there is no way to stop."""
        sys.addaudithook(self.note)

    def note(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Remember an import of what is installed, or the opening of a file that came with it."""
        if event == "import" and arguments[0] in self._installed:
            self._remember(arguments[0])
        elif event == "open" and isinstance(arguments[0], str):
            for root in self._own:
                if arguments[0].startswith(root):
                    self._remember(arguments[0].removeprefix(root))

    def _remember(self, name: str) -> None:
        if len(self._seen) < _MOST:
            self._seen.add(name)

    def taken(self) -> list[str]:
        """The names, each told once."""
        names = sorted(self._seen)
        self._seen.clear()
        return names


def _installed() -> frozenset[str]:
    """Every module that an import could still find: at the top, and beside what is loaded.

    Libraries also try names that do not exist; those fail in any process.
    """
    names = {name for path in sys.path for name in _names_in(path)}
    for package, module in list(sys.modules.items()):
        for path in [*getattr(module, "__path__", [])]:
            names.update(f"{package}.{name}" for name in _names_in(path))
    return frozenset(names)


def _names_in(folder: str) -> Iterator[str]:
    """What can be imported from a folder, and a few names more; this runs at every start."""
    with suppress(OSError):  # a path that is not there, or a zip
        yield from (entry.partition(".")[0] for entry in os.listdir(folder))  # noqa: PTH208
