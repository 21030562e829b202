"""Whatever the description allows or forbids is answered as it promises, and never with a 5xx."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import cast

import httpx
import requests

from ragmesh.chassis.executors import Executor
from ragmesh.core.documents import Upload
from ragmesh.gateway.adapters.rest import make_app
from ragmesh.gateway.identity import DEVELOPER, DeveloperIdentity
from ragmesh.testing.gateway import COLLECTION, FakeMesh
from tests.unit.gateway.described import Described
from tests.unit.gateway.generated import explore

EXAMPLES = 3
"""Of each kind and operation; `make soak-api` sends many more, to a whole mesh."""


def test_no_generated_request_upsets_the_app_or_gets_what_nobody_promised(
    described: Described,
) -> None:
    with asyncio.Runner() as runner:
        mesh = runner.run(FakeMesh().with_collection())
        upload = Upload(b"one", document_id="leave.md")
        runner.run(mesh.catalog.create_documents(DEVELOPER, COLLECTION, [upload]))
        pool = Executor("rest", 1, waiting=8, niceness=0)
        app = make_app(mesh.service(), DeveloperIdentity(), pool=pool, version="1.2.3")
        client = httpx.AsyncClient(transport=httpx.ASGITransport(app=app))

        async def judged(asked: requests.PreparedRequest) -> None:
            headers = cast("Mapping[str, str]", asked.headers)
            body = cast("bytes | str | None", asked.body)  # nothing here sends a file in pieces
            answer = await client.request(
                str(asked.method), str(asked.url), headers=headers, content=body
            )
            assert answer.status_code < 500, answer.text
            await described.check(answer)

        try:
            sent = explore(
                described.description,
                lambda asked: runner.run(judged(asked)),
                examples=EXAMPLES,
                number=1,
            )
        finally:
            runner.run(client.aclose())
            pool.close()
    assert sent > 100
