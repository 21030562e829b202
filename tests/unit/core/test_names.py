from __future__ import annotations

import re
from pathlib import PurePosixPath

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ragmesh.core.errors import InvalidNameError
from ragmesh.core.names import collection_name, document_id, document_id_of


@pytest.mark.parametrize("name", ["a", "pep-8", "a" * 63, "a1-"])
def test_a_collection_name_is_kept(name: str) -> None:
    assert collection_name(name) == name


@pytest.mark.parametrize(
    "name", ["", "A", "1a", "-a", "a_b", "a b", "ä", "a" * 64, "a\n", "a/b", "a.b"]
)
def test_anything_else_is_no_collection_name(name: str) -> None:
    with pytest.raises(InvalidNameError) as caught:
        collection_name(name, field="tenant")
    assert caught.value.violations[0].field == "tenant"


@pytest.mark.parametrize("given_id", ["a", "0", "docs:a.md", "x@y_z-1", "A" * 200])
def test_a_document_id_is_kept(given_id: str) -> None:
    assert document_id(given_id) == given_id


@pytest.mark.parametrize("given_id", ["", ".a", "-a", ":a", "a/b", "a b", "é", "A" * 201, "a\n"])
def test_anything_else_is_no_document_id(given_id: str) -> None:
    with pytest.raises(InvalidNameError):
        document_id(given_id)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a.md", "a.md"),
        ("docs/sub/a_b-1.md", "docs:sub:a_b-1.md"),
        ("2025/report@v2.pdf", "2025:report@v2.pdf"),
    ],
)
def test_a_plain_path_reads_the_same_as_an_id(path: str, expected: str) -> None:
    assert document_id_of(PurePosixPath(path)) == expected


@pytest.mark.parametrize(
    ("path", "beginning"),
    [
        ("my file.md", "my-file.md-"),
        ("Übersicht.md", "bersicht.md-"),
        (".hidden", "hidden-"),
        ("a:b.md", "a:b.md-"),
        ("../a.md", "a.md-"),
    ],
)
def test_a_path_with_other_characters_keeps_what_it_can(path: str, beginning: str) -> None:
    made = document_id_of(PurePosixPath(path))
    assert re.fullmatch(re.escape(beginning) + "[0-9a-f]{12}", made)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("报告.pdf", "说明.pdf"),
        ("ä.txt", "ö.txt"),
        ("a:b", "a/b"),
        (".a", "a"),
        ("a b", "a-b"),
        ("x" * 300 + "1/b", "x" * 300 + "2/b"),
    ],
)
def test_two_paths_never_share_an_id(one: str, other: str) -> None:
    assert document_id_of(PurePosixPath(one)) != document_id_of(PurePosixPath(other))


@given(st.text(min_size=1, max_size=400))
def test_every_path_has_a_valid_id_and_always_the_same(text: str) -> None:
    path = PurePosixPath(text)
    assume(path.parts)
    made = document_id_of(path)
    assert document_id(made) == made == document_id_of(PurePosixPath(text))


def test_a_path_of_undecodable_bytes_has_an_id_too() -> None:
    path = PurePosixPath(b"caf\xe9.txt".decode("utf-8", "surrogateescape"))
    assert document_id(document_id_of(path))
