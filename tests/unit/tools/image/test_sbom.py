"""The list of what an image is made of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cyclonedx.schema
import jsonschema_rs
import pytest

from tests.unit.tools.image.archives import write_archive
from tools.image.archive import Archive
from tools.image.sbom import write_sbom

NAME = "localhost/ragmesh:0.2.0-0123456789ab"


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("sbom")
    archive = Archive(write_archive(folder / "image.tar"))
    written: dict[str, Any] = json.loads(write_sbom(archive, NAME))
    return written


def test_it_is_about_ragmesh_and_keeps_cyclonedxs_schema(document: dict[str, Any]) -> None:
    about = document["metadata"]["component"]

    assert (about["name"], about["version"], about["type"]) == ("ragmesh", "0.2.0", "application")
    _validate(document)


def test_it_lists_libraries_debian_packages_and_weights(document: dict[str, Any]) -> None:
    assert {each["bom-ref"] for each in document["components"]} == {
        "pkg:pypi/click@8.5.1",
        "pkg:pypi/lxml@6.1.3",
        "pkg:pypi/tld@0.13",
        "pkg:deb/debian/libc6@2.36-9%2Bdeb12u14?arch=amd64&distro=debian-12",
        "pkg:deb/debian/zlib1g@1:1.2.13.dfsg-1?arch=amd64&distro=debian-12",
        "model:mini:exact",
    }


def test_weights_are_known_by_their_digest(document: dict[str, Any]) -> None:
    (model,) = (each for each in document["components"] if each["bom-ref"] == "model:mini:exact")

    assert model["hashes"] == [{"alg": "SHA-256", "content": "5" * 64}]


def test_licences_are_expressions_names_or_what_classifiers_say(document: dict[str, Any]) -> None:
    licences = {each["name"]: each.get("licenses") for each in document["components"]}

    assert licences["click"] == [{"license": {"id": "BSD-3-Clause"}}]
    assert licences["lxml"] == [{"license": {"name": "BSD-3"}}]
    assert licences["tld"] == [{"license": {"name": "MPL 1.1"}}]


def test_equal_images_have_equal_lists_to_the_byte(tmp_path: Path) -> None:
    archives = [Archive(write_archive(tmp_path / name)) for name in ("one.tar", "two.tar")]

    assert len({write_sbom(archive, NAME) for archive in archives}) == 1


def _validate(document: dict[str, Any]) -> None:
    """Hold it to the schema that the library ships, whose parts name each other by their files."""
    folder = Path(cyclonedx.schema.__file__).parent / "_res"
    schemas = {
        f"http://cyclonedx.org/schema/{name}.SNAPSHOT.schema.json": json.loads(
            (folder / f"{name}.SNAPSHOT.schema.json").read_text()
        )
        for name in ("bom-1.6", "spdx", "jsf-0.82")
    }
    registry = jsonschema_rs.Registry([*schemas.items()])
    whole = next(iter(schemas.values()))
    jsonschema_rs.validator_for(whole, registry=registry).validate(document)
