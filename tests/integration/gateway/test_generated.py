"""No message of any shape, and no bytes in its place, make the public services fail."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import grpc
from google.protobuf.descriptor import MethodDescriptor

from ragmesh.chassis.grpc_servers import ServerOptions, serve
from ragmesh.core.documents import Upload
from ragmesh.gateway.identity import DEVELOPER, DeveloperIdentity
from ragmesh.gateway.server import SERVICE_NAMES, DoorGuard, add_gateway
from ragmesh.testing.gateway import COLLECTION, FakeMesh
from tests.integration.gateway.generated_calls import explore, judge

EXAMPLES = 5
"""Of each method; `make soak-api` sends many more, to a whole mesh."""


def test_no_generated_message_upsets_a_public_method(tmp_path: Path) -> None:
    with asyncio.Runner() as runner:
        mesh = runner.run(FakeMesh().with_collection())
        upload = Upload(b"one", document_id="leave.md")
        runner.run(mesh.catalog.create_documents(DEVELOPER, COLLECTION, [upload]))
        add = partial(add_gateway, service=mesh.service())
        options = ServerOptions(grace_seconds=0.1)
        serving = serve(
            f"unix:{tmp_path}/s",
            add,
            service_names=SERVICE_NAMES,
            options=options,
            guard=DoorGuard(DeveloperIdentity()),
        )
        server = runner.run(serving.__aenter__())
        channel = grpc.aio.insecure_channel(server.address)

        def send(method: MethodDescriptor, sent: Sequence[bytes]) -> None:
            runner.run(judge(channel, method, sent))

        try:
            explore(send, examples=EXAMPLES, number=1)
        finally:
            runner.run(channel.close())
            runner.run(serving.__aexit__(None, None, None))
