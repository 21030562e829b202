"""Page tokens fit the listing that made them, and no other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragmesh.core.errors import InvalidPageTokenError
from ragmesh.indexing.paging import key_of, number_of, token_of


@pytest.mark.parametrize(
    "token", ["x", "!!!", "e30", token_of("other", "k"), token_of("jobs", "") + "A" * 9, "äö"]
)
def test_a_forged_token_is_refused(token: str) -> None:
    with pytest.raises(InvalidPageTokenError):
        key_of("jobs", token)


@given(st.text(min_size=1, max_size=50))
def test_a_token_gives_its_key_back(key: str) -> None:
    try:
        key.encode()
    except UnicodeEncodeError:
        return
    assert key_of("jobs", token_of("jobs", key)) == key


@pytest.mark.parametrize("key", ["-1", "1e9", "٣", "99999999999999999999"])
def test_a_number_token_holds_a_small_positive_number(key: str) -> None:
    with pytest.raises(InvalidPageTokenError):
        number_of("revisions", token_of("revisions", key))
