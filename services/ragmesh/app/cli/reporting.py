"""How `documents add` tells what becomes of each file: lines, lines below a bar, or JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import click

from ragmesh.app.cli.adding import Ending, Outcome
from ragmesh.app.cli.printing import one_line, print_json


def _nothing(_number: int) -> None:
    """Nobody watches the numbers."""


@dataclass(slots=True)
class Report:
    """Counts what it passes on."""

    tell: Callable[[Outcome], None]
    progress: Callable[[int], None] = _nothing
    expect: Callable[[int], None] = _nothing
    endings: Counter[Ending] = field(default_factory=Counter)
    files: int = 0

    def found(self, files: int) -> None:
        """So many more files were found."""
        self.files += files
        self.expect(self.files)

    def ended(self, outcome: Outcome) -> None:
        """One more file is done."""
        self.endings[outcome.ending] += 1
        self.tell(outcome)
        self.progress(self.endings.total())

    @property
    def any_failed(self) -> bool:
        """Whether a file could not be added."""
        return self.endings[Ending.FAILED] > 0

    @property
    def summary(self) -> str:
        """How many files ended in which way."""
        counts = [
            f"{self.endings[ending]} {ending.value}" for ending in Ending if self.endings[ending]
        ]
        return f"{self.files} file{'' if self.files == 1 else 's'}: {', '.join(counts) or 'none'}"


def line_of(outcome: Outcome) -> str:
    """What became of one file."""
    head = f"{outcome.ending.value:<9}  {one_line(str(outcome.path))}"
    if outcome.error is not None:
        return f"{head}: {outcome.error.reason}: {one_line(outcome.error.message)}"
    chunks = "" if outcome.chunks is None else f", {_counted(outcome.chunks, 'chunk')}"
    return f"{head} as {outcome.document_id}{chunks}"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


@contextmanager
def line_report() -> Iterator[Report]:
    """A line a file."""
    yield Report(lambda outcome: click.echo(line_of(outcome)))


@contextmanager
def json_report() -> Iterator[Report]:
    """A JSON object a file, each on a line of its own."""
    yield Report(_print_json)


def _print_json(outcome: Outcome) -> None:
    fields: dict[str, object] = {
        "path": one_line(str(outcome.path)),
        "outcome": outcome.ending,
        "document_id": outcome.document_id or None,
        "chunks": outcome.chunks,
        "error": outcome.error,
    }
    print_json({name: value for name, value in fields.items() if value is not None})


@contextmanager
def bar_report() -> Iterator[Report]:
    """A line a file above a bar that shows how far it is."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn

    columns = ("indexing", BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(), transient=True) as bar:
        task = bar.add_task("indexing", total=None)

        def tell(outcome: Outcome) -> None:
            bar.console.print(line_of(outcome), markup=False, highlight=False, soft_wrap=True)

        yield Report(
            tell,
            progress=lambda done: bar.update(task, completed=done),
            expect=lambda files: bar.update(task, total=files),
        )


@contextmanager
def counting(what: str, total: int, *, silent: bool) -> Iterator[Callable[[int], None]]:
    """A bar on stderr that is told how many are done; nothing when nobody would see it."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn

    columns = (what, BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    hidden = silent or not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=hidden) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.update(task, completed=done)
