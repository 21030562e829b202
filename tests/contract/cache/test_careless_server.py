"""Replies of a cache that break the contract are its defects, and never used."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ragmesh.api.cache.v1 import cache_service_pb2 as pb
from ragmesh.api.cache.v1 import cache_service_pb2_grpc as pb_grpc
from ragmesh.api.types.v1 import vector_pb2
from ragmesh.cache.server import SERVICE_NAMES
from ragmesh.clients.cache import CacheClient
from ragmesh.core.errors import InternalError
from ragmesh.testing.cache_contract import ALICE
from tests.contract.lines import line

HALF = pb.VectorSlot(vector=vector_pb2.Vector(values=b"\0\0"))


@dataclass
class Careless(pb_grpc.CacheServiceServicer):
    """Answers whatever it was told to, and answers that were never read."""

    slots: list[pb.VectorSlot] = field(default_factory=list)

    async def LookupAnswer(self, request: Any, context: Any) -> pb.LookupAnswerResponse:
        return pb.LookupAnswerResponse(answer=pb.StoredAnswer(key="key"))

    async def LookupVectors(self, request: Any, context: Any) -> pb.LookupVectorsResponse:
        return pb.LookupVectorsResponse(slots=self.slots)


@pytest.mark.parametrize(
    ("slots", "complaint"),
    [
        ([pb.VectorSlot()], "slots: must be as many"),
        ([pb.VectorSlot(), HALF], r"slots\[1\]\.vector must be a whole"),
    ],
    ids=["too few", "half a number"],
)
async def test_vectors_that_cannot_be_those_of_the_texts(
    tmp_path: Path, slots: list[pb.VectorSlot], complaint: str
) -> None:
    add = adding(Careless(slots))  # type: ignore[abstract]  # nothing else is asked of it
    async with line(tmp_path, add, SERVICE_NAMES, machine="embedding") as at:
        with pytest.raises(InternalError, match=complaint):
            await CacheClient(at.channel, at.signer).lookup_vectors("print", ["tide", "ferry"])


async def test_an_answer_that_nobody_gave(tmp_path: Path) -> None:
    add = adding(Careless())  # type: ignore[abstract]
    async with line(tmp_path, add, SERVICE_NAMES, machine="gateway") as at:
        with pytest.raises(InternalError, match=r"the cache answered .*answer\.answer"):
            await CacheClient(at.channel, at.signer).lookup_answer(ALICE, "key")


def adding(servicer: Careless) -> Any:
    return lambda server: pb_grpc.add_CacheServiceServicer_to_server(servicer, server)
