"""Whatever is given to the gRPC factories as telemetry stands around every call."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.wrappers_pb2 import StringValue

from ragmesh.chassis.grpc_channels import channel
from ragmesh.chassis.grpc_servers import serve
from ragmesh.chassis.telemetry.hooks import Behaviour, CallTelemetry, Invoke
from ragmesh.core.errors import UnsupportedError
from tests.integration.chassis.echo import SERVICE, Echo, Stub


class Listed:
    """Lists what it was asked to surround, and what then happened."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def served(self, method: str, behaviour: Behaviour) -> Behaviour:
        async def observed(request: Any, context: Any) -> Any:
            self.seen.append(f"served {method}")
            return await behaviour(request, context)

        return observed

    def refused(self, code: str) -> None:
        self.seen.append(f"refused {code}")

    def unary(self, method: str, invoke: Invoke) -> Invoke:
        async def observed(request: Any, **options: Any) -> Any:
            self.seen.append(f"called {method}")
            return await invoke(request, **options)

        return observed

    def stream(self, method: str, invoke: Invoke) -> Invoke:
        def observed(request: Any, **options: Any) -> Any:
            self.seen.append(f"called {method}")
            return invoke(request, **options)

        return observed


def said(text: str) -> StringValue:
    return StringValue(value=text)


async def sent(*texts: str) -> AsyncIterator[StringValue]:
    for text in texts:
        yield said(text)


async def test_every_kind_of_call_is_observed_on_both_sides(tmp_path: Path) -> None:
    here: CallTelemetry = (near := Listed())
    there: CallTelemetry = (far := Listed())
    async with (
        serve(
            f"unix:{tmp_path}/s", Echo().register, service_names=[SERVICE], telemetry=there
        ) as server,
        channel(server.address, telemetry=here) as made,
    ):
        stub = Stub(made)
        await stub.echo(said("one"))
        assert [reply.value async for reply in stub.echo_many(said("ab"))] == ["a", "b"]
        await stub.join(sent("x"))
        assert [reply.value async for reply in stub.echo_each(sent("p"))] == ["p"]
        with pytest.raises(UnsupportedError):
            await made.unary_unary(f"/{SERVICE}/Nothing", StringValue.SerializeToString)(said("x"))
    methods = [f"/{SERVICE}/{name}" for name in ("Echo", "EchoMany", "Join", "EchoEach")]
    assert near.seen == [f"called {method}" for method in (*methods, f"/{SERVICE}/Nothing")]
    ours = [line for line in far.seen if "grpc.health" not in line]
    assert ours == [*[f"served {method}" for method in methods], "refused UNIMPLEMENTED"]
