"""The settings make the limits, and the model is looked for where it is put."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from ragmesh.embedding.limits import EmbeddingLimits
from ragmesh.embedding.settings import (
    EmbeddingSettings,
    EncoderKind,
    EncoderSettings,
    default_model_folder,
)


def test_the_defaults_are_minilm_and_the_services_own_limits() -> None:
    settings = EmbeddingSettings()
    assert [encoder.name for encoder in settings.encoders] == ["all-MiniLM-L6-v2"]
    assert settings.limits == EmbeddingLimits()


def test_every_setting_of_a_limit_reaches_the_service() -> None:
    changed = EmbeddingSettings(
        batch_tokens=512,
        query_queue_texts=100,
        bulk_queue_texts=2000,
        text_characters=5000,
        calm_seconds=0.5,
    ).limits
    assert (changed.batch_tokens, changed.query_queue_texts) == (512, 100)
    assert (changed.bulk_queue_texts, changed.text_characters) == (2000, 5000)
    assert changed.calm_seconds == 0.5


def test_the_model_lies_in_the_users_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    at_home = Path("/home/ada/.cache/ragmesh/models/tiny")
    assert default_model_folder("tiny", {}) == at_home
    assert default_model_folder("tiny", {"XDG_CACHE_HOME": "relative"}) == at_home
    assert default_model_folder("tiny", {"XDG_CACHE_HOME": "/var/cache"}) == Path(
        "/var/cache/ragmesh/models/tiny"
    )


def test_fast_weights_lie_beside_the_exact_ones() -> None:
    exact, fast = EncoderSettings(), EncoderSettings(name="any", kind=EncoderKind.FAST)
    assert fast.folder == exact.folder.with_name("all-MiniLM-L6-v2-int8")


def test_an_endpoint_is_given_exactly_to_a_remote_encoder(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("secret\n")
    given = {"url": "https://api.openai.com/v1", "model": "m", "dimension": 8}
    remote = EncoderSettings.model_validate(
        {
            "name": "far",
            "kind": "openai",
            "languages": ["en"],
            "endpoint": {**given, "api_key_file": tmp_path / "key"},
        }
    )
    assert remote.endpoint is not None
    assert remote.endpoint.api_key is not None
    assert remote.endpoint.api_key.get_secret_value() == "secret"
    for wrong in (
        {"kind": "openai"},
        {"endpoint": given},
        {"kind": "openai", "endpoint": given, "path": "/models"},
        {"languages": ["de"]},
        {"kind": "openai", "endpoint": {**given, "url": "https://key@host/v1"}},
    ):
        with pytest.raises(ValidationError):
            EncoderSettings.model_validate(wrong)


def test_a_path_of_its_own_comes_first() -> None:
    assert EncoderSettings(path=Path("/models/mine")).folder == Path("/models/mine")


def test_two_encoders_of_one_name_are_refused() -> None:
    with pytest.raises(ValidationError, match="same name"):
        EmbeddingSettings(encoders=(EncoderSettings(), EncoderSettings()))


@pytest.mark.parametrize("name", ["", "../up", "a/b", "x" * 101])
def test_a_name_that_could_leave_its_folder_is_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        EncoderSettings(name=name)
