"""What is pinned of aiokafka, whose own defaults lose events or members."""

from __future__ import annotations

import ssl
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ragmesh.chassis.events.kafka import clients
from ragmesh.chassis.events.kafka.address import Credentials, Encryption, KafkaAddress
from ragmesh.chassis.events.kafka.member import MemberTimes
from ragmesh.chassis.tls.development import DevelopmentFolder, Wanted

ADDRESS = KafkaAddress.parse("kafka://a:1,b:2")


def test_producers_are_idempotent_and_wait_for_every_replica() -> None:
    # EV-2
    assert clients.PRODUCER["acks"] == "all"
    assert clients.PRODUCER["enable_idempotence"] is True


def test_consumers_begin_at_the_earliest_and_commit_by_hand_only() -> None:
    # EV-2
    assert clients.CONSUMER["auto_offset_reset"] == "earliest"
    assert clients.CONSUMER["enable_auto_commit"] is False


def test_members_are_missed_after_45_seconds_and_may_go_without_a_poll_for_10_minutes() -> None:
    # EV-2
    assert clients.CONSUMER["session_timeout_ms"] == 45_000
    assert clients.CONSUMER["max_poll_interval_ms"] == 600_000


@pytest.mark.parametrize(("seconds", "beat"), [(45.0, 3_000), (6.0, 400), (300.0, 3_000)])
async def test_a_member_says_that_it_is_there_many_times_before_it_is_missed(
    seconds: float, beat: int
) -> None:
    consumer = clients.consumers_missed_after(seconds)(ADDRESS, "g")
    consumer._closed = True
    assert consumer._session_timeout_ms == 1_000 * seconds
    assert consumer._heartbeat_interval_ms == beat


def test_brokers_wait_for_longer_than_a_member_takes_to_let_go() -> None:
    # EV-5
    times = MemberTimes()
    assert times.drain_seconds == 20.0
    let_go = times.drain_seconds + times.answer_seconds
    assert let_go * 1_000 < clients.CONSUMER["rebalance_timeout_ms"]


async def test_clients_are_made_with_what_is_pinned() -> None:
    # EV-2: aiokafka keeps them in attributes of its own
    producer, consumer = clients.producer(ADDRESS), clients.consumer(ADDRESS, "g")
    producer._closed = consumer._closed = True
    assert producer._sender._acks == -1
    assert producer._txn_manager is not None
    assert consumer._enable_auto_commit is False
    assert consumer._auto_offset_reset == "earliest"
    assert consumer._session_timeout_ms == 45_000
    assert consumer._max_poll_interval_ms == 600_000


def test_without_settings_connections_are_plain_and_nameless() -> None:
    options = clients.connection_options(ADDRESS)
    assert options == {"client_id": "ragmesh", "security_protocol": "PLAINTEXT"}


def test_encryption_checks_names_and_takes_no_old_protocol() -> None:
    address = KafkaAddress(("a:1",), encryption=Encryption())
    options = clients.connection_options(address)
    context = options["ssl_context"]
    assert options["security_protocol"] == "SSL"
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


def connect(client: ssl.SSLContext, server: ssl.SSLContext) -> None:
    """One handshake, as an event loop makes it."""
    here, there = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (
        client.wrap_bio(here, there, server_hostname="127.0.0.1"),
        server.wrap_bio(there, here, server_side=True),
    )
    for end in ends * 3:
        with suppress(ssl.SSLWantReadError):
            end.do_handshake()
    assert ends[1].getpeercert()


def test_renewed_files_hold_for_the_next_connection_of_a_client_that_lives_on(
    tmp_path: Path,
) -> None:
    folders = [DevelopmentFolder(tmp_path / name) for name in ("former", "present")]
    for folder in folders:
        folder.make([Wanted("broker", ("127.0.0.1",))], now=datetime.now(UTC), days=2)
    mine = Encryption(*(tmp_path / name for name in ("ca", "certificate", "key")))

    def renew(folder: DevelopmentFolder) -> None:
        files = folder.files("broker")
        for target, source in (
            (mine.ca_file, files.ca_file),
            (mine.certificate_file, files.certificate_file),
            (mine.key_file, files.key_file),
        ):
            assert target is not None
            assert source is not None
            target.write_bytes(source.read_bytes())

    former, present = folders
    renew(former)
    client = clients.connection_options(KafkaAddress(("a:1",), encryption=mine))["ssl_context"]
    files = present.files("broker")
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=files.ca_file)
    server.verify_mode = ssl.CERT_REQUIRED
    server.load_cert_chain(files.certificate_file, files.key_file)
    with pytest.raises(ssl.SSLCertVerificationError):
        connect(client, server)
    renew(present)
    connect(client, server)


def test_credentials_go_by_sasl_with_or_without_encryption() -> None:
    known = Credentials("me", "secret", "SCRAM-SHA-512")
    plain = clients.connection_options(KafkaAddress(("a:1",), credentials=known))
    encrypted = clients.connection_options(
        KafkaAddress(("a:1",), credentials=known, encryption=Encryption())
    )
    assert plain["security_protocol"] == "SASL_PLAINTEXT"
    assert encrypted["security_protocol"] == "SASL_SSL"
    assert plain["sasl_plain_password"] == "secret"
