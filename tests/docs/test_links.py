"""Every link of the documentation leads somewhere, and every page can be reached."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.pages import ROOT, Page, all_pages


@pytest.mark.parametrize("found", all_pages(), ids=lambda found: found.name)
def test_every_relative_link_resolves_with_its_anchor(found: Page) -> None:
    dead = []
    for link in found.links:
        if "://" in link or link.startswith("mailto:"):
            continue
        name, _, anchor = link.partition("#")
        target = (found.path.parent / name).resolve() if name else found.path
        if not (target.exists() and target.is_relative_to(ROOT) and _holds(target, anchor)):
            dead.append(link)
    assert not dead


def test_every_page_can_be_reached_from_the_readme() -> None:
    waiting, reached = [ROOT / "README.md"], set()
    while waiting:
        path = waiting.pop()
        if path in reached or path.suffix != ".md":
            continue
        reached.add(path)
        links = [link.partition("#")[0] for link in Page(path).links if "://" not in link]
        waiting += [(path.parent / link).resolve() for link in links if link]
    assert {found.path for found in all_pages()} == reached


def test_a_heading_is_found_under_the_name_that_renderers_give_it() -> None:
    assert "do-one-thing" in Page(ROOT / "docs" / "README.md").anchors
    assert "ragmesh-documents-add" in Page(ROOT / "docs" / "reference" / "cli.md").anchors


def _holds(target: Path, anchor: str) -> bool:
    return not anchor or (target.suffix == ".md" and anchor in Page(target).anchors)
