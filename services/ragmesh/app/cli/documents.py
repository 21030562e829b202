"""`ragmesh documents`: files in, what there is, and out again."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING

import click

from ragmesh.app.cli.attributes import access_of, access_option, metadata_of, metadata_option
from ragmesh.app.cli.paging import each
from ragmesh.app.cli.printing import one_line, print_json
from ragmesh.app.cli.revisions import get, restore, revisions, text, update
from ragmesh.app.cli.surroundings import (
    Client,
    client_options,
    collection_option,
    filter_option,
)

if TYPE_CHECKING:
    from ragmesh.app.cli.ports import Mesh
    from ragmesh.app.cli.reporting import Report
    from ragmesh.core.documents import Document


@click.group()
def documents() -> None:
    """Add, read, change and delete documents."""


for command in (get, text, update, revisions, restore):
    documents.add_command(command)


@documents.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@collection_option
@metadata_option
@access_option
@client_options
def add(
    client: Client,
    paths: tuple[str, ...],
    collection: str,
    metadata_json: str | None,
    access_json: str | None,
) -> None:
    """Add files, folders with all that is in them, or patterns such as 'notes/**/*.md'.

    Waits until every file can be found, and says for each what happened. A document's id is the
    path below the folder that was named, with : for /. Adding a file again changes nothing unless
    the file has changed. Metadata and access are for every file of the command.
    """
    from ragmesh.app.cli.adding import Adding
    from ragmesh.app.cli.files import Attributes, find_files
    from ragmesh.core.metadata import NO_METADATA
    from ragmesh.core.names import collection_name

    name = collection_name(collection)
    attributes = Attributes(metadata_of(metadata_json) or NO_METADATA, access_of(access_json))

    async def send(mesh: Mesh) -> Report:
        with _report(client) as report:
            await Adding(mesh, name, report, attributes).add(find_files(paths))
        return report

    report = client.call(send)
    if not client.as_json:
        click.echo(report.summary)
    if report.any_failed:
        click.get_current_context().exit(1)


def _report(client: Client) -> AbstractContextManager[Report]:
    from ragmesh.app.cli.reporting import bar_report, json_report, line_report

    if client.as_json:
        return json_report()
    if sys.stdout.isatty():
        return bar_report()
    return line_report()


@documents.command("list")
@collection_option
@filter_option
@client_options
def list_(client: Client, collection: str, filter_json: str | None) -> None:
    """List documents with their states."""
    from ragmesh.app.cli.filters import filter_of
    from ragmesh.core.names import collection_name

    name, filter_ = collection_name(collection), filter_of(filter_json)

    async def show(mesh: Mesh) -> None:
        pages = each(lambda page: mesh.list_documents(name, filter=filter_, page=page))
        async for document in pages:
            if client.as_json:
                print_json(document)
            else:
                click.echo(_line(document))

    client.call(show)


def _line(document: Document) -> str:
    error = f"  {document.error.reason}" if document.error is not None else ""
    head = f"{document.state.value:<8} {document.chunks:>5} chunks  {document.document_id}"
    return f"{head}  {one_line(document.title)}{error}".rstrip()


@documents.command()
@click.argument("document_ids", nargs=-1, required=True, metavar="DOCUMENT_ID...")
@collection_option
@client_options
def delete(client: Client, document_ids: tuple[str, ...], collection: str) -> None:
    """Delete documents; no question finds them any more when this returns."""
    from ragmesh.core.names import collection_name, document_id

    name = collection_name(collection)
    wanted = [document_id(text) for text in document_ids]
    failures = client.call(partial(_delete_each, client, name, wanted))
    if failures:
        click.get_current_context().exit(1)


async def _delete_each(client: Client, collection: str, wanted: list[str], mesh: Mesh) -> int:
    """Delete what can be deleted; how many could not."""
    from ragmesh.app.cli.failing import error_line
    from ragmesh.core.errors import Kind, RagmeshError

    failures = 0
    for document_id in wanted:
        try:
            accepted = await mesh.delete_document(collection, document_id)
        except RagmeshError as error:
            if error.kind is not Kind.NOT_FOUND or len(wanted) == 1:
                raise
            click.echo(error_line(error), err=True)
            failures += 1
            continue
        if client.as_json:
            print_json(accepted)
        else:
            click.echo(f"deleted  {document_id}")
    return failures
