"""The fake for consumers can be told to refuse and to fail."""

from __future__ import annotations

import pytest

from ragmesh.core.callers import Principal
from ragmesh.core.errors import UnavailableError
from ragmesh.testing.cache import FakeAnswerCache, stored_answer

ALICE = Principal("tenant", "alice")


async def test_the_fake_refuses_and_fails_when_it_is_told_to() -> None:
    fake = FakeAnswerCache(refuse=True)
    assert not await fake.store_answer(ALICE, stored_answer())
    assert await fake.lookup_answer(ALICE, "key") is None
    fake.error = UnavailableError("the cache is away")
    with pytest.raises(UnavailableError):
        await fake.lookup_answer(ALICE, "key")
    assert (len(fake.stores), len(fake.lookups)) == (1, 1)
