"""`ragmesh migrations`: how far a new index is, and what it is told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from ragmesh.app.cli.completion import collection_names
from ragmesh.app.cli.paging import each
from ragmesh.app.cli.printing import one_line, print_json
from ragmesh.app.cli.surroundings import Client, client_options

if TYPE_CHECKING:
    from ragmesh.app.cli.ports import Mesh
    from ragmesh.core.migrations import Migration, MigrationCommand
    from ragmesh.core.quality import Quality

_COMMANDS = {
    "approve": "Let a candidate answer that awaits it, or that the gate could not judge.",
    "promote": "Skip the rest of a canary.",
    "hold": "Stay where it is until somebody resumes it.",
    "resume": "Go on after a hold; a gate that was inconclusive measures again.",
    "abort": "Give the candidate up; its settings are not tried again by themselves.",
    "rollback": "Serve from the version before again, at once and with nothing lost.",
    "refresh": "Try settings again that were refused, rolled back or aborted.",
}


@click.group()
def migrations() -> None:
    """Show how an index is being changed, and steer it."""


@migrations.command()
@click.argument("collection", required=False, shell_complete=collection_names)
@client_options
def show(client: Client, collection: str | None) -> None:
    """Show the migration of a collection; without one, those of all that had any."""
    if collection is not None:
        name = _checked(collection)
        show_migration(client, client.call(lambda mesh: mesh.get_migration(name)))
        return

    async def list_all(mesh: Mesh) -> None:
        async for migration in each(mesh.list_migrations):
            if client.as_json:
                print_json(migration)
            else:
                click.echo(_line(migration))

    client.call(list_all)


def show_migration(client: Client, migration: Migration) -> None:
    """Everything about one migration."""
    if client.as_json:
        print_json(migration)
        return
    for name, value in _fields(migration):
        click.echo(f"{name:<14} {one_line(value)}")


def _fields(found: Migration) -> Iterator[tuple[str, str]]:
    yield "collection", found.collection
    yield "phase", found.phase.value
    yield "serving", found.serving
    for name, value in (("candidate", found.candidate), ("retained", found.retained)):
        if value:
            yield name, value
    yield "wanted", f"{found.encoder}, {found.language}"
    yield "questions", ", ".join(f"{one.index_version} {one.weight} %" for one in found.shares)
    if found.candidate:
        yield "filled", f"{found.percent} % of {found.documents} documents"
    if found.failed_documents:
        yield "failed", f"{found.failed_documents} documents"
    if found.reason:
        yield "reason", found.reason
    if found.message:
        yield "message", found.message
    if found.held is not None:
        yield "held", f"by {found.held.by}: {found.held.reason}"
    yield from _gate_fields(found)
    if found.kept_by:
        yield "kept by", found.kept_by
    yield "flips", str(found.flips)
    if found.quality is not None:
        yield from _quality_fields(found.quality)


def _gate_fields(found: Migration) -> Iterator[tuple[str, str]]:
    for one in (*found.verdicts, *found.slice_verdicts):
        change = f"{one.serving:.4f} → {one.candidate:.4f}"
        between = f"[{one.difference_low:+.4f}, {one.difference_high:+.4f}]"
        asked = f"{one.questions} questions" + (f' of "{one.slice}"' if one.slice else "")
        yield one.metric, f"{change} {between} over {asked}: {one.verdict.value}"
    if found.verdict is not None:
        yield "verdict", found.verdict.value


def _quality_fields(found: Quality) -> Iterator[tuple[str, str]]:
    said = f": {found.message}" if found.message else ""
    yield "quality", f"{found.verdict.value} at {found.at.isoformat(timespec='seconds')}{said}"
    for one in found.metrics:
        between = f"[{one.difference_low:+.4f}, {one.difference_high:+.4f}]"
        yield (
            f"{one.metric} now",
            f"{one.before:.4f} → {one.value:.4f} {between} over {one.questions} questions",
        )


def _line(found: Migration) -> str:
    held = " (held)" if found.held is not None else ""
    reason = f"  {found.reason}" if found.reason else ""
    return f"{found.collection:<24} {found.phase.value}{held}  {found.serving}{reason}"


def _tell(client: Client, collection: str, command: MigrationCommand, reason: str) -> None:
    name = _checked(collection)
    show_migration(
        client,
        client.call(lambda mesh: mesh.command_migration(name, command, reason=reason)),
    )


def _add(name: str, help_text: str) -> None:
    @migrations.command(name, help=help_text)
    @click.argument("collection", shell_complete=collection_names)
    @click.option("--reason", default="", help="Why; goes into the audit.")
    @client_options
    def tell(client: Client, collection: str, reason: str) -> None:
        from ragmesh.core.migrations import MigrationCommand

        _tell(client, collection, MigrationCommand(name), reason)


for command_name, command_help in _COMMANDS.items():
    _add(command_name, command_help)


def _checked(name: str) -> str:
    from ragmesh.core.names import collection_name

    return collection_name(name)
