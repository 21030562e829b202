from __future__ import annotations

import enum
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import Field, SecretStr, ValidationError

from ragmesh.chassis.settings import Section, describe, load
from ragmesh.core.errors import InvalidSettingsError, PreconditionError, UnknownSettingError


class Precision(enum.Enum):
    EXACT = "exact"
    FAST = "fast"


class EncoderSettings(Section):
    """One encoder."""

    name: str = Field(description="Name of the encoder.")
    api_key: SecretStr | None = Field(None, description="Key of a remote encoder.")
    api_key_file: Path | None = Field(None, description="File that holds the key.")


class EmbeddingSettings(Section):
    """Settings of the embedding service."""

    batch_tokens: int = Field(8_192, gt=0, description="Most tokens encoded at once.")
    timeout_seconds: float = Field(2.5, description="How long a call may take.")
    lane: Literal["query", "bulk"] = Field("query", description="Lane.")
    precision: Precision = Field(Precision.EXACT, description="Precision.")
    encoders: tuple[EncoderSettings, ...] = Field((), description="Encoders; first = default.")
    labels: dict[str, str] = Field(default_factory=dict, description="Labels.")


class Settings(Section):
    """All of it."""

    embedding: EmbeddingSettings = EmbeddingSettings()
    data_dir: Path | None = Field(None, description="Where everything lies.")


def loaded(
    environ: dict[str, str] | None = None,
    *,
    file: Path | None = None,
    flags: dict[str, object] | None = None,
) -> Settings:
    return load(Settings, config_file=file, environ=environ or {}, overrides=flags or {})


def refused(**given: Any) -> PreconditionError:
    with pytest.raises((InvalidSettingsError, UnknownSettingError)) as caught:
        loaded(given.pop("environ", None), **given)
    return caught.value


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def write_file(text: str) -> Path:
        path = tmp_path / "config.yaml"
        path.write_text(text)
        return path

    return write_file


def test_nothing_given_means_the_defaults() -> None:
    assert loaded() == Settings()


def test_flags_go_before_variables_before_the_file_before_the_defaults(write: Any) -> None:
    file = write("embedding:\n  batch_tokens: 1\n  timeout_seconds: 1\n  lane: bulk\n")
    environ = {
        "RAGMESH_EMBEDDING__BATCH_TOKENS": "2",
        "RAGMESH_EMBEDDING__TIMEOUT_SECONDS": "2",
    }
    settings = loaded(environ, file=file, flags={"embedding.batch_tokens": 3, "data_dir": None})
    embedding = settings.embedding
    assert (embedding.batch_tokens, embedding.timeout_seconds, embedding.lane) == (3, 2.0, "bulk")
    assert embedding.precision is Precision.EXACT
    assert settings.data_dir is None


def test_lists_and_maps_are_given_as_json_in_a_variable() -> None:
    settings = loaded(
        {
            "RAGMESH_EMBEDDING__ENCODERS": '[{"name": "a"}, {"name": "b"}]',
            "RAGMESH_EMBEDDING__LABELS__TEAM": "search",
        }
    )
    assert [encoder.name for encoder in settings.embedding.encoders] == ["a", "b"]
    assert settings.embedding.labels == {"team": "search"}


@pytest.mark.parametrize(
    ("variable", "nearest"),
    [
        ("RAGMESH_EMBEDING__BATCH_TOKENS", "RAGMESH_EMBEDDING__BATCH_TOKENS"),
        ("RAGMESH_EMBEDDING__BATCH_TOKEN", "RAGMESH_EMBEDDING__BATCH_TOKENS"),
        ("RAGMESH_DATADIR", "RAGMESH_DATA_DIR"),
    ],
    ids=["section", "field", "top level"],
)
def test_an_unknown_variable_is_refused_with_the_nearest_name(variable: str, nearest: str) -> None:
    error = refused(environ={variable: "1"})
    assert isinstance(error, UnknownSettingError)
    assert variable in error.message
    assert nearest in error.message


