"""`ragmesh documents get`, `text`, `update`, `revisions` and `restore`: one document closely."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, BinaryIO

import click

from ragmesh.app.cli.attributes import access_option, change_of, metadata_option
from ragmesh.app.cli.following import followed, refuse_unfinished
from ragmesh.app.cli.paging import each
from ragmesh.app.cli.printing import clean, one_line, plain, print_json
from ragmesh.app.cli.surroundings import Client, client_options, collection_option

if TYPE_CHECKING:
    from ragmesh.app.cli.ports import Mesh
    from ragmesh.core.documents import Accepted, Document, Revision

_REVISION = click.option(
    "--revision", type=click.IntRange(min=1), help="A revision; by default the current one."
)


def _named(collection: str, document_id: str) -> tuple[str, str]:
    from ragmesh.core import names

    return names.collection_name(collection), names.document_id(document_id)


@click.command()
@click.argument("document_id")
@collection_option
@click.option(
    "--content",
    type=click.File("wb"),
    metavar="FILE",
    help="Write the original bytes there; - is stdout.",
)
@_REVISION
@client_options
def get(
    client: Client,
    document_id: str,
    collection: str,
    content: BinaryIO | None,
    revision: int | None,
) -> None:
    """Show a document, or with --content write out what was uploaded."""
    names = _named(collection, document_id)
    if content is not None:
        found = client.call(lambda mesh: mesh.get_document_content(*names, revision=revision))
        content.write(found.content)
        return
    if revision is not None:
        raise click.UsageError("--revision needs --content; `documents revisions` lists revisions")
    document = client.call(lambda mesh: mesh.get_document(*names))
    if client.as_json:
        print_json(document)
    else:
        click.echo(_described(document))


def _described(document: Document) -> str:
    fields = plain(document)
    error = fields.get("error")
    if error is not None:
        fields["error"] = f"{error['reason']}: {error['message']}"
    if fields["access"] is None:
        fields["access"] = "the collection's default"
    return "\n".join(f"{name:<13} {one_line(str(value))}" for name, value in fields.items())


@click.command()
@click.argument("document_id")
@collection_option
@_REVISION
@client_options
def text(client: Client, document_id: str, collection: str, revision: int | None) -> None:
    """Print the text that was read out of a document; every span counts in it."""
    names = _named(collection, document_id)
    found = client.call(lambda mesh: mesh.get_document_text(*names, revision=revision))
    if client.as_json:
        print_json(found)
    else:
        click.echo(clean(found.text), nl=not found.text.endswith("\n"))


@click.command()
@click.argument("document_id")
@collection_option
@click.option("--title", metavar="TEXT", help="New title; empty for the one found in the content.")
@metadata_option
@access_option
@client_options
def update(
    client: Client,
    document_id: str,
    collection: str,
    title: str | None,
    metadata_json: str | None,
    access_json: str | None,
) -> None:
    """Change title, metadata or access; reads and embeds nothing again.

    Metadata is replaced as a whole. Waits until the change is in force; a tighter access is in
    force before anything else.
    """
    if title is None and metadata_json is None and access_json is None:
        raise click.UsageError("nothing to change: give --title, --metadata or --access")
    change = change_of(title, metadata_json, access_json)
    names = _named(collection, document_id)

    async def send(mesh: Mesh) -> Accepted:
        return await _done(mesh, await mesh.update_document(*names, change))

    _tell(client, "updated", client.call(send))


@click.command()
@click.argument("document_id")
@collection_option
@client_options
def revisions(client: Client, document_id: str, collection: str) -> None:
    """List what a document has held, the newest first; deletes are revisions, too."""
    names = _named(collection, document_id)

    async def show(mesh: Mesh) -> None:
        async for revision in each(lambda page: mesh.list_revisions(*names, page)):
            if client.as_json:
                print_json(revision)
            else:
                click.echo(_line(revision))

    client.call(show)


def _line(revision: Revision) -> str:
    made = plain(revision.created_at)
    head = f"{revision.revision:>4}  {made}"
    if revision.deleted:
        return f"{head}  deleted"
    digest = revision.content_sha256[:12]
    return f"{head}  {revision.size_bytes:>9} bytes  {digest}  {one_line(revision.content_type)}"


@click.command()
@click.argument("document_id")
@click.argument("revision", type=click.IntRange(min=1))
@collection_option
@client_options
def restore(client: Client, document_id: str, revision: int, collection: str) -> None:
    """Make the content of an earlier revision the newest one, also of a deleted document.

    Waits until it can be found.
    """
    names = _named(collection, document_id)

    async def send(mesh: Mesh) -> Accepted:
        return await _done(mesh, await mesh.restore_revision(*names, revision))

    _tell(client, "restored", client.call(send))


async def _done(mesh: Mesh, accepted: Accepted) -> Accepted:
    """The change once its job has ended well; else what the job ended with is raised."""
    job = await followed(mesh, accepted.job_id)
    refuse_unfinished(job)
    return replace(accepted, state=job.state)


def _tell(client: Client, what: str, accepted: Accepted) -> None:
    if client.as_json:
        print_json(accepted)
    else:
        click.echo(f"{what:<9} {accepted.document_id}, revision {accepted.revision}")
