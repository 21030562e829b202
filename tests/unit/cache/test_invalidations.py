"""The memory of invalidations is bounded, and forgetting is always on the safe side."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ragmesh.cache.adapters.invalidations import InvalidationMemory

_CHANGES = st.lists(
    st.tuples(
        st.sampled_from("pqr"),
        st.sampled_from("abcdefgh"),
        st.integers(1, 40),
        st.floats(0, 30),
    ),
    max_size=60,
)


def memory(limit: int = 4) -> InvalidationMemory:
    return InvalidationMemory(seconds=100.0, collection_seconds=200.0, limit=limit)


@given(_CHANGES, st.integers(1, 6))
def test_what_was_overtaken_stays_so_whatever_is_forgotten(
    changes: list[tuple[str, str, int, float]], limit: int
) -> None:
    memory_ = memory(limit)
    heard: dict[tuple[str, str], tuple[int, float]] = {}
    now = 0.0
    for collection, document, sequence, pause in changes:
        now += pause
        memory_.hear(collection, document, sequence, now)
        gone, _ = memory_.forget(now)
        highest = max(sequence, heard.get((collection, document), (0, 0.0))[0])
        heard[collection, document] = (highest, now)
        heard = {place: value for place, value in heard.items() if place[0] not in gone}
        assert len(memory_) <= limit
        assert memory_.collections <= limit
        for (known, name), (latest, _) in heard.items():
            assert memory_.overtaken(known, (name,), latest - 1)


def test_a_change_is_forgotten_after_its_time_but_the_growth_is_not() -> None:
    memory_ = memory()
    memory_.hear("p", "a", 5, 0.0)
    memory_.forget(101.0)
    assert len(memory_) == 0
    assert memory_.grown("p", 4)
    assert not memory_.grown("p", 5)
    assert not memory_.overtaken("p", ("a",), 5)


def test_a_collection_that_nobody_mentions_is_handed_back_without_alarm() -> None:
    memory_ = memory()
    memory_.mention("p", 5, 0.0)
    assert memory_.forget(200.0) == ([], False)
    assert memory_.forget(200.1) == (["p"], False)
    assert memory_.collections == 0


def test_a_collection_that_went_for_want_of_room_raises_the_alarm() -> None:
    memory_ = memory(limit=1)
    memory_.mention("p", 5, 0.0)
    memory_.mention("q", 1, 1.0)
    assert memory_.forget(1.0) == (["p"], True)
