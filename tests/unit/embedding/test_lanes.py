"""People wait in the query lane; the bulk lane stands back for them and both are bounded."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from ragmesh.core.errors import EmbedderOverloadedError, UnavailableError
from ragmesh.core.vectors import Lane, Passage
from ragmesh.embedding.limits import EmbeddingLimits
from ragmesh.embedding.service import EmbeddingService
from ragmesh.testing.clocks import ManualClock
from ragmesh.testing.embedding import FakeEncoder, NullVectorCache, hashed_vector
from tests.unit.embedding.gates import GatedEncoder, settle

LIMITS = EmbeddingLimits(query_queue_texts=4, bulk_queue_texts=4, query_batch_texts=3)


def serve(
    encoder: GatedEncoder | FakeEncoder,
    clock: ManualClock | None = None,
    *,
    beside: FakeEncoder | None = None,
    **limits: int,
) -> EmbeddingService:
    return EmbeddingService(
        (encoder,) if beside is None else (encoder, beside),
        cache=NullVectorCache(),
        clock=clock or ManualClock(),
        limits=replace(LIMITS, **limits),
    )


def passages(*texts: str) -> list[Passage]:
    return [Passage(text, ()) for text in texts]


async def test_queries_that_wait_are_encoded_together_in_their_order() -> None:
    gate = GatedEncoder()
    service = serve(gate)
    async with asyncio.TaskGroup() as group:
        first = group.create_task(service.embed_texts(["a"]))
        await gate.until_called(1)
        others = [group.create_task(service.embed_texts([text])) for text in ("b", "c", "d")]
        await settle()
        gate.release(2)
    assert gate.calls == ["query:a", "query:b c d"]
    assert [task.result().vectors[0] for task in (first, *others)] == [
        hashed_vector(text) for text in "abcd"
    ]


async def test_a_batch_of_queries_is_bounded() -> None:
    gate = GatedEncoder()
    service = serve(gate, query_queue_texts=10)
    async with asyncio.TaskGroup() as group:
        group.create_task(service.embed_texts(["a"]))
        await gate.until_called(1)
        for text in "bcdef":
            group.create_task(service.embed_texts([text]))
        await settle()
        gate.release(3)
    assert gate.calls == ["query:a", "query:b c d", "query:e f"]


async def test_a_query_that_is_given_up_takes_nobody_with_it() -> None:
    gate = GatedEncoder()
    service = serve(gate)
    async with asyncio.TaskGroup() as group:
        group.create_task(service.embed_texts(["a"]))
        await gate.until_called(1)
        leader = group.create_task(service.embed_texts(["b"]))
        follower = group.create_task(service.embed_texts(["c"]))
        await settle()
        gate.release()
        await gate.until_called(2)
        leader.cancel()
        await gate.until_called(3)
        gate.release()
    assert leader.cancelled()
    assert gate.calls == ["query:a", "query:b c", "query:c"]
    assert follower.result().vectors == (hashed_vector("c"),)


async def test_a_query_that_was_given_up_while_waiting_is_not_encoded() -> None:
    gate = GatedEncoder()
    service = serve(gate)
    async with asyncio.TaskGroup() as group:
        group.create_task(service.embed_texts(["a"]))
        await gate.until_called(1)
        waiting = group.create_task(service.embed_texts(["b"]))
        await settle()
        waiting.cancel()
        group.create_task(service.embed_texts(["c"]))
        await settle()
        gate.release(2)
    assert gate.calls == ["query:a", "query:c"]


async def test_an_encoder_that_fails_fails_everybody_in_the_batch_and_nobody_after() -> None:
    gate = GatedEncoder()
    service = serve(gate)
    async with asyncio.TaskGroup() as group:
        group.create_task(service.embed_texts(["a"]))
        await gate.until_called(1)
        both = asyncio.gather(
            service.embed_texts(["b"]), service.embed_texts(["c"]), return_exceptions=True
        )
        await settle()
        gate.release()
        await gate.until_called(2)
        gate.inner.failure = UnavailableError("the encoder is away")
        gate.release()
        failures = await both
        gate.inner.failure = None
        gate.release()
        await service.embed_texts(["d"])
    assert [type(failure) for failure in failures] == [UnavailableError, UnavailableError]
    assert gate.calls == ["query:a", "query:b c", "query:d"]


@pytest.mark.parametrize("lane", list(Lane))
async def test_a_full_queue_refuses_at_once_and_says_when_to_come_back(lane: Lane) -> None:
    gate, clock = GatedEncoder(), ManualClock()
    service = serve(gate, clock)
    async with asyncio.TaskGroup() as group:
        group.create_task(service.embed_texts(["a", "b", "c"], lane=lane))
        await gate.until_called(1)
        with pytest.raises(EmbedderOverloadedError) as caught:
            await service.embed_texts(["d", "e"], lane=lane)
        group.create_task(service.embed_texts(["f"], lane=lane))
        gate.release(10)
    assert caught.value.metadata == {"lane": lane.value, "limit": "4"}
    assert 0.1 <= (caught.value.retry_after_seconds or 0) <= 30


async def test_the_time_to_come_back_follows_the_pace_of_the_encoder() -> None:
    gate, clock = GatedEncoder(), ManualClock()
    service = serve(gate, clock)
    async with asyncio.TaskGroup() as group:
        for text in "abcdefghij":
            slow = group.create_task(service.embed_texts([text]))
            await gate.until_called(len(gate.calls) + 1)
            await clock.advance(2.0)
            gate.release()
            await slow
        group.create_task(service.embed_texts(["k", "l", "m", "n"]))
        await gate.until_called(11)
        with pytest.raises(EmbedderOverloadedError) as caught:
            await service.embed_texts(["o"])
        gate.release()
    assert 4 * 1.5 < (caught.value.retry_after_seconds or 0) < 4 * 2.0


async def test_a_refused_or_given_up_request_leaves_its_room_to_others() -> None:
    gate = GatedEncoder()
    service = serve(gate)
    for lane in Lane:
        task = asyncio.get_running_loop().create_task(
            service.embed_texts(["a", "b", "c", "d"], lane=lane)
        )
        await gate.until_called(len(gate.calls) + 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    gate.release(10)
    for lane in Lane:
        embedded = await service.embed_texts(["a", "b", "c", "d"], lane=lane)
        assert len(embedded.vectors) == 4


async def test_a_query_waits_for_one_bulk_call_at_most() -> None:
    gate = GatedEncoder()
    service = serve(gate, batch_tokens=1)
    async with asyncio.TaskGroup() as group:
        bulk = group.create_task(service.embed_passages(passages("a", "b", "c")))
        await gate.until_called(1)
        query = group.create_task(service.embed_texts(["q"]))
        await gate.until_called(2)  # not behind the bulk call that runs: its session is its own
        gate.release(2)
        await query
        gate.release(2)
    assert gate.calls[1] == "query:q"
    assert len(bulk.result().passages) == 3


async def test_no_bulk_call_begins_while_a_query_is_encoded() -> None:
    gate = GatedEncoder()
    service = serve(gate)
    async with asyncio.TaskGroup() as group:
        group.create_task(service.embed_texts(["q"]))
        await gate.until_called(1)
        group.create_task(service.embed_passages(passages("a")))
        await settle()
        assert gate.calls == ["query:q"]
        gate.release(2)
    assert gate.calls == ["query:q", "bulk:a"]


async def test_bulk_calls_hold_one_passage_while_there_are_queries_and_more_when_calm() -> None:
    encoder, clock = FakeEncoder(), ManualClock()
    service = serve(encoder, clock)
    await service.embed_passages(passages("a", "b", "c"))
    await service.embed_texts(["q"])
    await clock.advance(0.9)
    await service.embed_passages(passages("a", "b", "c"))
    await clock.advance(0.2)
    await service.embed_passages(passages("a", "b", "c"))
    assert [len(batch) for batch in encoder.passage_batches] == [3, 1, 1, 1, 3]


async def test_no_bulk_call_begins_while_another_encoder_encodes_a_query() -> None:
    gate, beside = GatedEncoder(), FakeEncoder("beside")
    service = serve(gate, beside=beside)
    async with asyncio.TaskGroup() as group:
        group.create_task(service.embed_texts(["q"]))
        await gate.until_called(1)
        group.create_task(service.embed_passages(passages("a"), encoder="beside"))
        await settle()
        assert not beside.passage_batches
        gate.release()
    assert len(beside.passage_batches) == 1


async def test_bulk_calls_hold_one_passage_while_another_encoder_has_queries() -> None:
    beside, clock = FakeEncoder("beside"), ManualClock()
    service = serve(FakeEncoder(), clock, beside=beside)
    await service.embed_texts(["q"])
    await service.embed_passages(passages("a", "b", "c"), encoder="beside")
    await clock.advance(1.1)
    await service.embed_passages(passages("a", "b", "c"), encoder="beside")
    assert [len(batch) for batch in beside.passage_batches] == [1, 1, 1, 3]


async def test_bulk_calls_stand_back_for_no_query_that_others_encode() -> None:
    elsewhere, here = FakeEncoder(remote_batch_tokens=1_000), FakeEncoder("here")
    service = serve(elsewhere, beside=here)
    await service.embed_texts(["q"])
    await service.embed_passages(passages("a", "b", "c"), encoder="here")
    assert [len(batch) for batch in here.passage_batches] == [3]


async def test_a_long_bulk_request_lets_others_in_between() -> None:
    gate = GatedEncoder()
    service = serve(gate, batch_tokens=1)
    async with asyncio.TaskGroup() as group:
        long = group.create_task(service.embed_passages(passages("a", "a", "a")))
        await gate.until_called(1)
        short = group.create_task(service.embed_passages(passages("b")))
        await settle()
        gate.release(3)
        await short
        assert not long.done()
        gate.release()
    assert gate.calls == ["bulk:a", "bulk:a", "bulk:b", "bulk:a"]


async def test_one_bulk_request_uses_every_call_that_the_encoder_likes_at_a_time() -> None:
    gate = GatedEncoder(bulk_calls=2)
    service = serve(gate, ManualClock(), batch_tokens=3, bulk_queue_texts=10)
    async with asyncio.TaskGroup() as group:
        request = group.create_task(service.embed_passages(passages("a", "b", "c", "d")))
        await gate.until_called(2)
        await settle()
        assert len(gate.calls) == 2
        gate.release(4)
    assert [passage.vector for passage in request.result().passages] == [
        hashed_vector(text) for text in "abcd"
    ]


async def test_the_first_of_two_calls_to_fail_speaks_for_the_request() -> None:
    gate = GatedEncoder(bulk_calls=2, inner=FakeEncoder(failure=UnavailableError("gone")))
    service = serve(gate, ManualClock(), batch_tokens=3, bulk_queue_texts=10)
    gate.release(4)
    with pytest.raises(UnavailableError):
        await service.embed_passages(passages("a", "b", "c", "d"))


async def test_bulk_work_that_others_do_comes_whole_and_stands_back_for_nobody() -> None:
    encoder = FakeEncoder(remote_batch_tokens=1_000)
    service = serve(encoder, batch_tokens=256)
    await service.embed_texts(["somebody asks"])
    await service.embed_passages(passages("one", "two", "three", "four"))
    assert [len(batch) for batch in encoder.passage_batches] == [4]


async def test_a_call_that_hangs_holds_up_no_question_where_calls_go_side_by_side() -> None:
    gate = GatedEncoder(query_calls=2)
    service = serve(gate)
    async with asyncio.TaskGroup() as group:
        for text in ("hangs", "answered", "waits"):
            group.create_task(service.embed_texts([text]))
        await gate.until_called(2)
        await settle()
        assert gate.calls == ["query:hangs", "query:answered"]
        gate.release(3)
    assert gate.calls[2] == "query:waits"


async def test_who_shares_a_call_is_encoded_when_its_caller_goes_away_side_by_side() -> None:
    gate = GatedEncoder(query_calls=2)
    service = serve(gate)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(service.embed_texts(["busy"])) for _ in range(2)]
        await gate.until_called(2)
        caller, sharer = (group.create_task(service.embed_texts([text])) for text in ("a", "b"))
        await settle()
        gate.release(1)
        await gate.until_called(3)
        assert gate.calls[2] == "query:a b"
        caller.cancel()
        await gate.until_called(4)
        assert gate.calls[3] == "query:b"
        gate.release(2)
        assert (await sharer).vectors[0] == hashed_vector("b")
        await asyncio.gather(*tasks)
