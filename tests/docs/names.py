"""What the pages name: commands, options, targets, settings, reasons."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import click

from ragmesh.app.cli.root import ragmesh
from tests.docs.console import steps_of
from tests.docs.pages import ROOT, Page

_MAKE = re.compile(r"(?:^|[;&|] *)make((?: +[a-z][a-z-]*)+)")
_RAGMESH = re.compile(r"(?:^|[;&|(] *|\bbin/)ragmesh +([^|;&\n]+)")
_REASON = re.compile(r"[A-Z]+(?:_[A-Z]+)+")
_TARGET = re.compile(r"^([a-z-]+):.*?## ", re.MULTILINE)


def make_targets() -> set[str]:
    """The targets that `make help` lists."""
    return set(_TARGET.findall((ROOT / "Makefile").read_text(encoding="utf-8")))


def code_of(page: Page) -> Iterator[str]:
    """Every piece of code on a page: spans, and what is typed in blocks."""
    yield from page.code_spans
    for block in page.blocks:
        if block.language == "console":
            yield from (step.command for step in steps_of(block))
        elif block.language == "text":
            yield block.text


def named_targets(page: Page) -> set[str]:
    """Targets behind `make`."""
    return {
        target
        for code in code_of(page)
        for match in _MAKE.findall(code)
        for target in match.split()
    }


def named_reasons(page: Page) -> set[str]:
    """What looks like a reason, a state or another stable word in capitals."""
    return {code for code in page.code_spans if _REASON.fullmatch(code)}


def wrong_commands(page: Page) -> list[str]:
    """Commands or options of `ragmesh` that do not exist."""
    wrong = []
    for code in code_of(page):
        for words in _RAGMESH.findall(code):
            if fault := command_fault(words):
                wrong.append(fault)
    return wrong


def command_fault(text: str) -> str:
    """What does not exist in the words behind `ragmesh`; empty when all does."""
    words = _words(text)
    command: click.Command = ragmesh
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        found = command.commands.get(words[0])
        if found is None:
            return f"ragmesh {text}: no command {words[0]}"
        command, words = found, words[1:]
    known = {option for parameter in command.params for option in parameter.opts}
    known |= {"-h", "--help"}
    options = {word.partition("=")[0] for word in words if re.match(r"-{1,2}[a-z]", word)}
    return f"ragmesh {text}: no option {sorted(options - known)}" if options - known else ""


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:  # a quote that goes on behind a `;` or on the next line
        return text.split()
