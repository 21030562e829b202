"""Brokers that encrypt and ask who we are: in with the right files, told apart with wrong ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ragmesh.chassis.events.kafka.address import Encryption, KafkaAddress
from ragmesh.chassis.events.kafka.applying import apply, planned
from ragmesh.chassis.events.kafka.topics import TopicSize
from ragmesh.chassis.events.settings import EventSettings
from ragmesh.chassis.tls.development import DevelopmentFolder, Wanted
from ragmesh.core.errors import RagmeshError
from ragmesh.testing.events import TOPIC, Inbox, consuming, happened
from tests.servers.events.places import Place
from tools.servers.server import Server
from tools.servers.table import PASSWORD

pytestmark = pytest.mark.servers
SIZE = TopicSize(1, 1)


@pytest.fixture(scope="module")
def certificates(servers_folder: Path) -> DevelopmentFolder:
    made = DevelopmentFolder(servers_folder / "certificates")
    made.make([Wanted("broker", ("127.0.0.1",))], now=datetime.now(UTC), days=2)
    return made


@pytest.fixture(scope="module")
def secured_server(servers_folder: Path, certificates: DevelopmentFolder) -> Iterator[Server]:
    folder = servers_folder / "kafka-secured"
    folder.mkdir()
    files = certificates.files("broker")
    (folder / "broker.pem").write_text(
        files.key_file.read_text() + files.certificate_file.read_text()
    )
    server = Server("kafka-secured", folder)
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture
def address(
    secured_server: Server, certificates: DevelopmentFolder, tmp_path: Path
) -> KafkaAddress:
    """As the settings say it, with the password in a file."""
    password = tmp_path / "password"
    password.write_text(f"{PASSWORD}\n")
    settings = EventSettings.model_validate(
        {
            "url": secured_server.url + "/mine.",
            "kafka": {
                "ca_file": certificates.files("broker").ca_file,
                "username": "ragmesh",
                "password_file": password,
            },
        }
    )
    assert settings.kafka_address is not None
    return settings.kafka_address


async def test_events_go_through_encrypted_and_by_name(address: KafkaAddress) -> None:
    await apply(address, await planned(address, SIZE))
    place, inbox = Place(address), Inbox()
    await place.make_topics(TOPIC, partitions=1)
    async with place.log() as log, consuming(log, inbox):
        await log.append([happened("a")])
        await inbox.until(1)
    assert [one.event.payload for one in inbox.deliveries] == [happened("a").payload]


def nobody(address: KafkaAddress) -> KafkaAddress:
    return replace(address, credentials=None)


def mistaken(address: KafkaAddress) -> KafkaAddress:
    assert address.credentials is not None
    return replace(address, credentials=replace(address.credentials, password="planted"))


def distrustful(address: KafkaAddress) -> KafkaAddress:
    return replace(address, encryption=Encryption())


@pytest.mark.parametrize("changed", [mistaken, distrustful])
async def test_who_is_refused_or_refuses_is_told_so(
    address: KafkaAddress, changed: Callable[[KafkaAddress], KafkaAddress]
) -> None:
    with pytest.raises(RagmeshError) as caught:
        await planned(changed(address), SIZE)
    assert caught.value.reason == "EVENT_LOG_CREDENTIALS_REFUSED"
    assert "planted" not in str(caught.value)


@pytest.mark.parametrize("changed", [nobody, lambda one: replace(one, encryption=None)])
async def test_who_does_not_speak_as_the_broker_does_gets_nowhere(
    address: KafkaAddress, changed: Callable[[KafkaAddress], KafkaAddress]
) -> None:
    with pytest.raises(RagmeshError) as caught:
        await planned(changed(address), SIZE)
    assert caught.value.kind.transient
