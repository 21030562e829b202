"""The generated reference says what the code says, and the committed pages are its output."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.generate_reference import HEADER, PAGES, errors_page, shipped_errors

REFERENCE = Path(__file__).parents[3] / "docs" / "reference"


def test_every_reason_has_one_row_with_a_meaning() -> None:
    rows = [line for line in errors_page().splitlines() if line.startswith("| `")]
    cells = [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows]
    assert sorted(reason.strip("`") for reason, _ in cells) == sorted(
        found.reason for found in shipped_errors()
    )
    assert all(meaning.endswith(".") for _, meaning in cells)


@pytest.mark.parametrize("name", PAGES)
def test_the_committed_page_is_current(name: str) -> None:
    assert (REFERENCE / name).read_text(encoding="utf-8") == HEADER + PAGES[name]()
