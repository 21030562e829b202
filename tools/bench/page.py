"""docs/reference/benchmarks.md: figures with the command, the versions and the machine."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Sequence
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


def write(tables: Sequence[Table], command: str) -> None:
    """Replace the page."""
    lines = [
        "# Benchmarks",
        "",
        f"Written by `{command}`; only figures of one run can be compared with each other. The",
        "load generator first has to show a stall that is planted in it, else nothing is measured.",
        "",
        *circumstances(),
        *_warning(),
    ]
    for table in tables:
        lines += ["", f"## {table.title}", "", table.about, ""]
        lines += [
            f"| figure | ragmesh | goal | reached | {table.beside} |",
            "|---|---|---|---|---|",
        ]
        lines += [_row(goal) for goal in table.goals]
    PAGE.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _warning() -> tuple[str, ...]:
    if os.getloadavg()[0] <= 2 * len(os.sched_getaffinity(0)):
        return ()
    return (
        "",
        "The machine was at other work: every absolute figure is too high, and no goal can be",
        "judged by it. Compare with the bare pair, which had the same to bear.",
    )


def circumstances() -> tuple[str, ...]:
    """What figures depend on, as a list of the page; nothing in it says whose machine it was."""
    libraries = ", ".join(f"{name} {version(name)}" for name in _LIBRARIES)
    return (
        f"- Commit `{_commit()}`, {datetime.now(UTC):%Y-%m-%d}",
        f"- {_machine()}",
        f"- Python {platform.python_version()}, {libraries}",
    )


def _row(goal: Goal) -> str:
    reached = {None: NOT_SAID, True: "yes", False: "no"}[goal.reached]
    cells = (goal.name, goal.measured, goal.wanted, reached, goal.beside)
    return "| " + " | ".join(cells) + " |"


def _commit() -> str:
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
