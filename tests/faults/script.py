"""What users do to a few documents, by a seed, and what each operation makes of a document.

An operation that was answered has happened. One that was under way when the mesh was killed may
have happened or not, but only as a whole: the document is then found as it was before, or as the
operation makes it, and whichever it is counts from there on.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

ANCHOR = "anchor"
"""Indexed before anything is killed and never deleted: every reader must always find it."""
GROUPS = (None, (), ("board",), ("board", "staff"))
_ANYTHING = ("put", "put", "put", "again", "retitle", "open", "delete", "restore")
_CHANGES = ("put", "put", "put", "again", "retitle", "open")
_WORDS = (
    *("meadow", "river", "barrow", "quarry", "orchard", "marsh", "winter", "midnight", "vole"),
    *("shrew", "beetle", "frog", "moth", "feather", "talon", "pellet", "perch", "nest", "valley"),
    *("ridge", "hollow", "thicket", "steeple", "lantern", "harbour", "island", "glacier", "canyon"),
)


def parts_of(edition: int) -> int:
    """How many chunks an edition has; most revisions have another number than the last."""
    return 2 + edition % 4


def text_of(name: str, edition: int) -> str:
    """A document each of whose chunks tells its name, its part and its edition."""
    chosen = Random(f"{name} {edition}")
    paragraphs = (
        f"Owl {name} in edition {edition}, part {part}: {' '.join(chosen.sample(_WORDS, 12))}."
        for part in range(parts_of(edition))
    )
    return "\n\n".join(paragraphs)


@dataclass(frozen=True, slots=True)
class Expected:
    """A document as the operations so far have made it."""

    name: str
    editions: tuple[int | None, ...] = ()
    """The edition of each revision, from 1; None = a tombstone."""
    title: str = ""
    access: tuple[str, ...] | None = None

    @property
    def revision(self) -> int:
        """The newest revision; 0 = there was never one."""
        return len(self.editions)

    @property
    def edition(self) -> int | None:
        """What the document holds; None when it is not there."""
        return self.editions[-1] if self.editions else None


@dataclass(frozen=True, slots=True)
class Operation:
    """One change that a user asks for."""

    kind: str
    name: str
    edition: int = 0
    title: str = ""
    access: tuple[str, ...] | None = None
    revision: int = 0
    """The one to restore."""

    def applied(self, to: Expected) -> Expected:
        """What the document is afterwards."""
        match self.kind:
            case "put":
                return Expected(
                    to.name, (*to.editions, self.edition), title=self.title, access=self.access
                )
            case "retitle":
                return replace(to, title=self.title)
            case "open":
                return replace(to, access=self.access)
            case "delete":
                return replace(to, editions=(*to.editions, None))
            case "restore":
                return replace(to, editions=(*to.editions, to.editions[self.revision - 1]))
        return to  # "again": the same upload is no change


class Script:
    """Operations by a seed, numbered so that no two texts or titles are equal."""

    def __init__(self, seed: str, first_number: int, step: int) -> None:
        self.random = Random(seed)
        self.number = first_number
        self._step = step

    def next(self, document: Expected) -> Operation:
        """Something that can be done to the document as it is."""
        kind = self._kind(document)
        self.number += self._step
        title = f"Title {self.number}"
        # Another than now: whether it happened could not be seen otherwise.
        access = self.random.choice([one for one in GROUPS if one != document.access])
        match kind:
            case "again":
                known = (document.edition or 0, document.title, document.access)
                return Operation("again", document.name, *known)
            case "retitle":
                return Operation("retitle", document.name, title=title)
            case "open":
                return Operation("open", document.name, access=access)
            case "delete":
                return Operation("delete", document.name)
            case "restore":
                kept = [n for n, edition in enumerate(document.editions, 1) if edition is not None]
                return Operation("restore", document.name, revision=self.random.choice(kept))
        return Operation("put", document.name, self.number, title, access)

    def _kind(self, document: Expected) -> str:
        if not document.editions:
            return "put"
        if document.edition is None:
            return self.random.choice(("put", "restore"))
        return self.random.choice(_CHANGES if document.name == ANCHOR else _ANYTHING)
