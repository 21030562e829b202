"""Pages of a short list hold every item once, in their order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragmesh.chassis.listing import page_of_list
from ragmesh.core.errors import InvalidPageTokenError
from ragmesh.core.pages import PageRequest


@given(items=st.lists(st.text(min_size=1), unique=True), size=st.integers(1, 4))
def test_pages_together_are_the_list(items: list[str], size: int) -> None:
    listed: list[str] = []
    request = PageRequest(size)
    while True:
        page = page_of_list(items, request, name=str)
        assert len(page.items) <= size
        listed += page.items
        if not page.next_token:
            break
        request = PageRequest(size, page.next_token)
    assert listed == items


def test_a_token_of_another_listing_is_refused() -> None:
    with pytest.raises(InvalidPageTokenError) as caught:
        page_of_list(["a", "b"], PageRequest(1, "c"), name=str)
    assert caught.value.violations[0].field == "page_token"


def test_a_page_that_ends_with_the_list_is_the_last() -> None:
    assert page_of_list(["a", "b"], PageRequest(2), name=str).next_token == ""
    assert page_of_list([], PageRequest(2), name=str).items == ()
