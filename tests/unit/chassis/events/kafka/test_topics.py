"""Topics become as they are declared; what would lose events is refused before anything is done."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ragmesh.chassis.events.facts import ANSWERS_INVALIDATED, TOPIC_OF
from ragmesh.chassis.events.kafka.topics import (
    TOPICS,
    Deed,
    TopicSize,
    TopicState,
    plan,
    wanted_states,
)
from ragmesh.chassis.events.port import DEAD_SUFFIX
from ragmesh.core.errors import TopicShrinkError

WANTED = wanted_states(TopicSize(partitions=6, replication=3))


def test_every_topic_of_a_fact_is_declared_with_its_dead_letters() -> None:
    facts = {*TOPIC_OF.values(), ANSWERS_INVALIDATED}
    assert {topic.name for topic in TOPICS} == facts | {name + DEAD_SUFFIX for name in facts}


def test_what_is_missing_is_made_and_what_is_there_stays() -> None:
    assert [change.deed for change in plan(WANTED, WANTED[1:])] == [Deed.MAKE]
    assert plan(WANTED, WANTED) == []


def test_a_topic_grows_and_options_that_others_have_set_stay() -> None:
    now = replace(WANTED[0], partitions=2, options={"max.message.bytes": "7"})
    grow, options = plan(WANTED[:1], [now])
    assert (grow.deed, options.deed) == (Deed.GROW, Deed.SET)
    assert options.wanted.options == {**WANTED[0].options, "max.message.bytes": "7"}


def test_a_topic_that_would_shrink_stops_all() -> None:
    found = [replace(WANTED[1], partitions=7)]  # and the first is missing
    with pytest.raises(TopicShrinkError, match="7 partitions"):
        plan(WANTED, found)


def test_fewer_brokers_than_declared_are_told_and_asked_for_no_more_than_they_are() -> None:
    now = TopicState(WANTED[0].name, 6, 1, {**WANTED[0].options, "min.insync.replicas": "1"})
    (change,) = plan(WANTED[:1], [now])
    assert change.deed is Deed.TELL


@pytest.mark.parametrize(("replication", "in_sync"), [(1, "1"), (2, "1"), (3, "2")])
def test_one_broker_may_be_away(replication: int, in_sync: str) -> None:
    (state, *_) = wanted_states(TopicSize(1, replication))
    assert state.options["min.insync.replicas"] == in_sync
