"""What builders are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.image.builders import Buildah, Docker
from tools.image.recipe import Context, Recipe

SECRETIVE = """\
#!/bin/sh
for word in "$@"; do
  echo "$word" >> "$0.words"
  case "$word" in --secret=id=pip,src=*) cp "${word#--secret=id=pip,src=}" "$0.conf" ;; esac
done
"""
"""A builder that keeps the words it is given, and the file that is only there meanwhile."""


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "builder"
    path.write_text(SECRETIVE)
    path.chmod(0o755)
    for name in ("PIP_CERT", "SSL_CERT_FILE", "PIP_INDEX_URL", "PIP_TIMEOUT"):
        monkeypatch.delenv(name, raising=False)
    return path


@pytest.fixture
def context(tmp_path: Path) -> Context:
    return Context(folder=tmp_path / "context", version="0.2.0", revision="abc", digest="d1")


@pytest.mark.parametrize("kind", [Buildah, Docker], ids=["buildah", "docker"])
def test_a_builder_is_given_the_arguments_of_the_recipe(
    kind: type[Buildah | Docker], program: Path, context: Context
) -> None:
    kind(program).build(context, Recipe("debian:12", "gateway cache", "none"), "ragmesh:d1")

    words = Path(f"{program}.words").read_text().splitlines()
    assert "--build-arg=BASE_IMAGE=debian:12" in words
    assert "--build-arg=EXTRAS=gateway cache" in words
    assert "--build-arg=WEIGHTS=none" in words
    assert words[-1] == str(context.folder)


def test_how_pip_reaches_an_index_from_here_is_a_secret_of_the_build(
    program: Path, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "https://user:word@index.example/simple")
    monkeypatch.setenv("SSL_CERT_FILE", "/etc/authorities.pem")

    Buildah(program).build(context, Recipe(), "ragmesh:d1")

    words = Path(f"{program}.words").read_text()
    assert "index.example" not in words
    assert "--secret=id=certificates,src=/etc/authorities.pem" in words
    assert Path(f"{program}.conf").read_text().splitlines() == [
        "[global]",
        "index-url = https://user:word@index.example/simple",
        "cert = /run/secrets/certificates",
    ]


def test_without_settings_of_this_place_pip_goes_by_its_own(
    program: Path, context: Context
) -> None:
    Buildah(program).build(context, Recipe(), "ragmesh:d1")

    assert Path(f"{program}.conf").read_text() == "[global]\n"
    assert "id=certificates" not in Path(f"{program}.words").read_text()
