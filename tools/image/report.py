"""docs/reference/image.md: what images weigh, layer by layer, against what they may weigh."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from tools.generate_protos import ROOT
from tools.image.archive import Layer

PAGE = ROOT / "docs" / "reference" / "image.md"
MEGABYTE = 1_000_000
PARTS = ("Debian and Python", "libraries", "model", "ragmesh")
"""What the layers of services/Dockerfile are, from the bottom up."""


@dataclass(frozen=True, slots=True)
class Weighed:
    """An image, and what it may weigh."""

    title: str
    command: str
    goal_megabytes: int | None
    layers: tuple[Layer, ...]

    @property
    def unpacked_bytes(self) -> int:
        """What it takes on a node's disk."""
        return sum(layer.unpacked_bytes for layer in self.layers)

    @property
    def packed_bytes(self) -> int:
        """What a registry keeps and a node pulls."""
        return sum(layer.packed_bytes for layer in self.layers)


def write_page(weighed: Sequence[Weighed], base: str) -> None:
    """Put the figures in place of the last ones."""
    PAGE.write_text("\n".join(_lines(weighed, base)) + "\n", encoding="utf-8")


def _lines(weighed: Sequence[Weighed], base: str) -> Iterator[str]:
    yield from (
        "# What images weigh",
        "",
        "Written by `make image-report`.",
        "",
        "*Pulled* is what a registry keeps and a node fetches: the layers, compressed by gzip.",
        "*Unpacked* is what they take on the node's disk. The goals are meant for what is pulled.",
        "Megabytes are 1,000,000 bytes.",
        "",
        f"- Commit `{_commit()}`, {datetime.now(UTC):%Y-%m-%d}",
        f"- Base {base}",
        "",
        "| image | built by | pulled | goal | unpacked |",
        "|---|---|---|---|---|",
    )
    for image in weighed:
        goal = f"≤ {image.goal_megabytes} MB" if image.goal_megabytes else "-"
        sizes = f"{_mb(image.packed_bytes)} | {goal} | {_mb(image.unpacked_bytes)}"
        yield f"| {image.title} | `{image.command}` | {sizes} |"
    yield from ("", "## Layer by layer", "")
    yield from ("| image | layer | pulled | unpacked |", "|---|---|---|---|")
    for image in weighed:
        for part, layer in zip(PARTS, image.layers, strict=True):
            sizes = f"{_mb(layer.packed_bytes)} | {_mb(layer.unpacked_bytes)}"
            yield f"| {image.title} | {part} | {sizes} |"


def _mb(count: int) -> str:
    return f"{count / MEGABYTE:.0f} MB"


def _commit() -> str:
    command = ["git", "rev-parse", "--short=12", "HEAD"]
    return subprocess.run(
        command, cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.strip()
