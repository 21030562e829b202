"""`ragmesh collections`: the named sets of documents."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ragmesh.app.cli.paging import each
from ragmesh.app.cli.printing import one_line, print_json
from ragmesh.app.cli.surroundings import Client, client_options

if TYPE_CHECKING:
    from ragmesh.app.cli.ports import Mesh
    from ragmesh.core.documents import Collection
    from ragmesh.core.metadata import SortableField


@click.group()
def collections() -> None:
    """Make and list collections."""


@collections.command("create")
@click.argument("name")
@click.option("--description", default="", help="What the collection is for.")
@click.option("--language", default="", metavar="CODE", help="Language of most documents (en, de).")
@click.option(
    "--restricted", is_flag=True, help="Documents without access of their own are for admins only."
)
@click.option(
    "--sortable",
    multiple=True,
    metavar="FIELD=KIND",
    help="Metadata field that ranges work on; KIND is number or datetime. May be repeated.",
)
@client_options
def create(
    client: Client,
    name: str,
    description: str,
    language: str,
    restricted: bool,
    sortable: tuple[str, ...],
) -> None:
    """Make an empty collection."""
    from ragmesh.core.documents import DefaultAccess, NewCollection
    from ragmesh.core.names import collection_name

    new = NewCollection(
        name=collection_name(name),
        description=description,
        language=language,
        default_access=DefaultAccess.RESTRICTED if restricted else DefaultAccess.OPEN,
        sortable=tuple(_sortable(slot, text) for slot, text in enumerate(sortable)),
    )
    collection = client.call(lambda mesh: mesh.create_collection(new))
    if client.as_json:
        print_json(collection)
    else:
        click.echo(f"Made the collection {collection.name} ({collection.encoder}).")


@collections.command("list")
@client_options
def list_(client: Client) -> None:
    """List collections by name, with their counts of documents and chunks."""

    async def show(mesh: Mesh) -> None:
        async for collection in each(mesh.list_collections):
            if client.as_json:
                print_json(collection)
            else:
                click.echo(_line(collection))

    client.call(show)


def _line(collection: Collection) -> str:
    counts = f"{collection.documents} documents, {collection.chunks} chunks"
    description = f"  {one_line(collection.description)}" if collection.description else ""
    return f"{collection.name:<24} {counts}{description}"


def _sortable(slot: int, text: str) -> SortableField:
    from ragmesh.core.metadata import SortableField, SortKind

    name, _, kind = text.partition("=")
    try:
        return SortableField(name, SortKind(kind), slot)
    except ValueError:
        raise click.BadParameter(
            f"{text!r} is not FIELD=number or FIELD=datetime", param_hint="--sortable"
        ) from None
