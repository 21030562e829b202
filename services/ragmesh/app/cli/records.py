"""`ragmesh usage`, `ragmesh audit` and `ragmesh sights`: what was used, done and seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ragmesh.app.cli.paging import each, first
from ragmesh.app.cli.printing import one_line, print_json
from ragmesh.app.cli.surroundings import Client, client_options

if TYPE_CHECKING:
    from ragmesh.app.cli.ports import Mesh
    from ragmesh.core.usage import AuditEntry, Interval, Sight, UsageSummary

Item = TypeVar("Item")
Command = TypeVar("Command", bound=Callable[..., Any])
_MOMENTS = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"])
_SUMS = ("period", "tenant", "model", "requests", "cached", "failed", "documents", "tokens in",
         "tokens out", "dollars")  # fmt: skip
_ENTRIES = ("at", "actor", "action", "resource", "details")
_SIGHTS = ("at", "actor", "action", "collection", "document", "chunks")


def _asked(command: Command) -> Command:
    """Options of every command here."""
    for option in (
        click.option("--until", type=_MOMENTS, help="Only before this moment (UTC)."),
        click.option("--since", type=_MOMENTS, help="Only from this moment on (UTC)."),
        click.option("--tenant", default="", help="Of this tenant instead of one's own."),
    ):
        command = option(command)
    return command


def _limited(command: Command) -> Command:
    limit = click.option(
        "--limit", type=click.IntRange(1), default=100, help="Most lines (100), the newest first."
    )
    return limit(command)


@click.command()
@_asked
@click.option("--period", type=click.Choice(["day", "month"]), help="One sum a day or month.")
@client_options
def usage(client: Client, /, period: str | None, **asked: Any) -> None:
    """Sum up what was used, by tenant and model; this month unless asked otherwise."""
    from ragmesh.core.usage import UsagePeriod, UsageQuery

    wanted = None if period is None else UsagePeriod(period)
    query = UsageQuery(asked["tenant"], _interval(asked), wanted)

    async def read(mesh: Mesh) -> list[UsageSummary]:
        return [one async for one in each(lambda page: mesh.list_usage(query, page))]

    _show(client, client.call(read), _SUMS, _sum_cells)


@click.command()
@_asked
@click.option("--actor", default="", help="Only what this subject or machine did.")
@click.option("--action", default="", help="Only this method, such as DeleteDocument.")
@click.option("--resource", default="", help="Only this path of names and what is below it.")
@_limited
@client_options
def audit(client: Client, /, limit: int, **asked: Any) -> None:
    """List who did what to which collection or document, and what was refused."""
    from ragmesh.core.usage import AuditQuery

    query = AuditQuery(
        asked["tenant"], _interval(asked), asked["actor"], asked["action"], asked["resource"]
    )

    async def read(mesh: Mesh) -> list[AuditEntry]:
        return await first(limit, lambda page: mesh.list_audit_entries(query, page))

    _show(client, client.call(read), _ENTRIES, _entry_cells)


@click.command()
@_asked
@click.option("--actor", default="", help="Only what this subject saw.")
@click.option("-c", "--collection", default="", metavar="NAME", help="Only of this collection.")
@click.option("-d", "--document", default="", metavar="ID", help="Only this document of it.")
@_limited
@client_options
def sights(client: Client, /, limit: int, **asked: Any) -> None:
    """List who saw passages of which document."""
    from ragmesh.core.usage import SightQuery

    query = SightQuery(
        asked["tenant"], _interval(asked), asked["actor"], asked["collection"], asked["document"]
    )

    async def read(mesh: Mesh) -> list[Sight]:
        return await first(limit, lambda page: mesh.list_sights(query, page))

    _show(client, client.call(read), _SIGHTS, _sight_cells)


def _interval(asked: dict[str, Any]) -> Interval:
    from ragmesh.core.usage import Interval

    since, until = (
        None if asked[name] is None else asked[name].replace(tzinfo=UTC)
        for name in ("since", "until")
    )
    return Interval(since, until)


def _show(
    client: Client,
    items: Sequence[Item],
    titles: tuple[str, ...],
    cells: Callable[[Item], tuple[str, ...]],
) -> None:
    """A line of JSON an item, or a table whose columns are as wide as what is in them."""
    if client.as_json:
        for item in items:
            print_json(item)
        return
    rows = [titles, *(tuple(one_line(cell) for cell in cells(item)) for item in items)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(titles))]
    for row in rows:
        click.echo("  ".join(map(str.ljust, row, widths)).rstrip())


def _sum_cells(one: UsageSummary) -> tuple[str, ...]:
    return (
        f"{_minute(one.since)} - {_minute(one.until)}",
        one.tenant,
        one.model or "-",
        str(one.requests),
        str(one.cached_requests),
        str(one.failed_requests),
        str(one.documents),
        str(one.prompt_tokens),
        str(one.completion_tokens),
        f"{one.cost_dollars:.4f}",
    )


def _entry_cells(entry: AuditEntry) -> tuple[str, ...]:
    told = [f"refused: {entry.refusal}"] if entry.refusal else []
    told += [f"{name}={value}" for name, value in entry.details]
    told += [f"because: {entry.reason}"] if entry.reason else []
    return (_second(entry.at), entry.actor, entry.action, entry.resource, " ".join(told))


def _sight_cells(sight: Sight) -> tuple[str, ...]:
    return (
        _second(sight.at),
        sight.actor,
        sight.action,
        sight.collection or "(gone)",
        sight.document_id or sight.document_uid,
        " ".join(sight.chunk_ids) or "-",
    )


def _minute(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M")


def _second(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