def test_variables_of_others_and_of_the_client_are_left_alone() -> None:
    environ = {"RAGMESH_SERVER": "x", "RAGMESH_API_KEY": "k", "RAGMESH_CA_FILE": "c"}
    environ |= {"PATH": "/bin", "RAGMESHX": "1"}
    assert loaded(environ) == Settings()


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("RAGMESH_EMBEDDING_PORT", "tcp://10.0.0.7:50061"),
        ("RAGMESH_EMBEDDING_PORT_50061_TCP", "tcp://10.0.0.7:50061"),
        ("RAGMESH_EMBEDDING_PORT_50061_TCP_ADDR", "10.0.0.7"),
        ("RAGMESH_EMBEDDING_SERVICE_HOST", "10.0.0.7"),
        ("RAGMESH_EMBEDDING_SERVICE_PORT", "50061"),
        ("RAGMESH_EMBEDDING_SERVICE_PORT_GRPC", "50061"),
        ("RAGMESH_PORT", "tcp://10.0.0.7:80"),
        ("RAGMESH_PORT_80_TCP_ADDR", "10.0.0.7"),
        ("RAGMESH_SERVICE_HOST", "10.0.0.7"),
    ],
)
def test_variables_that_kubernetes_put_there_are_explained(variable: str, text: str) -> None:
    error = refused(environ={variable: text})
    assert variable in error.message
    assert "enableServiceLinks: false" in error.message


def test_a_mistyped_port_is_not_blamed_on_kubernetes() -> None:
    error = refused(environ={"RAGMESH_EMBEDDING_PORT": "50061"})
    assert "enableServiceLinks" not in error.message


def test_everything_wrong_is_said_at_once_where_it_was_said(write: Any) -> None:
    file = write("embedding:\n  lane: fast\n  encoders:\n    - {name: a}\n    - {nam: b}\n")
    error = refused(
        file=file,
        environ={"RAGMESH_EMBEDDING__BATCH_TOKENS": "0", "RAGMESH_TARGTE": "all"},
        flags={"embedding.timeout_seconds": "soon"},
    )
    assert isinstance(error, InvalidSettingsError)
    assert sorted(violation.field for violation in error.violations) == [
        "RAGMESH_EMBEDDING__BATCH_TOKENS",
        "RAGMESH_TARGTE",
        "config.yaml: embedding.encoders[1].nam",
        "config.yaml: embedding.encoders[1].name",
        "config.yaml: embedding.lane",
        "embedding.timeout_seconds",
    ]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("embedding: [1", "is not YAML"),
        ("- a list", "must hold sections by name"),
        ("embedding: 3", "config.yaml: embedding"),
        ("data_dir: /a\ndata_dir: /b\n", "data_dir is set twice (line 2)"),
        ("data_dirr: /a\n", "nearest one is data_dir"),
        ("data_dir: !!python/object/apply:os.getcwd []\n", "is not YAML"),
    ],
    ids=["broken", "a list", "no section", "twice", "unknown", "code"],
)
def test_a_file_that_says_nothing_sensible_is_refused(write: Any, text: str, sentence: str) -> None:
    assert sentence in refused(file=write(text)).message


def test_an_empty_file_says_nothing(write: Any) -> None:
    assert loaded(file=write("# only a comment\n")) == Settings()


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert "cannot be read" in refused(file=tmp_path / "none.yaml").message


def test_sources_that_contradict_each_others_shape_are_refused(write: Any) -> None:
    error = refused(file=write("embedding: 3\n"), environ={"RAGMESH_EMBEDDING__BATCH_TOKENS": "2"})
    assert "contradicts RAGMESH_EMBEDDING__BATCH_TOKENS" in error.message


def test_a_list_that_is_not_json_is_refused_by_name() -> None:
    error = refused(environ={"RAGMESH_EMBEDDING__ENCODERS": "a,b"})
    assert isinstance(error, InvalidSettingsError)
    assert error.violations[0].field == "RAGMESH_EMBEDDING__ENCODERS"


