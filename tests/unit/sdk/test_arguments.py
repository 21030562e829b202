"""What a program writes becomes values of core, or an error that says what is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ragmesh.core.callers import Access
from ragmesh.core.documents import DefaultAccess, DocumentChange, Upload
from ragmesh.core.errors import (
    InvalidError,
    InvalidFilterError,
    InvalidMetadataError,
    PathUnreadableError,
)
from ragmesh.core.filters import Eq
from ragmesh.core.metadata import Metadata
from ragmesh.core.search import SearchMode
from ragmesh.sdk import arguments
from ragmesh.sdk.arguments import batched, change_of, filter_of, member_of, upload_of


def test_a_file_gets_its_name_as_its_id(tmp_path: Path) -> None:
    path = tmp_path / "notes.md"
    path.write_bytes(b"# Hi")
    upload = upload_of(path, metadata={"lang": "en"}, access=["crew"])
    assert upload == Upload(
        b"# Hi", "notes.md", "notes.md", "", "", Metadata('{"lang":"en"}'), Access(("crew",))
    )
    assert upload_of(path, document_id="other").document_id == "other"


def test_bytes_and_texts_get_their_id_from_the_mesh() -> None:
    assert upload_of(b"%PDF") == Upload(b"%PDF")
    assert upload_of("Grüße") == Upload("Grüße".encode(), content_type="text/plain")


def test_an_upload_stays_as_it_is() -> None:
    upload = Upload(b"x", "a", "a.txt")
    assert upload_of(upload) is upload


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PathUnreadableError):
        upload_of(tmp_path / "missing.md")
    refused = arguments.upload_or_error(tmp_path / "missing.md")
    assert isinstance(refused, PathUnreadableError)


def test_a_filter_may_be_a_tree_or_a_value() -> None:
    assert filter_of({"eq": ["lang", "de"]}) == filter_of(Eq("lang", "de")) == Eq("lang", "de")
    assert filter_of(None) is None
    with pytest.raises(InvalidFilterError):
        filter_of({"like": ["lang", "d%"]})


@pytest.mark.parametrize("given", ["dense", SearchMode.DENSE])
def test_a_choice_may_be_a_word_or_a_member(given: Any) -> None:
    assert member_of(SearchMode, given, field="mode") is SearchMode.DENSE


def test_a_word_that_is_no_choice_is_refused_with_those_that_are() -> None:
    with pytest.raises(InvalidError, match=r"default_access: must be one of open, restricted"):
        member_of(DefaultAccess, "closed", field="default_access")


def test_a_change_has_to_change_something() -> None:
    with pytest.raises(InvalidError):
        change_of(None, None, None, reset_access=False)
    assert change_of("", None, [], reset_access=False) == DocumentChange("", None, Access(()))
    with pytest.raises(InvalidMetadataError):
        change_of(None, {"a": float("nan")}, None, reset_access=False)


def test_batches_keep_to_bytes_and_to_documents() -> None:
    sizes = [600_000, 600_000, 10, 2_000_000, 10]
    assert list(batched(sizes, lambda size: size)) == [[600_000], [600_000, 10], [2_000_000], [10]]
    assert [len(batch) for batch in batched(range(250), lambda _: 1)] == [100, 100, 50]
