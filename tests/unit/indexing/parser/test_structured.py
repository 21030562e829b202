"""What JSON and JSON lines become."""

from __future__ import annotations

import json

import pytest

from ragmesh.core.errors import HostileFileError
from tests.unit.indexing.parser.reads import lines, read


def test_every_value_of_a_json_object_stands_under_the_names_that_lead_to_it() -> None:
    source = (
        '{"title": "Ports", "open": true, "none": null, "area": {"km2": 4.10},'
        ' "ports": [{"name": "Elsewhere", "berths": [1, 2]}, {"name": "Nowhere"}]}'
    )
    extraction = read(source)
    assert extraction.content_type == "application/json"
    assert extraction.title == "Ports"
    assert lines(extraction) == [
        "title: Ports",
        "open: true",
        "area.km2: 4.10",
        "ports 1: name: Elsewhere; berths: 1, 2",
        "ports 2: name: Nowhere",
    ]


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ('[{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]', "application/json"),
        ('{"a": 1, "b": "x"}\n\n{"a": 2, "b": "y"}\n', "application/jsonl"),
    ],
)
def test_records_become_one_line_each(source: str, kind: str) -> None:
    extraction = read(source, "records.txt")
    assert lines(extraction) == ["a: 1; b: x", "a: 2; b: y"]
    assert extraction.content_type == kind


def test_running_text_in_json_stays_running_text() -> None:
    text = read(json.dumps([{"path": "a", "text": "One.\n\nTwo."}, {"path": "b"}])).text
    assert text == "path: a\ntext:\n\nOne.\n\nTwo.\n\npath: b"


def test_numbers_stay_as_they_are_written_and_no_member_is_lost() -> None:
    source = '{"n": 123456789012345678901234567890, "x": 1e400, "x": -0.0}'
    assert lines(read(source)) == ["n: 123456789012345678901234567890", "x: 1e400", "x: -0.0"]


@pytest.mark.parametrize("source", ["[1] See the note.", "{curly} words", '{"a": 1', "[]x"])
def test_text_that_only_begins_like_json_is_text(source: str) -> None:
    assert (read(source).text, read(source).content_type) == (source, "text/plain")


@pytest.mark.parametrize(("opens", "closes", "depth"), [("[", "]", 100_000), ('{"a":', "}", 500)])
def test_json_nested_without_end_is_hostile(opens: str, closes: str, depth: int) -> None:
    with pytest.raises(HostileFileError):
        read(opens * depth + "1" + closes * depth)
