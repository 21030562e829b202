"""What is read out of the archive of an image."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.tools.image.archives import LIBRARIES, SYSTEM, layer_of, packed, write_archive
from tools.image.archive import Archive


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(write_archive(tmp_path / "image.tar"))


def test_layers_are_told_by_the_steps_that_made_them_and_weighed_both_ways(
    archive: Archive,
) -> None:
    layers = archive.layers()

    assert [layer.made_by for layer in layers] == ["COPY 0", "COPY 1", "COPY 2", "COPY 3"]
    assert layers[0].unpacked_bytes == len(layer_of(SYSTEM))
    assert abs(layers[1].packed_bytes - packed(layer_of(LIBRARIES))) < 20


def test_labels_are_what_the_image_says_of_itself(archive: Archive) -> None:
    assert archive.labels() == {"org.opencontainers.image.version": "0.2.0"}


def test_a_file_is_read_as_the_topmost_layer_has_it(tmp_path: Path) -> None:
    image = write_archive(tmp_path / "two.tar", [{"./etc/name": "old"}, {"etc/name": "new"}])

    assert Archive(image).texts(lambda path: path == "etc/name") == {"etc/name": "new"}
