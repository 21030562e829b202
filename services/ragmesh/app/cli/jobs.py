"""`ragmesh jobs`: the work that goes on after a change was accepted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ragmesh.app.cli.following import followed, job_line, refuse_unfinished
from ragmesh.app.cli.paging import each
from ragmesh.app.cli.printing import print_dim, print_json, timings
from ragmesh.app.cli.surroundings import Client, client_options

if TYPE_CHECKING:
    from ragmesh.app.cli.ports import Mesh
    from ragmesh.core.documents import Job

_STATES = ("QUEUED", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED")


@click.group()
def jobs() -> None:
    """List, follow and cancel jobs."""


@jobs.command("list")
@click.option(
    "--state",
    type=click.Choice(_STATES, case_sensitive=False),
    help="Only jobs in this state.",
)
@click.option("--limit", type=click.IntRange(min=1), default=100, help="Most jobs to show (100).")
@client_options
def list_(client: Client, state: str | None, limit: int) -> None:
    """List jobs, the newest first; jobs stay after they end."""
    from ragmesh.core.documents import JobState

    wanted = None if state is None else JobState(state.upper())

    async def show(mesh: Mesh) -> None:
        left = limit
        async for job in each(lambda page: mesh.list_jobs(state=wanted, page=page)):
            _show(client, job)
            left -= 1
            if left == 0:
                break

    client.call(show)


@jobs.command()
@click.argument("job_id")
@client_options
def watch(client: Client, job_id: str) -> None:
    """Follow a job until it ends, a line a change; exits 1 unless it succeeds."""
    job = client.call(lambda mesh: followed(mesh, job_id, tell=lambda one: _show(client, one)))
    if not client.as_json and job.timings_ms:
        print_dim(timings(job.timings_ms))
    refuse_unfinished(job)


@jobs.command()
@click.argument("job_id")
@client_options
def cancel(client: Client, job_id: str) -> None:
    """Cancel a job that has not ended."""
    _show(client, client.call(lambda mesh: mesh.cancel_job(job_id)))


def _show(client: Client, job: Job) -> None:
    if client.as_json:
        print_json(job)
    else:
        click.echo(job_line(job))
