"""`ragmesh chat`: questions one after the other, each understood after those before it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from ragmesh.app.cli.answering import answered
from ragmesh.app.cli.asking import answer_fields, print_ending, write_piece
from ragmesh.app.cli.failing import error_line
from ragmesh.app.cli.printing import print_json
from ragmesh.app.cli.surroundings import Client, client_options, collection_option

if TYPE_CHECKING:
    from ragmesh.core.answers import Answer, AskQuery, Turn

_KEPT_TURNS = 40
"""Messages that are sent again with a question; a talk about one thing is shorter."""


@click.command()
@collection_option
@client_options
def chat(client: Client, collection: str) -> None:
    """Ask one question after another; each is understood after those before it.

    A line is a question. Ctrl-D ends the conversation.
    """
    from ragmesh.core.answers import AskQuery
    from ragmesh.core.errors import RagmeshError
    from ragmesh.core.names import collection_name
    from ragmesh.core.questions import Question

    name = collection_name(collection)
    history: tuple[Turn, ...] = ()
    at_terminal = sys.stdin.isatty()
    for line in _lines(prompt=at_terminal and not client.as_json):
        try:
            query = AskQuery(name, Question.parse(line), history)
            answer = _ask(client, query)
        except RagmeshError as error:
            if not at_terminal:
                raise
            # A person sees it and asks again, with what was said before still there.
            click.echo(error_line(error), err=True)
        else:
            history = _continued(query, answer)


def _lines(*, prompt: bool) -> Iterator[str]:
    """Every line that is not blank, until there are no more."""
    while True:
        if prompt:
            click.echo("\n> ", nl=False)
        line = sys.stdin.readline()
        if not line:
            return
        if line.strip():
            yield line


def _ask(client: Client, query: AskQuery) -> Answer:
    if client.as_json:
        answer = client.call(lambda mesh: answered(mesh, query))
        print_json(answer_fields(answer))
    else:
        answer = client.call(lambda mesh: answered(mesh, query, tell=write_piece))
        print_ending(answer)
    return answer


def _continued(query: AskQuery, answer: Answer) -> tuple[Turn, ...]:
    """What was said so far, as the next question brings it along."""
    from ragmesh.core.answers import Turn
    from ragmesh.core.turns import MAX_TURN_CHARACTERS

    said = Turn("assistant", answer.answer[:MAX_TURN_CHARACTERS])
    return (*query.history, Turn("user", query.question.text), said)[-_KEPT_TURNS:]
