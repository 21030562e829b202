"""Runs what a page shows at a prompt and compares what comes with what the page says.

A `console` block holds commands behind `$ `, continued behind `> `, each with its output below.
`…` in an output stands for whatever is there, a line with nothing else for any number of lines,
and a line of timings is not compared. The second word of the opening line says more:

    console             every command must succeed
    console exit=1      every command must fail with this code
    console mesh        what starts the mesh that the other blocks use; the tests have started it
    console stopped     the mesh is stopped while the commands run, and started again
    console prepared    what must have been done before any test can run
    console clients     run by `make test-clients`, which may fetch modules
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.docs.pages import Block

MARKS = frozenset({"", "mesh", "stopped", "prepared", "quickstart", "clients"})
_EXIT = re.compile(r"exit=(\d+)")
_TIMINGS = re.compile(r"\d ms( · |$)")
PATIENCE_SECONDS = 240


@dataclass(frozen=True)
class Step:
    """One command and the output that the page shows."""

    block: Block
    command: str
    output: tuple[str, ...]

    @property
    def expected_code(self) -> int:
        match = _EXIT.fullmatch(self.block.mark)
        return int(match[1]) if match else 0


@dataclass(frozen=True)
class Ran:
    """What a command really did."""

    code: int
    output: str


def steps_of(block: Block) -> list[Step]:
    """The commands of a block; ValueError when it is not written as one."""
    commands: list[tuple[list[str], list[str]]] = []
    for line in block.text.splitlines():
        if line.startswith("$ "):
            commands.append(([line[2:]], []))
        elif not commands:
            raise ValueError(f"{block.page}:{block.line}: output before the first command")
        elif line.startswith("> ") or line == ">":
            commands[-1][0].append(line[2:])
        else:
            commands[-1][1].append(line)
    return [Step(block, "\n".join(lines), _trimmed(output)) for lines, output in commands]


def is_known(mark: str) -> bool:
    """Whether this module knows what to do with a block's mark."""
    return mark in MARKS or _EXIT.fullmatch(mark) is not None


def run_steps(
    steps: Sequence[Step], *, folder: Path, environ: Mapping[str, str], addresses: Mapping[str, str]
) -> list[Ran]:
    """Run the commands in one shell; the addresses of the pages become those of the mesh."""
    script = ["set -o pipefail"]
    for number, step in enumerate(steps):
        command = replaced(step.command, addresses)
        out = folder / f".step-{number}"
        script += ["{", command, f"}} >{out}.out 2>&1 </dev/null", f"echo $? >{out}.code"]
    subprocess.run(
        ["bash", "-c", "\n".join(script)],
        cwd=folder,
        env=dict(environ),
        timeout=PATIENCE_SECONDS,
        check=True,
    )
    ran = []
    for number in range(len(steps)):
        out, code = folder / f".step-{number}.out", folder / f".step-{number}.code"
        text = out.read_text(encoding="utf-8", errors="replace")
        shown = replaced(text, {real: page for page, real in addresses.items()})
        ran.append(Ran(int(code.read_text()), shown))
        out.unlink()
        code.unlink()
    return ran


def replaced(text: str, names: Mapping[str, str]) -> str:
    """The text with every name replaced by its value."""
    for name, value in names.items():
        text = text.replace(name, value)
    return text


def difference(shown: Sequence[str], output: str) -> str:
    """The first shown line that the output does not hold in its place; empty when all is there."""
    lines = [line.rstrip() for line in output.splitlines()]
    position, gap = 0, False
    for line in shown:
        if line.strip() == "…":
            gap = True
            continue
        if not line.strip() or _TIMINGS.search(line):
            continue
        found = _find(line, lines, position, gap=gap)
        if found is None:
            return f"not said at its place: {line!r}"
        position, gap = found + 1, False
    left = [line for line in lines[position:] if _compared(line)]
    return f"said, but not shown: {left[0]!r}" if left and not gap else ""


def _find(line: str, lines: Sequence[str], position: int, *, gap: bool) -> int | None:
    pattern = re.compile(".*".join(re.escape(part) for part in line.rstrip().split("…")))
    for number in range(position, len(lines)):
        if pattern.fullmatch(lines[number]):
            return number
        if not gap and _compared(lines[number]):
            return None
    return None


def _compared(line: str) -> bool:
    return bool(line.strip()) and not _TIMINGS.search(line)


def _trimmed(lines: list[str]) -> tuple[str, ...]:
    while lines and not lines[-1].strip():
        lines.pop()
    return tuple(lines)
