"""`ragmesh version`."""

from __future__ import annotations

import click

from ragmesh.app.cli.printing import print_json
from ragmesh.app.cli.surroundings import json_option


@click.command()
@json_option
def version(as_json: bool) -> None:
    """Say which version this is."""
    from importlib.metadata import version as installed

    number = installed("ragmesh")
    if as_json:
        print_json({"version": number})
    else:
        click.echo(f"ragmesh {number}")
