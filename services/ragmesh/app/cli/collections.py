"""`ragmesh collections`: the named sets of documents."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ragmesh.app.cli.completion import collection_names
from ragmesh.app.cli.index_changes import IndexWish, index_options, tell_index
from ragmesh.app.cli.paging import each
from ragmesh.app.cli.printing import one_line, plain, print_json
from ragmesh.app.cli.surroundings import Client, client_options

if TYPE_CHECKING:
    from ragmesh.app.cli.ports import Mesh
    from ragmesh.core.documents import Collection
    from ragmesh.core.metadata import SortableField


_NAME = click.argument("name", shell_complete=collection_names)


@click.group()
def collections() -> None:
    """Make, list, change and delete collections."""


@collections.command("create")
@click.argument("name")
@click.option("--description", default="", help="What the collection is for.")
@click.option("--language", default="", metavar="CODE", help="Language of most documents (en, de).")
@click.option("--encoder", default="", metavar="NAME", help="Its encoder; by default the server's.")
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
def create(  # noqa: PLR0913 - one parameter an option
    client: Client,
    name: str,
    description: str,
    language: str,
    encoder: str,
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
        encoder=encoder,
        default_access=DefaultAccess.RESTRICTED if restricted else DefaultAccess.OPEN,
        sortable=tuple(_sortable(slot, text) for slot, text in enumerate(sortable)),
    )
    collection = client.call(lambda mesh: mesh.create_collection(new))
    if client.as_json:
        print_json(collection)
    else:
        click.echo(f"Made the collection {collection.name} ({collection.encoder}).")
        for warning in collection.warnings:
            click.echo(f"Mind: {one_line(warning)}.", err=True)


@collections.command("list")
@client_options
def list_(client: Client) -> None:
    """List collections by name, with their counts of documents and chunks, and what waits."""

    async def show(mesh: Mesh) -> None:
        async for collection in each(mesh.list_collections):
            if client.as_json:
                print_json(collection)
            else:
                click.echo(_line(collection))

    client.call(show)


@collections.command()
@_NAME
@client_options
def describe(client: Client, name: str) -> None:
    """Show a collection with everything that was decided for it."""
    checked = _checked(name)
    _show(client, client.call(lambda mesh: mesh.get_collection(checked)))


@collections.command()
@_NAME
@click.option("--description", help="What the collection is for.")
@click.option(
    "--default-access",
    type=click.Choice(["open", "restricted"]),
    help="Who may see documents without access of their own; tighter is in force at once.",
)
@index_options
@client_options
def update(
    client: Client,
    name: str,
    description: str | None,
    default_access: str | None,
    wish: IndexWish,
) -> None:
    """Change a collection's description, default access or index.

    Another encoder, chunking or language builds a new index beside the one that answers, and moves
    the questions over once it is found to be no worse; see `ragmesh migrations`.
    """
    from ragmesh.core.documents import CollectionChange, DefaultAccess

    access = None if default_access is None else DefaultAccess(default_access)
    change, index = CollectionChange(description, access), wish.change()
    if change == CollectionChange() and index is None:
        raise click.UsageError("nothing to change: see --help for what can be")
    checked = _checked(name)
    if change != CollectionChange() and not wish.dry_run:
        if index is not None:  # an index that cannot be is refused before anything is changed
            client.call(lambda mesh: mesh.estimate_index(checked, index))
        _show(client, client.call(lambda mesh: mesh.update_collection(checked, change)))
    if index is not None:  # it comes last: from then on it goes on by itself
        tell_index(client, checked, index, dry_run=wish.dry_run)


@collections.command()
@_NAME
@click.option("--yes", is_flag=True, help="Do not ask whether it is meant.")
@client_options
def delete(client: Client, name: str, yes: bool) -> None:
    """Delete a collection with all its documents; its name is free at once."""
    checked = _checked(name)
    if not yes:
        click.confirm(f"Delete {checked} with all its documents?", abort=True, err=True)
    client.call(lambda mesh: mesh.delete_collection(checked))
    if client.as_json:
        print_json({"name": checked, "deleted": True})
    else:
        click.echo(f"deleted  {checked}")


@collections.command()
@_NAME
@click.option("--reason", default="", help="Why; goes into the audit.")
@client_options
def release(client: Client, name: str, reason: str) -> None:
    """Have the mesh forget the custom resource that keeps a collection.

    For resources that went while no operator ran. One that is still there takes the collection back
    at the operator's next look.
    """
    checked = _checked(name)
    client.call(lambda mesh: mesh.release_collection(checked, reason=reason))
    if client.as_json:
        print_json({"name": checked, "released": True})
    else:
        click.echo(f"released  {checked}")


def _checked(name: str) -> str:
    from ragmesh.core.names import collection_name

    return collection_name(name)


def _show(client: Client, collection: Collection) -> None:
    if client.as_json:
        print_json(collection)
        return
    for field, value in plain(collection).items():
        click.echo(f"{field:<15} {one_line(str(value))}")


def _line(collection: Collection) -> str:
    counts = f"{collection.documents} documents, {collection.chunks} chunks"
    for count, what in (
        (collection.pending_documents, "pending"),
        (collection.failed_documents, "failed"),
    ):
        counts += f", {count} {what}" if count else ""
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
