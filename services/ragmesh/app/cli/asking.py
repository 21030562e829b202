"""`ragmesh ask` and `ragmesh search`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ragmesh.app.cli.answering import answered
from ragmesh.app.cli.printing import clean, one_line, place, plain, print_dim, print_json, timings
from ragmesh.app.cli.surroundings import (
    Client,
    client_options,
    collection_option,
    filter_option,
)

if TYPE_CHECKING:
    from ragmesh.core.answers import Answer, Citation
    from ragmesh.core.search import FoundChunk

_EXCERPT_CHARACTERS = 300
_NO_CONTEXT = "NO_CONTEXT: the evidence is too weak; nothing was guessed."
_PARTIAL = "PARTIAL: the answer broke off; what stands above is all of it."


@click.command()
@click.argument("question")
@collection_option
@click.option("--limit", type=int, default=8, help="Most chunks to answer from (8).")
@filter_option
@click.option(
    "--cache",
    type=click.Choice(["use", "bypass", "refresh"]),
    default="use",
    help="Whether a stored answer may be used, and this one be stored.",
)
@client_options
def ask(
    client: Client, question: str, collection: str, limit: int, filter_json: str | None, cache: str
) -> None:
    """Ask a question and read the answer with its citations as it is written."""
    from ragmesh.app.cli.filters import filter_of
    from ragmesh.core.answers import AskQuery, CacheMode
    from ragmesh.core.names import collection_name
    from ragmesh.core.questions import Question, parse_limit

    query = AskQuery(
        collection=collection_name(collection),
        question=Question.parse(question),
        filter=filter_of(filter_json),
        limit=parse_limit(limit),
        cache=CacheMode(cache),
    )
    if client.as_json:
        answer = client.call(lambda mesh: answered(mesh, query))
        print_json(answer_fields(answer))
    else:
        print_ending(client.call(lambda mesh: answered(mesh, query, tell=write_piece)))


def answer_fields(answer: Answer) -> dict[str, Any]:
    """An answer as the REST interface shows it."""
    return {name: part for name, part in plain(answer).items() if name != "heads_sequence"}


def write_piece(text: str) -> None:
    """A piece of an answer at once, so that it is read as it is written."""
    click.echo(clean(text), nl=False)


def print_ending(answer: Answer) -> None:
    """What follows the text: citations, how it ended when not well, and what it took."""
    if answer.answer:
        click.echo()
    for number, citation in enumerate(answer.citations):
        if number == 0:
            click.echo()
        click.echo(_cited(citation))
    if answer.status.value == "NO_CONTEXT":
        click.echo(f"\n{_NO_CONTEXT}")
    elif answer.status.value == "PARTIAL":
        click.echo(f"\n{_PARTIAL}")
    if answer.degraded:
        click.echo(f"Degraded: {', '.join(answer.degraded)}")
    cached = "from the cache · " if answer.cached else ""
    print_dim(f"\n{cached}{timings(answer.timings_ms)}")


def _cited(citation: Citation) -> str:
    where = place(citation.page, citation.headings)
    title = one_line(citation.title) or citation.document_id
    quote = one_line(citation.quote)
    return f"{citation.marker} {title}{where}: “{quote}”\n    {citation.document_id}"


@click.command()
@click.argument("query")
@collection_option
@click.option("--limit", type=int, default=10, help="Most chunks to show (10).")
@click.option(
    "--mode",
    type=click.Choice(["hybrid", "dense", "keyword"]),
    default="hybrid",
    help="Which rankings take part.",
)
@filter_option
@client_options
def search(
    client: Client, query: str, collection: str, limit: int, mode: str, filter_json: str | None
) -> None:
    """Show the chunks closest to a query."""
    from ragmesh.app.cli.filters import filter_of
    from ragmesh.core.names import collection_name
    from ragmesh.core.questions import Question
    from ragmesh.core.search import SearchMode, SearchQuery

    wanted = SearchQuery(
        collection=collection_name(collection),
        question=Question.parse(query, field="query"),
        limit=limit,
        mode=SearchMode(mode),
        filter=filter_of(filter_json),
    )
    result = client.call(lambda mesh: mesh.search(wanted))
    if client.as_json:
        print_json(result)
        return
    for number, hit in enumerate(result.hits, 1):
        click.echo(_found(number, hit))
    if not result.hits:
        click.echo("Nothing was found.")
    if result.degraded:
        click.echo(f"Degraded: {', '.join(result.degraded)}")
    print_dim(timings(result.timings_ms))


def _found(number: int, hit: FoundChunk) -> str:
    text = one_line(hit.text)
    if len(text) > _EXCERPT_CHARACTERS:
        text = f"{text[:_EXCERPT_CHARACTERS].rstrip()} …"
    title = one_line(hit.title) or hit.document_id
    head = f"{number}. {title}{place(hit.page, hit.headings)}"
    return f"{head}\n   {text}\n   {hit.document_id}, score {hit.score:.3f}"
