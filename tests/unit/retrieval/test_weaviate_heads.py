"""What a search sees by heads that live in memory: one moment, and nothing that is not there."""

from __future__ import annotations

from dataclasses import replace

from ragmesh.core.callers import ADMINS_ONLY, Principal
from ragmesh.retrieval.adapters.weaviate.heads import MOST_CHECKED, Heads
from ragmesh.retrieval.adapters.weaviate.revisions import Record
from ragmesh.testing.retrieval import TENANT, Publisher, attributes, index_spec, uid_of

READER = Principal(TENANT, "reader")


def record(name: str, *, revision: int = 1, chunks: int = 3, digest: str = "d") -> Record:
    return Record(uid_of(name), revision, chunks, digest, attributes(name))


def looked(heads: Heads, now: float, *records: Record) -> list[tuple[str, int]]:
    """What was asked of the store, which answered with these records."""
    asked = heads.to_check(now)
    heads.checked(asked, {(one.document_uid, one.revision): one for one in records}, now)
    return asked


def test_a_moment_stays_what_it_was_while_heads_change() -> None:
    heads, publisher = Heads(), Publisher(index_spec())
    heads.hear(publisher.publish("a"))
    with heads.moment() as before:
        heads.hear(publisher.publish("a", revision=2))
        heads.hear(publisher.publish("a", revision=3, access=ADMINS_ONLY))
        heads.hear(publisher.publish("b"))
        with heads.moment() as after:
            heads.hear(publisher.delete("a"))
            assert before.shows(READER, uid_of("a"), 1)
            assert not before.shows(READER, uid_of("b"), 1)
            assert not after.shows(READER, uid_of("a"), 3)
            assert after.shows(READER, uid_of("b"), 1)
        assert (before.sequence, heads.sequence) == (1, 5)
    with heads.moment() as last:
        assert not any(last.shows(READER, uid_of("a"), revision) for revision in (1, 2, 3))


def test_a_search_that_ends_leaves_the_moment_of_another_as_it_was() -> None:
    heads, publisher = Heads(), Publisher(index_spec())
    heads.hear(publisher.publish("a"))
    with heads.moment() as longer:
        with heads.moment():
            pass  # began at the same sequence, and ended before a head moved
        heads.hear(publisher.publish("a", revision=2))
        assert longer.shows(READER, uid_of("a"), 1)
        assert not longer.shows(READER, uid_of("a"), 2)


def test_a_head_is_believed_until_the_store_is_known_to_lack_its_revision() -> None:
    heads, publisher = Heads(), Publisher(index_spec())
    heads.hear(publisher.publish("a"))
    with heads.moment() as moment:
        assert moment.shows(READER, uid_of("a"), 1)
    looked(heads, 0.0)
    with heads.moment() as moment:
        assert not moment.shows(READER, uid_of("a"), 1)
    assert (heads.missing, heads.documents, heads.chunks) == (1, 0, 0)
    assert looked(heads, 0.5) == []  # not again so soon
    assert looked(heads, 1.5, record("a")) == [(uid_of("a"), 1)]
    assert (heads.missing, heads.documents, heads.chunks) == (0, 1, 3)
    assert looked(heads, 9.0) == []


def test_a_write_that_has_only_begun_shows_nothing() -> None:
    heads, publisher = Heads(), Publisher(index_spec())
    heads.hear(publisher.publish("a"))
    looked(heads, 0.0, record("a", digest=""))
    assert heads.missing == 1


def test_a_revision_that_was_replaced_is_shown_until_its_successor_is_heard_of() -> None:
    heads, publisher = Heads(), Publisher(index_spec())
    heads.hear(publisher.publish("a"))
    looked(heads, 0.0, record("a"))
    heads.doubt(uid_of("a"))  # this replica has deleted what the next revision replaces
    looked(heads, 0.0, replace(record("a"), retired_at=1.0))
    with heads.moment() as moment:
        assert moment.shows(READER, uid_of("a"), 1)
    assert heads.missing == 0
    heads.doubt(uid_of("a"))
    looked(heads, 0.0)  # removed for good
    assert heads.missing == 1


def test_another_access_of_a_missing_revision_does_not_make_it_believed() -> None:
    heads, publisher = Heads(), Publisher(index_spec())
    heads.hear(publisher.publish("a"))
    looked(heads, 0.0)
    heads.hear(publisher.publish("a", generation=2, access=ADMINS_ONLY))
    assert heads.missing == 1
    heads.hear(publisher.publish("a", revision=2))
    assert heads.missing == 0


def test_what_moved_while_the_store_was_asked_is_asked_about_again() -> None:
    heads, publisher = Heads(), Publisher(index_spec())
    heads.hear(publisher.publish("a"))
    asked = heads.to_check(0.0)
    heads.hear(publisher.publish("a", revision=2))
    heads.checked(asked, {}, 0.0)
    assert heads.missing == 0
    assert heads.to_check(0.0) == [(uid_of("a"), 2)]


def test_one_look_is_about_so_many_heads_and_the_newest_come_first() -> None:
    heads, publisher = Heads(), Publisher(index_spec())
    for number in range(MOST_CHECKED + 1):
        heads.hear(publisher.publish(f"d{number}"))
    asked = heads.to_check(0.0)
    assert len(asked) == MOST_CHECKED
    assert asked[0] == (uid_of(f"d{MOST_CHECKED}"), 1)
    heads.checked(asked, {}, 0.0)
    assert heads.to_check(0.0) == [(uid_of("d0"), 1)]


def test_what_was_missing_is_looked_for_again_in_the_order_of_the_last_look() -> None:
    heads, publisher = Heads(), Publisher(index_spec())
    for name in ("a", "b", "c"):
        heads.hear(publisher.publish(name))
    looked(heads, 0.0)
    heads.doubt(uid_of("c"))
    assert looked(heads, 0.5) == [(uid_of("c"), 1)]
    assert looked(heads, 1.2) == [(uid_of("b"), 1), (uid_of("a"), 1)]
    assert looked(heads, 1.6) == [(uid_of("c"), 1)]
