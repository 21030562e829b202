"""An encoder behind an endpoint: what is sent, what is borne, and what is never believed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from ragmesh.core.errors import (
    EncoderChangedError,
    ModelCorruptError,
    ModelMissingError,
    ProviderOverloadedError,
    ProviderRefusedError,
    ProviderReplyError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    RagmeshError,
    StoreDamagedError,
    StoreUnusableError,
)
from ragmesh.core.spans import Span
from ragmesh.core.vectors import Lane, Passage, SentenceKind
from ragmesh.embedding.adapters.openai import OpenAIEncoder, open_openai_encoder
from ragmesh.embedding.adapters.probing import PROBES
from ragmesh.embedding.settings import EncoderKind, EncoderSettings, EndpointSettings
from ragmesh.testing.clocks import ManualClock
from ragmesh.testing.embedding import fake_tokenizer, hashed_vector
from ragmesh.testing.embedding_contract import likeness
from ragmesh.testing.encoder_contract import EncoderContract
from ragmesh.testing.provider import (
    Area,
    FakeProvider,
    Fault,
    changed_model,
    cut,
    fake_provider,
    not_a_number,
    refuse,
    stall,
    wrong_dimension,
    wrong_json,
)

Open = Callable[..., AbstractAsyncContextManager[OpenAIEncoder]]
SECRET = "a sentence that nobody else may read"


class HastyClock(ManualClock):
    """Sleeps in no time, and remembers how long."""

    def __init__(self) -> None:
        super().__init__()
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await self.advance(seconds)


@pytest.fixture
async def provider() -> AsyncIterator[FakeProvider]:
    async with fake_provider() as started:
        yield started


@pytest.fixture
def clock() -> HastyClock:
    return HastyClock()


@pytest.fixture
def tokenizer(tmp_path: Path) -> Path:
    path = tmp_path / "tokenizer.json"
    path.write_bytes(fake_tokenizer())
    return path


@pytest.fixture
def opener(provider: FakeProvider, clock: HastyClock, tokenizer: Path, tmp_path: Path) -> Open:
    def opened(**settings: Any) -> AbstractAsyncContextManager[OpenAIEncoder]:
        endpoint = EndpointSettings(
            **{
                "url": provider.url,
                "model": "fake-embedding",
                "dimension": 256,
                "max_tokens": 256,
                "tokenizer": tokenizer,
                "timeout_seconds": 30.0,
                **settings,
            }
        )
        encoder = EncoderSettings(name="far", kind=EncoderKind.OPENAI, endpoint=endpoint)
        return open_openai_encoder(encoder, endpoint, probes=tmp_path / "probes", clock=clock)

    return opened


class TestOpenAIEncoder(EncoderContract):
    """It passes the suite of every encoder, with and without vectors of sentences."""

    @pytest.fixture(params=["none", "separate"])
    async def encoder(
        self, opener: Open, request: pytest.FixtureRequest
    ) -> AsyncIterator[OpenAIEncoder]:
        async with opener(sentences=request.param) as opened:
            yield opened


def sent(provider: FakeProvider) -> list[list[str]]:
    """The texts of every request, without the probes."""
    return [[text for text in call.body["input"] if text not in PROBES] for call in provider.calls]


async def test_the_fingerprint_says_all_that_makes_vectors_comparable(opener: Open) -> None:
    async with opener(query_prefix="query: ", revision="2", sentences="separate") as encoder:
        found = encoder.description.fingerprint
    assert (found.model, found.precision, found.dimension) == ("fake-embedding@2", "remote", 256)
    assert (found.query_prefix, found.sentences) == ("query: ", SentenceKind.SEPARATE)
    async with opener() as plain:
        assert plain.description.fingerprint.digest != found.digest


async def test_prefixes_the_key_and_a_wished_dimension_are_sent(
    opener: Open, provider: FakeProvider
) -> None:
    provider.api_key = "k"
    settings = {"query_prefix": "query: ", "passage_prefix": "passage: ", "api_key": "k"}
    async with opener(**settings, dimension=64, request_dimension=True) as encoder:
        (text,) = await encoder.encode_texts(["tides"], Lane.QUERY)
        await encoder.encode_passages([Passage("ferries", ())])
        assert encoder.description.content_tokens == 256 - 2, "a prefix has two tokens"
        assert encoder.description.dollars_per_million_tokens is None
    assert text.vector.dimension == 64
    assert sent(provider) == [["query: tides"], ["passage: ferries"]]
    assert {call.body["dimensions"] for call in provider.calls} == {64}


async def test_an_endpoint_tells_its_price(opener: Open) -> None:
    async with opener(dollars_per_million_tokens=0.13) as encoder:
        assert encoder.description.dollars_per_million_tokens == 0.13


async def test_a_request_holds_no_more_texts_than_the_endpoint_takes(
    opener: Open, provider: FakeProvider
) -> None:
    texts = [f"text {number}" for number in range(5)]
    async with opener(batch_texts=2) as encoder:
        encoded = await encoder.encode_texts(texts, Lane.BULK)
    assert [len(call.body["input"]) for call in provider.calls] == [2, 2, 2, 2]
    for text, found in zip(texts, encoded, strict=True):
        assert likeness(found.vector, hashed_vector(text)) > 0.9999


async def test_a_sentence_without_words_is_not_sent(opener: Open, provider: FakeProvider) -> None:
    passage = Passage("Tides.  \nFerries.", (Span(0, 6), Span(6, 9), Span(9, 17)))
    async with opener(sentences="separate") as encoder:
        (found,) = await encoder.encode_passages([passage])
    assert sent(provider) == [["Tides.  \nFerries."], ["Tides.", "Ferries."]]
    assert found.sentences is not None
    assert found.sentences.values[256:512] == bytes(256)


async def test_a_question_over_the_window_is_cut_before_it_is_sent(
    opener: Open, provider: FakeProvider
) -> None:
    async with opener() as encoder:
        (found,) = await encoder.encode_texts(["word " * 300], Lane.QUERY)
    assert found.cut_tokens == 44
    assert sent(provider) == [["word " * 256]]


async def test_without_a_tokenizer_a_token_is_two_and_a_half_characters(
    opener: Open, provider: FakeProvider
) -> None:
    async with opener(tokenizer=None) as encoder:
        assert encoder.tokenizer == b""
        assert await encoder.count_tokens(["x" * 250, "x" * 251]) == (102, 103)
        (found,) = await encoder.encode_texts(["x" * 1000], Lane.QUERY)
    assert found.cut_tokens == 402 - 256
    assert sent(provider) == [["x" * 635]]


@pytest.mark.parametrize(
    ("fault", "error", "tries"),
    [
        (stall(), ProviderTimeoutError, 3),
        (cut(), ProviderUnavailableError, 3),
        (cut(at_token=0), ProviderUnavailableError, 3),
        (refuse(500), ProviderUnavailableError, 3),
        (refuse(408), ProviderUnavailableError, 3),
        (refuse(429), ProviderOverloadedError, 3),
        (refuse(401), ProviderRefusedError, 1),
        (refuse(404), ProviderRefusedError, 1),
        (wrong_json(), ProviderReplyError, 3),
        (wrong_dimension(), ProviderReplyError, 3),
        (not_a_number(), ProviderReplyError, 3),
    ],
    ids=lambda value: str(getattr(value, "kind", None) or getattr(value, "__name__", value)),
)
async def test_a_fault_is_tried_again_where_that_helps_and_told_without_what_was_sent(
    opener: Open,
    provider: FakeProvider,
    clock: HastyClock,
    fault: Fault,
    error: type[RagmeshError],
    tries: int,
) -> None:
    provider.fail_always(fault, area=Area.EMBEDDINGS)
    async with opener(timeout_seconds=0.6 if fault == stall() else 30.0) as encoder:
        with pytest.raises(error) as caught:
            await encoder.encode_texts([SECRET], Lane.QUERY)
    assert len(clock.slept) == tries - 1
    assert SECRET not in f"{caught.value.message} {dict(caught.value.metadata)}"
    provider.heal()
    async with opener() as encoder:
        assert await encoder.encode_texts([SECRET], Lane.QUERY)


async def test_what_fails_in_passing_fails_nobody(
    opener: Open, provider: FakeProvider, clock: HastyClock
) -> None:
    provider.fail(refuse(503), cut(), area=Area.EMBEDDINGS)
    async with opener() as encoder:
        await encoder.encode_texts(["tides"], Lane.QUERY)
    assert len(provider.calls) == 3
    first, second = clock.slept
    assert 0.125 <= first <= 0.25 <= second <= 0.5


async def test_a_provider_that_wants_to_be_left_alone_is(
    opener: Open, provider: FakeProvider, clock: HastyClock
) -> None:
    moment = format_datetime(clock.now() + timedelta(seconds=40), usegmt=True)
    waits = (refuse(429, retry_after="7"), refuse(429, retry_after=moment))
    provider.fail(*waits, area=Area.EMBEDDINGS)
    async with opener() as encoder:
        await encoder.encode_texts(["tides"], Lane.BULK)
    assert clock.slept == pytest.approx([7, 33], abs=1.5)


async def test_who_asks_does_not_wait_for_a_provider_that_is_long_away(
    opener: Open, provider: FakeProvider, clock: HastyClock
) -> None:
    provider.fail_always(refuse(429, retry_after="60"), area=Area.EMBEDDINGS)
    async with opener() as encoder:
        with pytest.raises(ProviderOverloadedError) as caught:
            await encoder.encode_texts(["tides"], Lane.QUERY)
    assert caught.value.retry_after_seconds == 60
    assert (len(provider.calls), clock.slept) == (1, [])


async def test_a_provider_that_was_silent_to_some_makes_no_other_question_wait(
    opener: Open, provider: FakeProvider, clock: HastyClock
) -> None:
    # RL-5
    async with opener(timeout_seconds=0.3, tries=1) as encoder:
        await encoder.encode_texts(["known"], Lane.QUERY)
        provider.fail_always(stall(), area=Area.EMBEDDINGS)
        for _ in range(3):
            with pytest.raises(ProviderTimeoutError):
                await encoder.encode_texts(["asked"], Lane.QUERY)
        asked = len(provider.calls)
        with pytest.raises(ProviderUnavailableError):
            await encoder.encode_texts(["asked"], Lane.QUERY)
        assert len(provider.calls) == asked
        provider.heal()
        await clock.advance(11.0)
        await encoder.encode_texts(["asked"], Lane.QUERY)


async def test_known_texts_go_along_at_first_and_then_now_and_again(
    opener: Open, provider: FakeProvider, clock: HastyClock
) -> None:
    async with opener(probe_seconds=60.0) as encoder:
        for wait in (0, 59, 1):
            await clock.advance(wait)
            await encoder.encode_texts(["tides"], Lane.QUERY)
    assert [len(call.body["input"]) for call in provider.calls] == [4, 1, 4]


async def test_a_silently_changed_model_gives_no_vectors_until_it_is_put_back(
    opener: Open, provider: FakeProvider, clock: HastyClock
) -> None:
    async with opener() as encoder:
        await encoder.encode_texts(["tides"], Lane.QUERY)
        provider.fail_always(changed_model(), area=Area.EMBEDDINGS)
        await clock.advance(300)
        for _ in range(2):
            with pytest.raises(EncoderChangedError):
                await encoder.encode_passages([Passage("ferries", ())])
        provider.heal()
        await encoder.encode_texts(["tides"], Lane.QUERY)


async def test_a_model_that_was_changed_while_the_mesh_was_down_is_noticed(
    opener: Open, provider: FakeProvider
) -> None:
    async with opener() as encoder:
        await encoder.encode_texts(["tides"], Lane.QUERY)
    provider.fail_always(changed_model(), area=Area.EMBEDDINGS)
    async with opener() as encoder:
        with pytest.raises(EncoderChangedError, match="revision"):
            await encoder.encode_texts(["tides"], Lane.QUERY)
    async with opener(revision="changed on purpose") as encoder:
        await encoder.encode_texts(["tides"], Lane.QUERY)


async def test_what_was_first_answered_is_not_guessed_from_a_damaged_file(
    opener: Open, provider: FakeProvider, tmp_path: Path
) -> None:
    async with opener() as encoder:
        await encoder.encode_texts(["tides"], Lane.QUERY)
    (kept,) = (tmp_path / "probes").iterdir()
    kept.write_bytes(kept.read_bytes()[:100])
    with pytest.raises(StoreDamagedError, match="delete"):
        async with opener():
            pytest.fail("opened an encoder whose model cannot be recognised")


async def test_a_model_that_could_not_be_recognised_later_gives_no_vectors(
    opener: Open, tmp_path: Path
) -> None:
    (tmp_path / "probes").write_bytes(b"a file where the folder should be")
    async with opener() as encoder:
        with pytest.raises(StoreUnusableError, match="cannot be kept"):
            await encoder.encode_texts(["tides"], Lane.QUERY)


async def test_what_is_no_setting_is_not_sent(
    opener: Open, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "somebody")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    monkeypatch.setenv("OPENAI_API_KEY", "a key of another program")
    async with opener() as encoder:
        await encoder.encode_texts(["tides"], Lane.QUERY)
    headers = provider.calls[0].headers
    assert "openai-organization" not in headers
    assert headers["authorization"] == "Bearer none"


async def test_a_tokenizer_that_is_none_keeps_a_mesh_from_starting(
    opener: Open, tmp_path: Path
) -> None:
    (tmp_path / "text.json").write_bytes(b"{}")
    for path, error in ((tmp_path / "text.json", ModelCorruptError), (tmp_path, ModelMissingError)):
        with pytest.raises(error):
            async with opener(tokenizer=path):
                pytest.fail("opened an encoder without its tokenizer")
