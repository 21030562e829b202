"""What only a wire can get wrong: who leaves, what breaks in between, and what is remembered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from ragmesh.api.generation.v1 import generation_service_pb2 as pb
from ragmesh.api.generation.v1 import generation_service_pb2_grpc as pb_grpc
from ragmesh.chassis.grpc_channels import channel
from ragmesh.chassis.grpc_servers import ServerOptions, serve
from ragmesh.chassis.messages.generation import generation_event_to_message
from ragmesh.chassis.requests import serving
from ragmesh.clients.generation import REMEMBERED_SECONDS, GenerationClient
from ragmesh.core.answers import (
    AnswerStatus,
    Delta,
    EngineDescription,
    Generated,
    Turn,
    Usage,
)
from ragmesh.core.errors import (
    BodyTooLargeError,
    DeadlineError,
    ExhaustedError,
    InternalError,
    MethodDeniedError,
    UnavailableError,
)
from ragmesh.generation.server import SERVICE_NAMES, add_generation
from ragmesh.generation.service import GenerationService
from ragmesh.testing.callers import MeshKeys
from ragmesh.testing.clocks import ManualClock
from ragmesh.testing.generation import FakeEngine, FakeGenerator, FakeRewriter, WaitingEngine
from ragmesh.testing.generation_contract import ANSWERABLE, CALLER, follow_up
from tests.contract.lines import line

END = Generated(AnswerStatus.ANSWERED, 0.5, 1.0, "fake-1", Usage(3, 4, 0.01))
ENOUGH = 10.0


async def test_who_leaves_before_the_first_word_stops_the_engine(dial: Any) -> None:
    engine = WaitingEngine()
    async with dial(GenerationService((engine,))) as client, asyncio.timeout(ENOUGH):
        stream = client.generate(CALLER, ANSWERABLE)
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(anext(stream))
            await engine.begun.wait()
            waiting.cancel()
        assert waiting.cancelled()
        await engine.stopped.wait()


async def test_who_closes_an_answer_in_the_middle_stops_the_engine(dial: Any) -> None:
    engine = WaitingEngine(first=(Delta("Dogs"),))
    async with dial(GenerationService((engine,))) as client, asyncio.timeout(ENOUGH):
        async with aclosing(client.generate(CALLER, ANSWERABLE)) as stream:
            assert await anext(stream) == Delta("Dogs")
            assert not engine.stopped.is_set()
        await engine.stopped.wait()


async def test_a_deadline_that_passes_stops_the_engine(dial: Any) -> None:
    engine = WaitingEngine()
    async with dial(GenerationService((engine,))) as client, asyncio.timeout(ENOUGH):
        with serving("r-1", timeout_seconds=0.3), pytest.raises(DeadlineError):
            await anext(client.generate(CALLER, ANSWERABLE))
        await engine.stopped.wait()


async def test_an_answer_read_to_its_end_is_not_cancelled(dial: Any) -> None:
    engine = FakeEngine([Delta("Yes. "), END])
    async with dial(GenerationService((engine,))) as client:
        events = [event async for event in client.generate(CALLER, ANSWERABLE)]
    assert events == [Delta("Yes. "), END]
    assert engine.queries == [ANSWERABLE]


async def test_an_error_before_the_first_word_arrives_as_it_was_raised(dial: Any) -> None:
    away = ExhaustedError("too many answers", retry_after_seconds=2.5)
    engine = FakeEngine(error=away)
    async with dial(GenerationService((engine,))) as client:
        with pytest.raises(ExhaustedError) as caught:
            await anext(client.generate(CALLER, ANSWERABLE))
    assert caught.value.retry_after_seconds == 2.5
    assert len(engine.queries) == 1, "an answer is never generated twice"


async def test_an_error_in_mid_answer_follows_what_was_said(dial: Any) -> None:
    generator = FakeGenerator(error=UnavailableError("away"))
    async with dial(generator) as client:
        stream = client.generate(CALLER, ANSWERABLE)
        assert isinstance(await anext(stream), Delta)
        with pytest.raises(UnavailableError, match="away"):
            await anext(stream)
    assert generator.calls == [(CALLER, ANSWERABLE)]


async def test_a_peer_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    signer = MeshKeys().universal_signer("gateway")
    async with channel(f"unix:{tmp_path}/nobody") as made:
        client = GenerationClient(made, signer)
        with pytest.raises(UnavailableError):
            await anext(client.generate(CALLER, ANSWERABLE))
        with pytest.raises(UnavailableError):
            await client.describe_engine()


async def test_a_peer_that_stops_in_mid_answer_is_unavailable(tmp_path: Path) -> None:
    engine, keys = WaitingEngine(first=(Delta("Dogs"),)), MeshKeys()
    served = serve(
        f"unix:{tmp_path}/s",
        lambda server: add_generation(server, GenerationService((engine,))),
        service_names=SERVICE_NAMES,
        options=ServerOptions(grace_seconds=0.05),
        guard=keys.guard,
    )
    async with AsyncExitStack() as stack, asyncio.timeout(ENOUGH):
        made = await stack.enter_async_context(channel(f"unix:{tmp_path}/s"))
        client = GenerationClient(made, keys.universal_signer("gateway"))
        async with served:
            stream = client.generate(CALLER, ANSWERABLE)
            assert await anext(stream) == Delta("Dogs")
        await engine.stopped.wait()
        with pytest.raises(UnavailableError):
            await anext(stream)


async def test_evidence_above_the_message_limit_is_refused(dial: Any) -> None:
    engine = FakeEngine([END])
    large = replace(ANSWERABLE, history=(Turn("user", "x" * (17 * 1024 * 1024)),))
    async with dial(GenerationService((engine,))) as client:
        with pytest.raises(BodyTooLargeError):
            await anext(client.generate(CALLER, large))
    assert engine.queries == []


async def test_a_machine_is_given_no_answers(dial: Any) -> None:
    async with dial(GenerationService((FakeEngine([END]),)), machine="indexer") as client:
        with pytest.raises(MethodDeniedError):
            await client.describe_engine()


async def test_a_description_is_remembered_for_a_few_seconds_only(dial: Any) -> None:
    clock, engine = ManualClock(), FakeEngine([END])
    async with dial(GenerationService((engine,)), clock=clock) as client:
        old = await client.describe_engine()
        engine.description = EngineDescription("fake", "fake-2", "1")
        await clock.advance(REMEMBERED_SECONDS - 0.1)
        assert await client.describe_engine() == old
        await clock.advance(0.1)
        assert await client.describe_engine() == engine.description


async def test_while_generation_is_away_it_is_taken_for_what_it_was(tmp_path: Path) -> None:
    clock, keys, engine = ManualClock(), MeshKeys(), FakeEngine([END])
    address = f"unix:{tmp_path}/s"

    def served() -> Any:
        def add(server: Any) -> None:
            add_generation(server, GenerationService((engine,)))

        options = ServerOptions(grace_seconds=0.05)
        return serve(address, add, service_names=SERVICE_NAMES, options=options, guard=keys.guard)

    async with channel(address) as made, asyncio.timeout(ENOUGH):
        client = GenerationClient(made, keys.universal_signer("gateway"), clock=clock)
        async with served():
            old = await client.describe_engine()
        for _ in range(2):
            await clock.advance(REMEMBERED_SECONDS)
            assert await client.describe_engine() == old
        engine.description = EngineDescription("fake", "fake-2", "1")
        async with served():
            while await client.describe_engine() == old:
                await clock.advance(REMEMBERED_SECONDS)
    assert engine.queries == []


async def test_of_several_engines_the_first_is_described(dial: Any) -> None:
    second = EngineDescription("spare", "spare-1", "1")
    service = GenerationService((FakeEngine(), FakeEngine(description=second)))
    async with dial(service) as client:
        assert (await client.describe_engine()).engine == "fake"
    assert (await service.list_models())[1] == second


async def test_a_rewritten_question_arrives_with_what_it_cost(dial: Any) -> None:
    rewriter = FakeRewriter(usage=Usage(30, 8, 0.25))
    query = follow_up("Why do dogs bark?")
    async with dial(GenerationService((FakeEngine(),), (rewriter,))) as client:
        said = await client.rewrite_question(CALLER, query)
        assert (await client.describe_engine()).rewriter == rewriter.describe()
    assert rewriter.queries == [query]
    assert said == await FakeRewriter(usage=rewriter.usage).rewrite(query)


async def test_a_rewriting_that_fails_is_not_paid_twice(dial: Any) -> None:
    rewriter = FakeRewriter(error=UnavailableError("away"))
    async with dial(GenerationService((FakeEngine(),), (rewriter,))) as client:
        with pytest.raises(UnavailableError):
            await client.rewrite_question(CALLER, follow_up("Why do dogs bark?"))
    assert len(rewriter.queries) == 1


@dataclass
class Careless(pb_grpc.GenerationServiceServicer):
    """Answers whatever it was told to, and no models."""

    messages: list[pb.GenerateResponse]

    async def Generate(
        self, request: pb.GenerateRequest, context: Any
    ) -> AsyncIterator[pb.GenerateResponse]:
        for message in self.messages:
            yield message

    async def ListModels(self, request: pb.ListModelsRequest, context: Any) -> Any:
        return pb.ListModelsResponse()


OVER = generation_event_to_message(END)


@pytest.mark.parametrize(
    ("messages", "complaint"),
    [
        ([], "without saying how"),
        ([pb.GenerateResponse(delta=pb.Delta(text="x"))], "without saying how"),
        ([OVER, OVER], "went on after the end"),
        ([pb.GenerateResponse()], "event: must be"),
        ([pb.GenerateResponse(generated=pb.Generated(model="x"))], r"generated\.status"),
    ],
    ids=["nothing", "no end", "two ends", "an event of no kind", "an end of no kind"],
)
async def test_an_answer_that_breaks_the_contract_is_the_servers_defect(
    tmp_path: Path, messages: list[pb.GenerateResponse], complaint: str
) -> None:
    def add(server: Any) -> None:
        careless = Careless(messages)  # type: ignore[abstract]  # no rewriting is asked of it
        pb_grpc.add_GenerationServiceServicer_to_server(careless, server)

    async with line(tmp_path, add, SERVICE_NAMES, machine="gateway") as at:
        client = GenerationClient(at.channel, at.signer)
        with pytest.raises(InternalError, match=complaint):
            [event async for event in client.generate(CALLER, ANSWERABLE)]
        with pytest.raises(InternalError, match="models"):
            await client.describe_engine()
