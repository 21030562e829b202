"""Settings of the gateway."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from ragmesh.gateway.limits import GatewayLimits
from ragmesh.gateway.settings import GatewaySettings


def test_the_defaults_are_the_limits_of_the_service() -> None:
    assert GatewaySettings().limits == GatewayLimits()
    assert GatewaySettings().http == "127.0.0.1:8080"


def test_settings_become_limits_in_their_units() -> None:
    settings = GatewaySettings(
        question_seconds=5, file_megabytes=1, body_megabytes=2, message_megabytes=8
    )
    assert settings.limits.question_seconds == 5
    assert settings.limits.file_bytes == 1024 * 1024
    assert settings.limits.body_bytes == 2 * 1024 * 1024
    assert settings.message_bytes == 8 * 1024 * 1024


def test_a_question_may_not_outlive_the_memory_of_changes() -> None:
    with pytest.raises(ValidationError):
        GatewaySettings(question_seconds=301)


def test_both_doors_do_not_share_an_address() -> None:
    with pytest.raises(ValidationError, match="must not be the same address"):
        GatewaySettings(http="127.0.0.1:8080", grpc="127.0.0.1:8080")
    assert GatewaySettings(http="127.0.0.1:0", grpc="127.0.0.1:0").http == "127.0.0.1:0"


def test_a_file_that_no_body_could_bring_is_not_promised() -> None:
    with pytest.raises(ValidationError, match="file_megabytes"):
        GatewaySettings(file_megabytes=2, body_megabytes=1)


def test_a_body_for_which_there_is_never_room_is_not_promised() -> None:
    assert GatewaySettings(upload_megabytes=64).limits.upload_bytes == 64 * 1024 * 1024
    with pytest.raises(ValidationError, match="upload_megabytes"):
        GatewaySettings(upload_megabytes=16)


def test_a_message_for_which_there_is_never_room_is_not_promised() -> None:
    with pytest.raises(ValidationError, match="message_megabytes"):
        GatewaySettings(upload_megabytes=32, message_megabytes=64)


def test_pages_of_other_origins_are_named_one_by_one() -> None:
    named = ("https://wiki.example", "http://localhost:3000", "http://[::1]:3000")
    assert GatewaySettings().allowed_origins == ()
    assert GatewaySettings(allowed_origins=named).allowed_origins == named
    for wrong in ("*", "wiki.example", "https://wiki.example/", "null", "https://Wiki.example"):
        with pytest.raises(ValidationError):
            GatewaySettings(allowed_origins=(wrong,))
