"""The Markdown pages of the project, as far as tests read them: blocks, code, links, anchors."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[2]
_NOT_IN_A_SLUG = re.compile(r"[^\w\- ]")


@dataclass(frozen=True)
class Block:
    """A fenced block."""

    page: str
    line: int
    language: str
    mark: str
    """The second word of the opening line: how tests treat the block."""
    text: str


@dataclass(frozen=True)
class Page:
    """One Markdown file."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.relative_to(ROOT).as_posix()

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def _tokens(self) -> list[Token]:
        return MarkdownIt("commonmark").enable("table").parse(self.text)

    @property
    def _inline(self) -> Iterator[Token]:
        for token in self._tokens:
            yield from token.children or ()

    @property
    def blocks(self) -> list[Block]:
        """Fenced blocks in their order."""
        found = []
        for token in self._tokens:
            if token.type == "fence":
                language, _, mark = token.info.strip().partition(" ")
                line = (token.map or [0])[0] + 1
                found.append(Block(self.name, line, language, mark.strip(), token.content))
        return found

    @property
    def code_spans(self) -> list[str]:
        """What stands between single backticks, on one line each."""
        return [
            " ".join(token.content.split()) for token in self._inline if token.type == "code_inline"
        ]

    @property
    def links(self) -> list[str]:
        """Targets of links and pictures as they are written."""
        names = {"link_open": "href", "image": "src"}
        return [
            str(token.attrs[names[token.type]]) for token in self._inline if token.type in names
        ]

    @property
    def headings(self) -> list[str]:
        """Texts of headings."""
        return [
            "".join(part.content for part in inline.children or ())
            for opening, inline in zip(self._tokens, self._tokens[1:], strict=False)
            if opening.type == "heading_open"
        ]

    @property
    def anchors(self) -> set[str]:
        """What `#…` may name: headings as the usual renderers number them."""
        slugs: dict[str, int] = {}
        anchors = set()
        for heading in self.headings:
            slug = _NOT_IN_A_SLUG.sub("", heading.strip().lower()).replace(" ", "-")
            seen = slugs[slug] = slugs.get(slug, -1) + 1
            anchors.add(f"{slug}-{seen}" if seen else slug)
        return anchors


def all_pages() -> list[Page]:
    """Every page that is the project's own documentation."""
    paths = [*ROOT.glob("*.md"), *(ROOT / "protos").glob("*.md"), ROOT / "examples" / "README.md"]
    paths += (ROOT / "charts").glob("*/README.md")
    return [Page(path) for path in sorted([*paths, *(ROOT / "docs").rglob("*.md")])]


def page(name: str) -> Page:
    """One page by its path in the repository."""
    return Page(ROOT / name)
