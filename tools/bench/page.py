"""docs/reference/benchmarks.md: figures with the command, the versions and the machine."""

from __future__ import annotations

import os
import platform
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "reference" / "benchmarks.md"
NOT_SAID = "-"
_LIBRARIES = ("grpcio", "protobuf", "uvloop", "cryptography")


@dataclass(frozen=True, slots=True)
class Goal:
    """One figure, what it should be, and that of the other side."""

    name: str
    measured: str
    wanted: str
    reached: bool | None
    """None = told without a goal."""
    beside: str


@dataclass(frozen=True, slots=True)
class Table:
    """The figures of one benchmark and how they were taken."""

    title: str
    about: str
    goals: tuple[Goal, ...]
    beside: str = "bare"
    """What the other side is."""


_HEAD = """\
# Benchmarks

Written by `make bench`, which runs all of them, or by `make bench BENCH=I1`, which replaces that
part. Only figures of one part can be compared with each other. The load generator first has to show
a stall that is planted in it, else nothing is measured.
"""
_PART = "\n## "


def write(table: Table, page: Path = PAGE) -> None:
    """Put the table in place of the last one of its title, or behind the others."""
    found = page.read_text(encoding="utf-8").split(_PART)[1:] if page.exists() else []
    parts = {part.partition("\n")[0]: part.rstrip("\n") for part in found}
    parts[table.title] = "\n".join(_lines(table))
    text = "".join(f"{_PART}{part}\n" for part in parts.values())
    page.write_text(_HEAD + text, encoding="utf-8")


def _lines(table: Table) -> list[str]:
    return [
        table.title,
        "",
        table.about,
        "",
        *circumstances(),
        *_warning(),
        "",
        f"| figure | ragmesh | goal | reached | {table.beside} |",
        "|---|---|---|---|---|",
        *map(_row, table.goals),
    ]


def _warning() -> tuple[str, ...]:
    if os.getloadavg()[0] <= 2 * len(os.sched_getaffinity(0)):
        return ()
    return (
        "",
        "The machine was at other work: every absolute figure is too high, and no goal can be",
        "judged by it. Compare with the other side, which had the same to bear.",
    )


def circumstances() -> tuple[str, ...]:
    """What figures depend on, as a list of the page; nothing in it says whose machine it was."""
    libraries = ", ".join(f"{name} {version(name)}" for name in _LIBRARIES)
    return (
        f"- Commit `{commit()}`, {datetime.now(UTC):%Y-%m-%d}",
        f"- {_machine()}",
        f"- Python {platform.python_version()}, {libraries}",
    )


def _row(goal: Goal) -> str:
    reached = {None: NOT_SAID, True: "yes", False: "no"}[goal.reached]
    cells = (goal.name, goal.measured, goal.wanted, reached, goal.beside)
    return "| " + " | ".join(cells) + " |"


def commit() -> str:
    """What is checked out, and whether it was changed since."""

    def git(*arguments: str) -> str:
        ran = subprocess.run(
            ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True
        )
        return ran.stdout.strip()

    changed = " with changes" if git("status", "--porcelain", "--", "services", "tools") else ""
    return git("rev-parse", "--short=12", "HEAD") + changed


def _machine() -> str:
    """What the machine is, and how busy it was; never what it is called."""
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return (
        f"{len(os.sched_getaffinity(0))} cores {platform.machine()}, "
        f"{pages * size / 2**30:.0f} GiB, {platform.system()} {platform.release().split('-')[0]}, "
        f"load {os.getloadavg()[0]:.1f} when it ended"
    )
