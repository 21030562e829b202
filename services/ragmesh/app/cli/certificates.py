"""`ragmesh certs`: certificates for development."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ragmesh.app.cli.printing import clean, print_json
from ragmesh.app.cli.running import read_settings
from ragmesh.app.cli.surroundings import Surroundings, json_option

if TYPE_CHECKING:
    from ragmesh.chassis.tls.development import Made, Wanted

_HERE = ("localhost", "127.0.0.1", "::1")


@click.group()
def certs() -> None:
    """Make certificates for development."""


@certs.command()
@click.option(
    "--into", type=click.Path(path_type=Path), default=Path("certs"), help="The folder (certs)."
)
@click.option("--days", type=click.IntRange(1, 30), default=7, help="How long they are valid (7).")
@click.option("--host", "hosts", multiple=True, help="One more name of the doors; may be repeated.")
@click.option("--renew", is_flag=True, help="Make all anew, also those that are still good.")
@click.option("--config", metavar="FILE", help="YAML file of settings, for tls.domain.")
@json_option
@click.pass_obj
def dev(  # noqa: PLR0913 - one parameter an option
    surroundings: Surroundings,
    into: Path,
    days: int,
    hosts: tuple[str, ...],
    renew: bool,
    config: str | None,
    as_json: bool,
) -> None:
    """Make an authority, a certificate for each service, and one for the doors.

    Asks no mesh. What is good for a while stays, so that it can be run again and again; a mesh that
    runs takes up what is new. Keys can be read by you alone. Not for production.
    """
    from ragmesh.chassis.clocks import SystemClock
    from ragmesh.chassis.tls.development import DevelopmentFolder

    domain = read_settings(surroundings, config, {}).tls.domain
    try:
        made = DevelopmentFolder(into).make(
            _wanted(domain, hosts), now=SystemClock().now(), days=days, renew=renew
        )
    except OSError as error:
        raise click.BadParameter(f"{into}: {error.strerror}", param_hint="--into") from error
    for one in made:
        if as_json:
            print_json(
                {
                    "file": str(into / f"{one.file}.pem"),
                    "names": list(one.names),
                    "expires": one.expires.isoformat(),
                    "new": one.is_new,
                }
            )
        else:
            click.echo(clean(_line(into, one)))


def _wanted(domain: str, hosts: tuple[str, ...]) -> list[Wanted]:
    from ragmesh.app.modules import TARGETS
    from ragmesh.chassis.tls.development import DOOR, Wanted

    services = [*(target for target in TARGETS if target != "all"), "operator"]
    return [
        *(Wanted(service, (f"{service}.{domain}",)) for service in services),
        Wanted(DOOR, tuple(dict.fromkeys((*_HERE, *hosts)))),
    ]


def _line(folder: Path, one: Made) -> str:
    state = "made" if one.is_new else "kept"
    names = ", ".join(one.names)
    return f"{state}  {folder / one.file}.pem: {names}, until {one.expires:%Y-%m-%d %H:%M} UTC"
