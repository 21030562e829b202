"""What a file says about itself is checked wherever it comes in."""

from __future__ import annotations

from typing import Any

import pytest

from ragmesh.core.properties import NO_PROPERTIES, FileProperties
from ragmesh.core.reading import Extraction


def test_properties_survive_being_stored_and_leave_out_what_is_not_known() -> None:
    full = FileProperties("Ada", "2024", "2024-05-01", "de", 3, ("A map", "A quay"))
    assert FileProperties.from_json(full.to_json()) == full
    assert NO_PROPERTIES.to_json() == "{}"
    assert FileProperties.from_json("{}") == NO_PROPERTIES


@pytest.mark.parametrize(
    "fields",
    [
        [],
        {"author": 3},
        {"author": "a" * 501},
        {"images": "2"},
        {"images": -1},
        {"images": 1, "image_names": ["a", "b"]},
        {"images": 500, "image_names": ["a"] * 101},
        {"images": 1, "image_names": [3]},
        {"images": 1, "image_names": "a"},
    ],
)
def test_what_is_no_properties_is_refused(fields: Any) -> None:
    with pytest.raises(ValueError, match=r"propert|image"):
        FileProperties.of(fields)


def test_an_extraction_stored_before_there_were_properties_is_read() -> None:
    stored = Extraction("text", "T", "text/plain").to_json()
    older = stored.replace(b'"properties":{},', b"")
    assert older != stored
    assert Extraction.from_json(older).properties == NO_PROPERTIES
