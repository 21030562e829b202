"""`ragmesh evaluate keep` and `history`: golden questions that a collection keeps."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ragmesh.app.cli.evaluating import evaluate, read_file
from ragmesh.app.cli.paging import each
from ragmesh.app.cli.printing import print_json
from ragmesh.app.cli.surroundings import Client, client_options, collection_option

if TYPE_CHECKING:
    from ragmesh.app.cli.ports import Mesh
    from ragmesh.core.migrations import EvaluationRecord

__all__ = ["evaluate"]


@evaluate.command()
@click.argument("golden", type=click.Path(dir_okay=False, path_type=Path))
@collection_option
@client_options
def keep(client: Client, golden: Path, collection: str) -> None:
    """Keep golden questions with a collection: a new index of it is judged by them."""
    from ragmesh.core.errors import NotUtf8Error, Violation

    try:
        content = read_file(golden).decode()
    except UnicodeDecodeError:
        raise NotUtf8Error(
            f"{golden} must be UTF-8", violations=[Violation("golden", "must be UTF-8")]
        ) from None
    kept = client.call(lambda mesh: mesh.set_golden_questions(collection, content))
    if client.as_json:
        print_json(kept)
    else:
        click.echo(f"{collection} keeps {kept.questions} golden questions ({kept.digest[:12]})")


@evaluate.command()
@collection_option
@client_options
def history(client: Client, collection: str) -> None:
    """List what asking them found, the newest first."""

    async def show(mesh: Mesh) -> None:
        async for record in each(lambda page: mesh.list_evaluations(collection, page)):
            if client.as_json:
                print_json(record)
            else:
                moment = record.at.isoformat(timespec="seconds")
                click.echo(f"{moment}  {_asked(record)}  {record.verdict}")

    client.call(show)


def _asked(record: EvaluationRecord) -> str:
    from ragmesh.core.migrations import ON_SCHEDULE

    if record.occasion == ON_SCHEDULE:
        return f"{record.serving} on schedule"
    return f"{record.serving} → {record.candidate}"
