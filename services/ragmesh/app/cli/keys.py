"""`ragmesh keys`: who may ask, as API keys."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ragmesh.app.cli.paging import each
from ragmesh.app.cli.printing import plain, print_json
from ragmesh.app.cli.surroundings import Client, client_options

if TYPE_CHECKING:
    from ragmesh.app.cli.ports import Mesh
    from ragmesh.core.tenants import ApiKey

_MOMENT = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"])
_SCOPES = click.Choice(["read", "write", "admin"])
KEY_FILE, DIGEST_FILE, PUBLIC_KEYS_FILE = "admin.key", "admin.key.sha256", "public-keys.json"


@click.group()
def keys() -> None:
    """Make, list, change, rotate and revoke API keys."""


@keys.command()
@click.option("--tenant", default="default", metavar="NAME", help="Its tenant (default).")
@click.option("--subject", default="", help="Who uses it.")
@click.option("--group", "groups", multiple=True, help="Group of its user; may be repeated.")
@click.option("--scope", "roles", type=_SCOPES, multiple=True, help="What it may do (read).")
@click.option("--expires", type=_MOMENT, help="From this moment on (UTC) it is refused.")
@click.option("--offline", is_flag=True, help="Make the key that runs the mesh; asks no mesh.")
@click.option("--services", is_flag=True, help="With --offline: keys of the services, too.")
@click.option("--into", type=click.Path(path_type=Path), help="With --offline: the folder (.).")
@client_options
def create(  # noqa: PLR0913 - one parameter an option
    client: Client,
    tenant: str,
    subject: str,
    groups: tuple[str, ...],
    roles: tuple[str, ...],
    expires: datetime | None,
    offline: bool,
    services: bool,
    into: Path | None,
) -> None:
    """Make a key. Its secret is shown this once, and kept nowhere.

    With --offline both halves of the first key are written: admin.key, for whoever runs the mesh,
    and admin.key.sha256, for the setting identity.admin_key_file. With --services the keys come
    along that services sign their calls with, SERVICE.key for identity.key_file of each, and
    public-keys.json for identity.public_keys_file of all.
    """
    if services and not offline:
        raise click.UsageError("--services needs --offline: no mesh makes the keys of its services")
    if offline:
        folder = into or Path()
        _write_halves(folder, as_json=client.as_json)
        if services:
            _write_service_keys(folder, as_json=client.as_json)
        return
    if not subject:
        raise click.UsageError("say with --subject who uses the key")
    from ragmesh.core.tenants import NewKey

    moment = None if expires is None else expires.replace(tzinfo=UTC)
    new = NewKey(tenant, subject, groups, roles or ("read",), moment)
    _show_secret(client, *client.call(lambda mesh: mesh.create_key(new)))


@keys.command("list")
@click.option("--tenant", default="", metavar="NAME", help="Only keys of this tenant.")
@client_options
def list_(client: Client, tenant: str) -> None:
    """List keys by how they begin; secrets are not kept."""

    async def show(mesh: Mesh) -> None:
        async for key in each(lambda page: mesh.list_keys(tenant=tenant, page=page)):
            if client.as_json:
                print_json(_shown(key))
            else:
                click.echo(_line(key))

    client.call(show)


@keys.command()
@click.argument("key_id")
@click.option("--group", "groups", multiple=True, help="New group; may be repeated.")
@click.option("--no-groups", is_flag=True, help="Take every group away.")
@click.option("--scope", "roles", type=_SCOPES, multiple=True, help="New scope.")
@client_options
def update(
    client: Client,
    key_id: str,
    groups: tuple[str, ...],
    no_groups: bool,
    roles: tuple[str, ...],
) -> None:
    """Give a key other groups or scopes; in force within 5 seconds."""
    from ragmesh.core.tenants import KeyChange

    if not (groups or no_groups or roles):
        raise click.UsageError("nothing to change: give --group, --no-groups or --scope")
    change = KeyChange(groups if groups or no_groups else None, roles or None)
    _show(client, client.call(lambda mesh: mesh.update_key(key_id, change)))


@keys.command()
@click.argument("key_id")
@click.option("--reason", default="", help="Why; goes into the audit.")
@client_options
def revoke(client: Client, key_id: str, reason: str) -> None:
    """Make a key useless within 5 seconds."""
    _show(client, client.call(lambda mesh: mesh.revoke_key(key_id, reason=reason)))


@keys.command()
@click.argument("key_id")
@click.option("--overlap", type=click.IntRange(0), default=3_600, help="Seconds (3600).")
@client_options
def rotate(client: Client, key_id: str, overlap: int) -> None:
    """Make the successor of a key; the old one stays good for the overlap."""
    made = client.call(lambda mesh: mesh.rotate_key(key_id, overlap_seconds=overlap))
    _show_secret(client, *made)


def _write_halves(folder: Path, *, as_json: bool) -> None:
    from ragmesh.chassis.files import write_durably
    from ragmesh.core.api_keys import mint_key

    key, digest = folder / KEY_FILE, folder / DIGEST_FILE
    for path in (key, digest):
        if path.exists():
            raise click.UsageError(f"{path} is there already; remove it, or name a folder --into")
    minted = mint_key()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_durably(key, f"{minted.text}\n".encode())
        write_durably(digest, f"{minted.digest.sha256.hex()}  {KEY_FILE}\n".encode())
    except OSError as error:
        raise click.BadParameter(f"{folder}: {error.strerror}", param_hint="--into") from error
    if as_json:
        print_json({"key_file": str(key), "admin_key_file": str(digest)})
    else:
        click.echo(f"Wrote {key}, to be kept secret, and {digest}, for identity.admin_key_file.")


def _write_service_keys(folder: Path, *, as_json: bool) -> None:
    from ragmesh.chassis.identity.key_files import KeyFiles
    from ragmesh.chassis.identity.keys import SPEAKERS

    public = folder / PUBLIC_KEYS_FILE
    made = {service: folder / f"{service}.key" for service in SPEAKERS}
    for service, path in made.items():
        KeyFiles(path, public).make(SPEAKERS[service])
    # Left by whoever waits for a turn; the folder is to be made a Secret as it is.
    public.with_name(f"{public.name}.lock").unlink(missing_ok=True)
    if as_json:
        paths = {service: str(path) for service, path in made.items()}
        print_json({"key_files": paths, "public_keys_file": str(public)})
    else:
        click.echo(f"Wrote a key for each of {', '.join(made)}, and {public}, which lists them.")


def _show_secret(client: Client, key: ApiKey, secret: str) -> None:
    if client.as_json:
        print_json(_shown(key) | {"secret": secret})
        return
    click.echo(_line(key), err=True)
    click.echo("The key, shown this once:", err=True)
    click.echo(secret)


def _show(client: Client, key: ApiKey) -> None:
    if client.as_json:
        print_json(_shown(key))
    else:
        click.echo(_line(key))


def _shown(key: ApiKey) -> dict[str, object]:
    fields: dict[str, object] = plain(key)
    return fields | {"prefix": key.prefix}


def _line(key: ApiKey) -> str:
    groups = ",".join(key.groups) or "-"
    end = f"  expires {key.expires_at:%Y-%m-%dT%H:%M:%SZ}" if key.expires_at else ""
    if key.revoked_at:
        end = "  revoked"
    scopes = ",".join(key.roles)
    return f"{key.prefix}  {key.tenant:<16} {key.subject:<16} {scopes:<12} {groups}{end}"
