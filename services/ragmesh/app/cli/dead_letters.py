"""`ragmesh dead-letters`: work that was given up, and another try."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ragmesh.app.cli.paging import each
from ragmesh.app.cli.printing import one_line, print_json
from ragmesh.app.cli.surroundings import Client, client_options

if TYPE_CHECKING:
    from ragmesh.app.cli.ports import Mesh
    from ragmesh.core.mending import DeadLetter, Replayed

_REPLAYED_AT_ONCE = 1_000


@click.group("dead-letters")
def dead_letters() -> None:
    """List work that was given up, and try it again."""


@dead_letters.command("list")
@click.option("-c", "--collection", default="", metavar="NAME", help="Only of this collection.")
@click.option("--reason", default="", help="Only what was given up for this reason.")
@client_options
def list_(client: Client, collection: str, reason: str) -> None:
    """List what was given up, the newest first."""

    async def show(mesh: Mesh) -> None:
        pages = each(
            lambda page: mesh.list_dead_letters(collection=collection, reason=reason, page=page)
        )
        async for letter in pages:
            if client.as_json:
                print_json(letter)
            else:
                click.echo(_line(letter))

    client.call(show)


def _line(letter: DeadLetter) -> str:
    about = letter.document_id or letter.origin.topic
    head = f"{letter.dead_letter_id}  {letter.collection or '-':<16} {about}"
    return f"{head}  {letter.failure.reason} after {_times(letter.attempts)}"


def _times(attempts: int) -> str:
    return "1 attempt" if attempts == 1 else f"{attempts} attempts"


@dead_letters.command()
@click.argument("dead_letter_id")
@client_options
def show(client: Client, dead_letter_id: str) -> None:
    """Show why something was given up, and where it comes from."""
    letter = client.call(lambda mesh: mesh.get_dead_letter(dead_letter_id))
    if client.as_json:
        print_json(letter)
        return
    origin = letter.origin
    lines = {
        "dead letter": letter.dead_letter_id,
        "given up": letter.at.isoformat(timespec="seconds"),
        "reason": letter.failure.reason,
        "message": one_line(letter.failure.message),
        "attempts": str(letter.attempts),
        "collection": letter.collection,
        "document": letter.document_id,
        "revision": str(letter.revision or ""),
        "index version": letter.index_version,
        "job": origin.job_id,
        "topic": origin.topic,
        "consumer group": origin.consumer_group,
        "trace": origin.traceparent,
        "tried again": ""
        if letter.replayed_at is None
        else letter.replayed_at.isoformat(timespec="seconds"),
    }
    for name, value in lines.items():
        if value:
            click.echo(f"{name:<15} {value}")


@dead_letters.command()
@click.argument("dead_letter_ids", nargs=-1, metavar="[DEAD_LETTER_ID...]")
@click.option("--all", "everything", is_flag=True, help="Every dead letter that is listed.")
@click.option("-c", "--collection", default="", metavar="NAME", help="With --all: only of it.")
@click.option("--reason", default="", help="With --all: only what was given up for it.")
@client_options
def replay(
    client: Client,
    dead_letter_ids: tuple[str, ...],
    everything: bool,
    collection: str,
    reason: str,
) -> None:
    """Have given-up work done again; asking twice does it once.

    Exits 1 if an id names no dead letter, or not any more.
    """
    if bool(dead_letter_ids) == everything:
        raise click.UsageError("name dead letters, or say --all")

    async def run(mesh: Mesh) -> Replayed:
        wanted = list(dead_letter_ids)
        if everything:
            pages = each(
                lambda page: mesh.list_dead_letters(collection=collection, reason=reason, page=page)
            )
            wanted = [letter.dead_letter_id async for letter in pages]
        return await _replay(mesh, wanted)

    done = client.call(run)
    if client.as_json:
        print_json(done)
    else:
        click.echo(
            f"{done.replayed} tried again, {done.superseded} superseded, {done.gone} not found"
        )
    if done.gone and dead_letter_ids:  # of --all, something may have been done meanwhile
        click.get_current_context().exit(1)


async def _replay(mesh: Mesh, wanted: list[str]) -> Replayed:
    from ragmesh.core.mending import Replayed

    done = Replayed()
    for start in range(0, len(wanted), _REPLAYED_AT_ONCE):
        part = await mesh.replay_dead_letters(wanted[start : start + _REPLAYED_AT_ONCE])
        done = Replayed(
            done.replayed + part.replayed,
            done.superseded + part.superseded,
            done.gone + part.gone,
        )
    return done