ENCODERS = "RAGMESH_EMBEDDING__ENCODERS"


def test_a_secret_is_read_from_its_file_and_never_shown(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("hunter2\n")
    settings = loaded({ENCODERS: f'[{{"name": "a", "api_key_file": "{tmp_path}/key"}}]'})
    key = settings.embedding.encoders[0].api_key
    assert key is not None
    assert key.get_secret_value() == "hunter2"
    assert "hunter2" not in repr(settings)


def test_a_secret_given_twice_or_unreadable_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    for keys, sentence in (
        (f'"api_key": "hunter2", "api_key_file": "{tmp_path}/empty"', "not both"),
        (f'"api_key_file": "{tmp_path}/empty"', "is empty"),
        (f'"api_key_file": "{tmp_path}/none"', "cannot be read"),
    ):
        error = refused(environ={ENCODERS: f'[{{"name": "a", {keys}}}]'})
        assert sentence in error.message
        assert "hunter2" not in error.message


def test_a_refused_value_is_in_no_message_and_no_chained_error() -> None:
    error = refused(environ={ENCODERS: '[{"name": "a", "api_key": ["hunter2"]}]'})
    seen: BaseException | None = error
    while seen is not None:
        assert "hunter2" not in str(seen)
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)


def test_settings_are_frozen_and_closed() -> None:
    with pytest.raises(ValidationError):
        EmbeddingSettings().batch_tokens = 3  # type: ignore[misc]
    with pytest.raises(ValidationError):
        EmbeddingSettings(batch=3)  # type: ignore[call-arg]


def test_a_setting_without_a_description_cannot_be_declared() -> None:
    with pytest.raises(TypeError, match="size needs a description"):

        class Careless(Section):
            size: int = 3


def test_the_reference_has_a_row_for_every_setting() -> None:
    rows = {row.name: row for row in describe(Settings)}
    assert list(rows) == [
        "embedding.batch_tokens", "embedding.timeout_seconds", "embedding.lane",
        "embedding.precision", "embedding.encoders", "embedding.encoders[].name",
        "embedding.encoders[].api_key", "embedding.encoders[].api_key_file", "embedding.labels",
        "data_dir",
    ]  # fmt: skip
    tokens = rows["embedding.batch_tokens"]
    assert (tokens.type, tokens.default, tokens.unit) == ("integer", "8192", "tokens")
    assert tokens.description == "Most tokens encoded at once."
    assert rows["embedding.timeout_seconds"].unit == "s"
    assert rows["embedding.lane"].type == "query | bulk"
    assert rows["embedding.precision"].type == "exact | fast"
    assert rows["embedding.precision"].default == '"exact"'
    assert rows["embedding.encoders[].name"].default == "required"
    assert rows["embedding.encoders[].api_key"].type == "secret | none"
    assert rows["embedding.labels"].type == "map of text"


def test_the_unit_of_a_ratio_is_what_is_counted_and_not_what_it_is_counted_by() -> None:
    class Prices(Section):
        """What things cost."""

        dollars_per_million_tokens: float = Field(0.0, description="Of an encoder.")
        tokens_per_minute: int = Field(0, description="Of a key.")

    units = {row.name: row.unit for row in describe(Prices)}
    assert units == {"dollars_per_million_tokens": "$", "tokens_per_minute": "tokens"}


def test_the_reference_shows_the_defaults_that_hold_in_the_whole() -> None:
    class Other(Section):
        """With a default of its own for the section."""

        embedding: EmbeddingSettings = EmbeddingSettings(batch_tokens=7)
        key: SecretStr = Field(SecretStr("hunter2"), description="A secret.")

    rows = {row.name: row for row in describe(Other)}
    assert rows["embedding.batch_tokens"].default == "7"
    assert "hunter2" not in rows["key"].default
