"""A small replica as a process of its own: `python -m tests.integration.chassis.replica '{…}'`.

Prints its address once it serves. `Echo` answers with the replica's name after a little work;
`EchoMany` says the name once a letter, with time in between; `Join` never answers.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from typing import Any

from google.protobuf.wrappers_pb2 import StringValue

from ragmesh.chassis.executors import run
from ragmesh.chassis.grpc_servers import ServerOptions, serve
from ragmesh.chassis.lifecycle import Lifecycle
from tests.integration.chassis.echo import SERVICE, Echo

WORK_SECONDS = 0.005
LETTER_SECONDS = 0.05


class Replica(Echo):
    """Answers with its name."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    async def echo(self, request: StringValue, _context: Any) -> StringValue:
        await asyncio.sleep(WORK_SECONDS)
        return StringValue(value=self.name)

    async def echo_many(self, request: StringValue, _context: Any) -> AsyncIterator[StringValue]:
        for _ in request.value:
            yield StringValue(value=self.name)
            await asyncio.sleep(LETTER_SECONDS)

    async def join(self, requests: AsyncIterator[StringValue], _context: Any) -> StringValue:
        await asyncio.Event().wait()
        return StringValue()


async def main(name: str, address: str, options: dict[str, Any]) -> None:
    async with Lifecycle() as life:
        server = await life.stack.enter_async_context(
            serve(
                address,
                Replica(name).register,
                service_names=[SERVICE],
                options=ServerOptions(**options),
            )
        )
        print(server.address, flush=True)
        await life.until_stopped()


if __name__ == "__main__":
    run(main(**json.loads(sys.argv[1])))
