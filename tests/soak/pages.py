"""The page that a long programme leaves: what was run, on what, and what it found."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tools.bench.page import circumstances

_REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
Row = tuple[str, str, str]
"""What was measured, what came out, and what is promised; "-" where nothing is."""


def write_page(
    name: str, title: str, command: str, about: str, *, extent: str, rows: Iterable[Row]
) -> None:
    """Replace `docs/reference/<name>`; `extent` says with which seeds it ran, and how long."""
    lines = [
        f"# {title}",
        "",
        f"Written by `{command}`.",
        "",
        about,
        "",
        *circumstances(),
        f"- {extent}",
        "",
        "| what | measured | promised |",
        "|---|---|---|",
        *(f"| {what} | {measured} | {promised} |" for what, measured, promised in rows),
    ]
    (_REFERENCE / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
