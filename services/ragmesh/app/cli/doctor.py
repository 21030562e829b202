"""`ragmesh doctor`: what stands in the way of a mesh, and what to do about it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import click

from ragmesh.app.cli.printing import one_line, print_json
from ragmesh.app.cli.running import read_settings, start_logging
from ragmesh.app.cli.surroundings import SERVER_VARIABLE, Surroundings, json_option, server_option

if TYPE_CHECKING:
    from ragmesh.app.cli.findings import Finding


@click.command()
@click.option("--data-dir", metavar="DIR", help="Folder of all stores (.data).")
@click.option("--config", metavar="FILE", help="YAML file of settings.")
@server_option
@click.option(
    "--repair",
    "repairs",
    is_flag=True,
    help="Also compare catalog, files and index and repair what differs; stores that a mesh runs"
    " on are repaired by that mesh.",
)
@json_option
@click.pass_obj
def doctor(
    surroundings: Surroundings,
    data_dir: str | None,
    config: str | None,
    server: str | None,
    repairs: bool,
    as_json: bool,
) -> None:
    """Check everything a mesh needs, and whether one answers; exits 1 if something is wrong."""
    address = surroundings.server(server)
    # Stores are best repaired while no mesh runs on them.
    wanted = bool(server or surroundings.environ.get(SERVER_VARIABLE)) and not repairs

    async def findings() -> AsyncIterator[Finding]:
        from ragmesh.app.cli.checks import examine, reach
        from ragmesh.app.cli.findings import Finding
        from ragmesh.core.errors import RagmeshError

        try:
            settings = read_settings(surroundings, config, {"data_dir": data_dir})
        except RagmeshError as error:
            yield Finding.of("settings", error)
        else:
            start_logging(settings)
            async for finding in examine(settings):
                yield finding
            if repairs:
                from ragmesh.app.cli.repairs import repair

                async for finding in repair(surroundings, settings, address):
                    yield finding
        yield await reach(surroundings, address, wanted=wanted)

    if asyncio.run(_show(findings(), as_json=as_json)):
        click.get_current_context().exit(1)


async def _show(findings: AsyncIterator[Finding], *, as_json: bool) -> bool:
    """Print the findings as they come; whether any of them failed."""
    failed = False
    async for finding in findings:
        failed |= finding.state.value == "failed"
        if as_json:
            print_json(finding)
        else:
            reason = f"{finding.reason}: " if finding.reason else ""
            message = f"{reason}{one_line(finding.message)}"
            click.echo(f"{finding.state.value:<6}  {finding.subject}: {message}")
    return failed
