"""`ragmesh tenants`: who owns collections, and what each may use."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ragmesh.app.cli.paging import each
from ragmesh.app.cli.printing import one_line, plain, print_json
from ragmesh.app.cli.surroundings import Client, client_options

if TYPE_CHECKING:
    from ragmesh.app.cli.ports import Mesh
    from ragmesh.core.tenants import Budget, Quota, Tenant

Command = TypeVar("Command", bound=Callable[..., Any])
_ACTIONS = click.Choice(["refuse", "degrade"])
_QUOTA = ("requests_per_minute", "in_flight", "documents", "storage_bytes")
_BUDGET = ("monthly_dollars", "on_exceeded")


def _limits(command: Command) -> Command:
    """Options of what a tenant may use and spend."""
    number = click.IntRange(0)
    for option in (
        click.option("--retention-days", type=number, help="For usage and audit (0 = server's)."),
        click.option(
            "--on-exceeded", type=click.Choice(["refuse", "degrade"]), help="Of a budget."
        ),
        click.option("--monthly-dollars", type=click.FloatRange(0), help="Budget (0 = none)."),
        click.option("--storage-bytes", type=number, help="Most bytes (0 = no limit)."),
        click.option("--documents", type=number, help="Most documents (0 = no limit)."),
        click.option("--in-flight", type=number, help="Most requests at a time (0 = no limit)."),
        click.option("--requests-per-minute", type=number, help="Most (0 = no limit)."),
        click.option("--display-name", help="Name for people."),
    ):
        command = option(command)
    return command


@click.group()
def tenants() -> None:
    """Make, list, change, release and delete tenants."""


@tenants.command()
@click.argument("name")
@_limits
@client_options
def create(client: Client, /, name: str, **asked: Any) -> None:
    """Make a tenant."""
    from ragmesh.core.tenants import Budget, NewTenant, Quota

    new = NewTenant(
        name,
        asked["display_name"] or "",
        _quota(asked, Quota()) or Quota(),
        _budget(asked, Budget()) or Budget(),
        asked["retention_days"] or 0,
    )
    _show(client, client.call(lambda mesh: mesh.create_tenant(new)))


@tenants.command("list")
@client_options
def list_(client: Client) -> None:
    """List tenants by name."""

    async def show(mesh: Mesh) -> None:
        async for tenant in each(mesh.list_tenants):
            if client.as_json:
                print_json(tenant)
            else:
                click.echo(f"{tenant.name:<24} {one_line(tenant.display_name)}".rstrip())

    client.call(show)


@tenants.command()
@click.argument("name")
@client_options
def show(client: Client, name: str) -> None:
    """Show a tenant and its limits."""
    _show(client, client.call(lambda mesh: mesh.get_tenant(name)))


@tenants.command()
@click.argument("name")
@_limits
@client_options
def update(client: Client, /, name: str, **asked: Any) -> None:
    """Change what is given, and nothing else."""
    from ragmesh.core.tenants import TenantChange

    if all(value is None for value in asked.values()):
        raise click.UsageError("nothing to change: give a limit or a name")

    async def change(mesh: Mesh) -> Tenant:
        known = await mesh.get_tenant(name)
        wanted = TenantChange(
            asked["display_name"],
            _quota(asked, known.quota),
            _budget(asked, known.budget),
            asked["retention_days"],
        )
        return await mesh.update_tenant(name, wanted)

    _show(client, client.call(change))


@tenants.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask whether it is meant.")
@client_options
def delete(client: Client, name: str, yes: bool) -> None:
    """Delete a tenant with its keys, collections and documents."""
    from ragmesh.core.names import collection_name

    collection_name(name, field="name")  # what is no name is told before anything is asked
    if not yes:
        click.confirm(f"Delete {name} with all it owns?", abort=True, err=True)
    client.call(lambda mesh: mesh.delete_tenant(name))
    if client.as_json:
        print_json({"name": name, "deleted": True})
    else:
        click.echo(f"deleted  {name}")


@tenants.command()
@click.argument("name")
@click.option("--reason", default="", help="Why; goes into the audit.")
@client_options
def release(client: Client, name: str, reason: str) -> None:
    """Have the mesh forget the custom resource that keeps a tenant.

    For resources that went while no operator ran. One that is still there takes the tenant back at
    the operator's next look.
    """
    client.call(lambda mesh: mesh.release_tenant(name, reason=reason))
    if client.as_json:
        print_json({"name": name, "released": True})
    else:
        click.echo(f"released  {name}")


def _quota(asked: dict[str, Any], known: Quota) -> Quota | None:
    """What is known with what is asked for; None when nothing of it is."""
    from dataclasses import replace

    given = {field: asked[field] for field in _QUOTA if asked[field] is not None}
    return replace(known, **given) if given else None


def _budget(asked: dict[str, Any], known: Budget) -> Budget | None:
    from dataclasses import replace

    from ragmesh.core.tenants import BudgetAction

    given = {field: asked[field] for field in _BUDGET if asked[field] is not None}
    if "on_exceeded" in given:
        given["on_exceeded"] = BudgetAction(given["on_exceeded"])
    return replace(known, **given) if given else None


def _show(client: Client, tenant: Tenant) -> None:
    if client.as_json:
        print_json(tenant)
        return
    for name, value in _leaves(plain(tenant)):
        click.echo(f"{name:<19}  {one_line(str(value))}")


def _leaves(fields: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """What stands in the fields, also of quota and budget: no two of them have a name in common."""
    for name, value in fields.items():
        if isinstance(value, Mapping):
            yield from _leaves(value)
        else:
            yield name, value
