"""A Kafka is named by one URL; who we are there is never a part of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from ragmesh.chassis.events.kafka.address import Credentials, Encryption, KafkaAddress
from ragmesh.chassis.events.settings import EventSettings


def test_a_url_names_brokers_and_what_our_names_begin_with() -> None:
    address = KafkaAddress.parse("kafka://a:9092,[::1]:9093/staging.")
    assert address.servers == ("a:9092", "[::1]:9093")
    assert address.topic("t.v1") == "staging.t.v1"
    assert address.name_of("staging.t.v1") == "t.v1"
    assert str(address) == "kafka://a:9092,[::1]:9093/staging."


@pytest.mark.parametrize(
    "url",
    [
        "kafka://",
        "kafka://a",
        "kafka://a:1,",
        "kafka://me:secret@a:1",
        "kafka://a:1/b/c",
        "http://a:1",
    ],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"kafka://HOST:PORT|string_pattern|events\.url"):
        KafkaAddress.parse(url)


def test_groups_of_one_name_on_two_topics_do_not_stop_one_another() -> None:
    address = KafkaAddress.parse("kafka://a:1")
    assert address.group("readers", "one") != address.group("readers", "two")


def test_settings_without_kafka_name_none() -> None:
    assert EventSettings().kafka_address is None
    assert EventSettings(url="sqlite:///x.db").kafka_address is None


def test_a_password_comes_from_a_file_and_is_shown_nowhere(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("planted\n")
    settings = EventSettings.model_validate(
        {"url": "kafka://a:1", "kafka": {"username": "me", "password_file": file, "ca_file": "/ca"}}
    )
    address = settings.kafka_address
    assert address is not None
    assert address.credentials == Credentials("me", "planted", "SCRAM-SHA-512")
    assert address.encryption == Encryption(Path("/ca"))
    assert "planted" not in f"{settings!r}{address}{address!r}"


@pytest.mark.parametrize(
    ("kafka", "sentence"),
    [
        ({"username": "me"}, "username and password"),
        ({"certificate_file": "/c"}, "certificate_file and key_file"),
        ({"username": "me", "password": "x", "mechanism": "PLAIN"}, "as it is"),
    ],
)
def test_halves_are_refused(kafka: dict[str, str], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        EventSettings.model_validate({"url": "kafka://a:1", "kafka": kafka})


def test_settings_of_a_kafka_that_no_url_names_are_refused() -> None:
    with pytest.raises(ValidationError, match="names no Kafka"):
        EventSettings.model_validate({"kafka": {"tls": True}})
