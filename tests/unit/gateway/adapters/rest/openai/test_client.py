"""The unmodified official client works against the door."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from ragmesh.core.errors import UnavailableError
from ragmesh.testing.gateway import SENTENCE, FakeMesh
from tests.clients.python_client import CASES, faults_of

ASKED: dict[str, Any] = {
    "model": "ragmesh/handbook",
    "messages": [{"role": "user", "content": "How many days?"}],
}


async def test_the_official_client_is_answered_as_it_expects(client: openai.AsyncOpenAI) -> None:
    faults = [f"{case['name']}: {each}" for case in CASES for each in await faults_of(client, case)]
    assert not faults, "\n".join(faults)


async def test_what_the_client_gathers_from_a_stream_is_the_whole_answer(
    client: openai.AsyncOpenAI,
) -> None:
    async with client.chat.completions.stream(**ASKED) as stream:
        gathered = await stream.get_final_completion()
    message = gathered.choices[0].message.model_dump()
    assert message["content"] == f"{SENTENCE} [1]"
    assert [citation["quote"] for citation in message["citations"]] == [SENTENCE]
    again = await client.chat.completions.create(
        model=ASKED["model"],
        messages=[*ASKED["messages"], gathered.choices[0].message, ASKED["messages"][0]],  # type: ignore[list-item]
    )
    assert again.choices[0].message.content == f"{SENTENCE} [1]"


async def test_the_client_is_told_when_a_stream_breaks_off(
    client: openai.AsyncOpenAI, mesh: FakeMesh
) -> None:
    mesh.generator.error = UnavailableError("the provider is away")
    stream = await client.chat.completions.create(**ASKED, stream=True)
    assert (await anext(stream)).choices[0].delta.content == f"{SENTENCE} [1]"
    with pytest.raises(openai.APIError, match="the provider is away") as caught:
        await anext(stream)
    assert (caught.value.type, caught.value.code) == ("server_error", "unavailable")


async def test_a_vector_is_the_same_whichever_way_it_travels(
    client: openai.AsyncOpenAI, mesh: FakeMesh
) -> None:
    texts = ["days of leave", "a ferry"]
    packed = await client.embeddings.create(model="all-MiniLM-L6-v2", input=texts)
    numbers = await client.embeddings.create(
        model="all-MiniLM-L6-v2", input=texts, encoding_format="float"
    )
    assert [one.embedding for one in packed.data] == [one.embedding for one in numbers.data]
    assert len(packed.data[0].embedding) == mesh.embedder.fingerprint.dimension
