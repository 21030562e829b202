"""`ragmesh backup`: what a mesh knows, copied while it runs, and brought back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ragmesh.app.cli.printing import clean, plain, print_json
from ragmesh.app.cli.running import read_settings, start_logging
from ragmesh.app.cli.surroundings import Command, Surroundings, json_option

if TYPE_CHECKING:
    from ragmesh.app.backups import Backups
    from ragmesh.indexing.backups.manifest import Manifest

Result = TypeVar("Result")


def _store_options(command: Command) -> Command:
    for option in (
        click.option("--config", metavar="FILE", help="YAML file of settings."),
        click.option("--data-dir", metavar="DIR", help="Folder of all stores (.data)."),
    ):
        command = option(command)
    return command


@click.group()
def backup() -> None:
    """Copy the catalog and the files of a mesh, and bring them back.

    The index is not copied: it is made anew from the stored texts. Keys are contained as their
    SHA-256 only, and no file with a secret; documents, usage and audit are contained as they are.
    """


@backup.command()
@click.argument("to", required=False, metavar="[TO]")
@click.option(
    "--verify",
    "reads_back",
    is_flag=True,
    help="Read the backup back to its end; exits 1 if it is not whole.",
)
@_store_options
@json_option
@click.pass_obj
def create(
    surroundings: Surroundings,
    to: str | None,
    reads_back: bool,
    data_dir: str | None,
    config: str | None,
    as_json: bool,
) -> None:
    """Copy the stores of these settings into a new place below TO, while the mesh runs.

    TO is a folder or s3://BUCKET/PREFIX; by default what backup.url says. Prints the place of the
    backup. One that is broken off leaves no manifest.json, and nobody takes it for a backup.
    """
    opened = _opened(surroundings, config, data_dir)
    name, made = _run(opened, lambda backups: backups.create(to))
    flaws = _run(opened, lambda backups: backups.verify(name))[1] if reads_back else []
    if as_json:
        print_json({"backup": name, **_counts(made), "flaws": flaws})
    else:
        _tell(name, made, flaws)
    if flaws:
        click.get_current_context().exit(1)


def _tell(name: str, made: Manifest, flaws: list[str]) -> None:
    click.echo(clean(f"{name}: {_told(made)}"))
    for keys, what in (
        (made.lost, "the mesh has lost"),
        (made.damaged, "are not what was stored; copied as they are"),
    ):
        if keys:
            click.echo(f"note: {len(keys)} files {what}; `ragmesh doctor --repair` says more")
    for flaw in flaws:
        click.echo(clean(f"damaged: {flaw}"))


@backup.command()
@click.argument("at", metavar="BACKUP")
@_store_options
@json_option
@click.pass_obj
def verify(
    surroundings: Surroundings,
    at: str,
    data_dir: str | None,
    config: str | None,
    as_json: bool,
) -> None:
    """Read a backup to its end and say what is missing or damaged; exits 1 if anything is."""
    opened = _opened(surroundings, config, data_dir)
    made, flaws = _run(opened, lambda backups: backups.verify(at))
    if as_json:
        print_json({"backup": at, **_counts(made), "flaws": flaws})
    else:
        for flaw in flaws:
            click.echo(clean(f"damaged: {flaw}"))
        if not flaws:
            click.echo(clean(f"{at} is whole: {_told(made)}"))
    if flaws:
        click.get_current_context().exit(1)


@backup.command()
@click.argument("at", metavar="BACKUP")
@click.option(
    "--keep-files",
    is_flag=True,
    help="The store of files is what is left of the mesh that was backed up: bring back only what"
    " it lacks.",
)
@_store_options
@json_option
@click.pass_obj
def restore(
    surroundings: Surroundings,
    at: str,
    keep_files: bool,
    data_dir: str | None,
    config: str | None,
    as_json: bool,
) -> None:
    """Write a backup into the stores of these settings, which must be empty; no mesh may run.

    Broken off, it can be done again. When the mesh starts, it makes its index from the texts.
    """
    opened = _opened(surroundings, config, data_dir)
    made, done = _run(opened, lambda backups: backups.restore(at, keeps_files=keep_files))
    if as_json:
        rows, files, kept = done.rows, done.files, done.kept
        print_json({"backup": at, **_counts(made), "rows": rows, "restored": files, "kept": kept})
    else:
        click.echo(
            clean(
                f"{at} is restored: {_told(made)}; {done.files} files written, {done.kept} were"
                " there. Start the mesh: it makes its index from the texts now."
            )
        )


def _opened(surroundings: Surroundings, config: str | None, data_dir: str | None) -> Backups:
    settings = read_settings(surroundings, config, {"data_dir": data_dir})
    start_logging(settings)
    # Imported late: a mistyped setting is told at once.
    from ragmesh.app.backups import Backups

    return Backups(settings)


def _run(opened: Backups, work: Callable[[Backups], Coroutine[Any, Any, Result]]) -> Result:
    return asyncio.run(work(opened))


def _counts(made: Manifest) -> dict[str, Any]:
    return {
        "position": plain(made.position.at),
        "product": made.product,
        "schema": made.schema,
        "collections": made.rows_of("collections"),
        "documents": made.rows_of("documents"),
        "files": made.files,
        "bytes": made.size_bytes,
        "lost": len(made.lost),
        "damaged": len(made.damaged),
    }


def _told(made: Manifest) -> str:
    return (
        f"{made.rows_of('collections')} collections, {made.rows_of('documents')} documents,"
        f" {made.files} files, {made.size_bytes / 1e6:.1f} MB, as of"
        f" {made.position.at:%Y-%m-%d %H:%M:%S} UTC"
    )
