"""Reads the topics of a Kafka, and makes them as they are declared."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from aiokafka import errors as kafka
from aiokafka.admin import NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from ragmesh.chassis.events.kafka import clients
from ragmesh.chassis.events.kafka.address import KafkaAddress
from ragmesh.chassis.events.kafka.faults import KAFKA_ERRORS, diagnosed
from ragmesh.chassis.events.kafka.topics import (
    Change,
    Deed,
    TopicSize,
    TopicState,
    plan,
    wanted_states,
)

_SET_FOR_THE_TOPIC = 1
_PATIENCE_SECONDS = 30.0
_LOOK_SECONDS = 0.1


async def planned(address: KafkaAddress, size: TopicSize) -> list[Change]:
    """What `apply` would do there."""
    async with _admin(address) as admin:
        wanted = wanted_states(size)
        return plan(wanted, await _found(admin, address, [state.name for state in wanted]))


async def apply(address: KafkaAddress, changes: Sequence[Change]) -> None:
    """Do it; what is done already stays done when a later thing fails."""
    async with _admin(address) as admin:
        for change in changes:
            await _do(admin, address, change)
        made = [change.wanted.name for change in changes if change.deed is Deed.MAKE]
        await _until_led(admin, address, made)


async def missing_topics(admin: Any, address: KafkaAddress) -> list[str]:
    """Names of declared topics that are not there."""
    names = [state.name for state in wanted_states(TopicSize(1, 1))]
    described = await _described(admin, address, names)
    there = {address.name_of(one["topic"]) for one in described}
    return [name for name in names if name not in there]


async def _described(
    admin: Any, address: KafkaAddress, names: Sequence[str]
) -> list[Mapping[str, Any]]:
    """What brokers say of those topics that are there."""
    described = await admin.describe_topics([address.topic(name) for name in names])
    for one in described:
        if kafka.for_code(one["error_code"]) is kafka.TopicAuthorizationFailedError:
            raise kafka.TopicAuthorizationFailedError(one["topic"])
    return [one for one in described if one["error_code"] == 0]


@asynccontextmanager
async def _admin(address: KafkaAddress) -> AsyncIterator[Any]:
    """A client for topics; whatever fails inside is one of our errors."""
    admin = clients.admin(address)
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            await admin.start()
            yield admin
    except KAFKA_ERRORS as error:
        raise await diagnosed(error, address) from error
    finally:
        await admin.close()


async def _found(admin: Any, address: KafkaAddress, names: Sequence[str]) -> list[TopicState]:
    there = await _described(admin, address, names)
    resources = [ConfigResource(ConfigResourceType.TOPIC, one["topic"]) for one in there]
    options = {}
    for reply in await admin.describe_configs(resources) if resources else []:
        for *_, topic, entries in reply.resources:
            options[topic] = {
                name: value
                for name, value, _, source, *_ in entries
                if source == _SET_FOR_THE_TOPIC
            }
    return [
        TopicState(
            address.name_of(one["topic"]),
            len(one["partitions"]),
            min(len(partition["replicas"]) for partition in one["partitions"]),
            options[one["topic"]],
        )
        for one in there
    ]


async def _do(admin: Any, address: KafkaAddress, change: Change) -> None:
    wanted = replace(change.wanted, name=address.topic(change.wanted.name))
    match change.deed:
        case Deed.MAKE:
            new = NewTopic(
                wanted.name,
                wanted.partitions,
                wanted.replication,
                topic_configs=dict(wanted.options),
            )
            _refuse(
                (await admin.create_topics([new])).topic_errors, but=kafka.TopicAlreadyExistsError
            )
        case Deed.GROW:
            await admin.create_partitions({wanted.name: NewPartitions(wanted.partitions)})
        case Deed.SET:
            # It sets all options of the topic anew: those that others have set go along.
            resource = ConfigResource(ConfigResourceType.TOPIC, wanted.name, dict(wanted.options))
            for reply in await admin.alter_configs([resource]):
                _refuse([(wanted.name, *found[:2]) for found in reply.resources])
        case Deed.TELL:
            pass


def _refuse(outcomes: Sequence[Any], *, but: type[Exception] | None = None) -> None:
    for _, code, message, *_ in outcomes:
        if code and kafka.for_code(code) is not but:
            raise kafka.for_code(code)(message)


async def _until_led(admin: Any, address: KafkaAddress, names: Sequence[str]) -> None:
    """Return when every partition of the new topics can be written."""
    while names:
        there = await _described(admin, address, names)
        partitions = [partition for one in there for partition in one["partitions"]]
        if len(there) == len(names) and all(one["error_code"] == 0 for one in partitions):
            return
        await asyncio.sleep(_LOOK_SECONDS)
