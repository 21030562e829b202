"""`ragmesh migrate`: brings the catalog to the schema of this version, while no mesh needs it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ragmesh.app.cli.printing import one_line, print_json
from ragmesh.app.cli.running import read_settings, unusable
from ragmesh.app.cli.surroundings import Surroundings, json_option

if TYPE_CHECKING:
    from ragmesh.indexing.adapters.catalog.migrating import Migrated
    from ragmesh.indexing.adapters.catalog.places import PostgresPlace


@click.command()
@click.option("--data-dir", metavar="DIR", help="Folder of all stores (.data).")
@click.option("--config", metavar="FILE", help="YAML file of settings.")
@json_option
@click.pass_obj
def migrate(
    surroundings: Surroundings, data_dir: str | None, config: str | None, as_json: bool
) -> None:
    """Bring the catalog to the schema of this version; says from which and to which.

    Run it before the processes of a new version start, with their settings. A catalog in a file
    is migrated by whoever opens it, too; one in a database only by this. Doing it again does
    nothing, and a newer catalog is refused.
    """
    settings = read_settings(surroundings, config, {"data_dir": data_dir})
    place = settings.catalog_place
    try:
        done = asyncio.run(_migrated(place))
    except OSError as error:
        raise unusable(settings.data_dir, error) or error from error
    if as_json:
        print_json({"catalog": str(place), "before": done.before, "now": done.now})
    else:
        click.echo(one_line(f"{place}: {_told(done)}"))


async def _migrated(place: Path | PostgresPlace) -> Migrated:
    # Imported late: a mistyped setting is told at once.
    if isinstance(place, Path):
        from ragmesh.indexing.adapters.catalog.opening import migrate_file

        return await asyncio.to_thread(migrate_file, place)
    from ragmesh.indexing.adapters.catalog.opening_postgres import migrate_postgres

    return await migrate_postgres(place)


def _told(done: Migrated) -> str:
    if done.before == done.now:
        added = "".join(f", and the table {name} now" for name in done.added)
        return f"has schema {done.now} already{added}"
    if done.before is None:
        return f"is new and has schema {done.now}"
    return f"had schema {done.before} and has {done.now} now"
