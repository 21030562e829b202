"""`ragmesh topics`: the topics of a Kafka as a mesh needs them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from ragmesh.app.cli.printing import clean, print_json
from ragmesh.app.cli.running import read_settings, start_logging
from ragmesh.app.cli.surroundings import Surroundings, json_option
from ragmesh.core.errors import InvalidSettingsError

if TYPE_CHECKING:
    from ragmesh.chassis.events.kafka.topics import Change
    from ragmesh.chassis.events.settings import EventSettings

_DONE = {"make": "made", "grow": "grown", "set": "set", "tell": "as it was"}
_TO_DO = {"make": "to make", "grow": "to grow", "set": "to set", "tell": "stays"}


@click.group()
def topics() -> None:
    """Make the topics of a Kafka, without a mesh."""


@topics.command()
@click.option("--config", metavar="FILE", help="YAML file of settings.")
@click.option("--dry-run", "is_dry", is_flag=True, help="Only say what would be done.")
@json_option
@click.pass_obj
def apply(surroundings: Surroundings, config: str | None, is_dry: bool, as_json: bool) -> None:
    """Make and change topics until they are as declared, and say what was done.

    Again does nothing. A topic never loses partitions: where that would be needed, nothing is
    changed at all.
    """
    settings = read_settings(surroundings, config, {})
    start_logging(settings)
    changes = asyncio.run(_applied(settings.events, is_dry=is_dry))
    words = _TO_DO if is_dry else _DONE
    for change in changes:
        if as_json:
            deed, name = change.deed.value, change.wanted.name
            print_json({"topic": name, "deed": deed, "message": change.message, "done": not is_dry})
        else:
            word = words[change.deed.value]
            click.echo(clean(f"{word:<9}  {change.wanted.name}: {change.message}"))
    if not changes and not as_json:
        click.echo("Every topic is as declared.")


async def _applied(events: EventSettings, *, is_dry: bool) -> list[Change]:
    from ragmesh.chassis.events.kafka import applying
    from ragmesh.chassis.events.kafka.topics import TopicSize

    address = events.kafka_address
    if address is None:
        raise InvalidSettingsError("events.url names no Kafka: a log in a file has no topics")
    changes = await applying.planned(
        address, TopicSize(events.kafka.partitions, events.kafka.replication)
    )
    if not is_dry:
        await applying.apply(address, changes)
    return changes
